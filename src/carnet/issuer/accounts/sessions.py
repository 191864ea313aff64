"""Rule O17: where a person is signed in, and the end of that, for their own page and for administrators alike."""

from carnet.issuer.accounts.people import Actor, note
from carnet.issuer.browser import alive, end_session
from carnet.issuer.desk import Desk
from carnet.issuer.storage.records import Account, Session


async def sessions_of(desk: Desk, account: Account) -> list[Session]:
    """Those that live, newest first."""
    now = desk.ambient.now()
    sessions = await desk.store.sessions.of(account.subject, at=now)
    return [session for session in sessions if alive(session, desk.config, at=now)]


async def end_one(desk: Desk, account: Account, sid: str, *, by: Actor) -> bool:
    """End one session with all that its apps hold; False if the account has no such session, or it had ended before."""
    session = await desk.store.sessions.get(sid)
    if session is None or session.subject != account.subject or not await end_session(desk, session):
        return False
    await note(desk, "session.ended", account, by, sid=sid)
    return True
