"""Rule O17: who may administer, and when: the role that the account has now, and a fresh proof for what cannot be undone."""

from dataclasses import dataclass

from starlette.requests import Request

from carnet.issuer.accounts.people import ADMIN, Actor
from carnet.issuer.browser import Visit, visit
from carnet.issuer.desk import Desk
from carnet.issuer.freshness import fresh
from carnet.issuer.http_security import written_address
from carnet.issuer.login.returning import sign_in_url
from carnet.issuer.refusals import RefusalError, SeeOtherError
from carnet.issuer.storage.records import Account, Session


@dataclass(frozen=True, slots=True)
class Administrator:
    """Somebody whose account has the role ADMIN at this moment."""

    visit: Visit
    account: Account
    session: Session
    address: str | None
    fresh: bool
    """Whether they have just proved who they are (`freshness.py`)."""

    @property
    def actor(self) -> Actor:
        return Actor(self.account.subject, self.address)


async def administrator(request: Request, desk: Desk, *, back: str) -> Administrator:
    """Let an administrator in to look.

    Raises:
        SeeOtherError: nobody is signed in; the sign-in comes back to the path `back`.
        RefusalError: whoever is signed in has not the role.
    """
    seen = await visit(request, desk)
    if seen.account is None or seen.session is None:
        raise SeeOtherError(sign_in_url(desk, seen, back))
    if ADMIN not in seen.account.roles:
        raise RefusalError(403, "not_administrator")
    recent = fresh(seen.account, seen.session, at=desk.ambient.now())
    return Administrator(seen, seen.account, seen.session, written_address(request, desk.config), recent)


async def acting_administrator(request: Request, desk: Desk, *, back: str) -> Administrator:
    """Let an administrator in to change something: they have just proved who they are.

    Raises:
        SeeOtherError, RefusalError: as `administrator`; and to the sign-in where the proof is too old.
    """
    who = await administrator(request, desk, back=back)
    if not who.fresh:
        raise SeeOtherError(sign_in_url(desk, who.visit, back))
    return who
