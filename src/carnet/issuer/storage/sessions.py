"""Browsers that are signed in (OpenID Connect Front-Channel Logout section 3, `sid`)."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from carnet.ambient import Instant, lapsed
from carnet.issuer.storage import changes
from carnet.issuer.storage.families import Owner, end_families, standing
from carnet.issuer.storage.participants import pass_on, session_ended, sessions_ended
from carnet.issuer.storage.ports import AlreadyExistsError
from carnet.issuer.storage.records import Account, Digest, Revocation, Session
from carnet.issuer.storage.revocations import note
from carnet.issuer.storage.signals import tell
from carnet.issuer.storage.statements import Group, Row, Statement, Verb, overhauling, reading, writing

_ACCOUNT = msgspec.json.Decoder(Account)
_SESSION = msgspec.json.Decoder(Session)


def _session(row: Row) -> Session:
    document, seen_at, ended_at = row
    return replace(_SESSION.decode(document), seen_at=seen_at, ended_at=ended_at)


def end_everything(subject: str, *, at: Instant) -> Verb[None]:
    """End all sessions and artifacts of a subject, whose account the caller has locked."""
    yield Statement("UPDATE session SET ended_at = ? WHERE subject = ? AND ended_at IS NULL", (at, subject))
    yield from end_families(at=at, subject=subject)
    yield from sessions_ended(subject, at=at)


def _pass_on(before: str, session: Session) -> Verb[None]:
    """End the session that a new one takes the place of. What had ended before passes nothing on."""
    ended = yield Statement(
        "UPDATE session SET ended_at = ? WHERE sid = ? AND ended_at IS NULL RETURNING document, seen_at, ended_at",
        (session.created_at, before),
    )
    if ended:
        # Another person's artifacts stay with the ended session, and so end with it.
        yield Statement(
            "UPDATE family SET sid = ? WHERE sid = ? AND subject = ?", (session.sid, before, session.subject)
        )
        yield from pass_on(before, session)
        yield from session_ended(before, at=session.created_at)
        yield from _tell_of_next(_session(ended[0]), session)


def _tell_of_next(before: Session, session: Session) -> Verb[None]:
    """The same person's session goes on in the new one; another person's has ended."""
    if before.subject == session.subject:
        happenings = changes.strength_changed(before, session, at=session.created_at)
    else:
        happenings = (changes.session_ended(before.sid, at=session.created_at),)
    yield from tell(before.subject, happenings, at=session.created_at)


def _replaced(sid: str) -> Verb[list[Row]]:
    """The sessions that this one took the place of, and their ends: whoever knows those means this one by now."""
    return (
        yield Statement(
            "WITH RECURSIVE chain (sid, subject, created_at, ended_at) AS ("
            " SELECT sid, subject, created_at, ended_at FROM session WHERE sid = ?"
            " UNION SELECT session.sid, session.subject, session.created_at, session.ended_at FROM session JOIN chain"
            " ON session.subject = chain.subject AND session.ended_at = chain.created_at AND session.sid <> chain.sid"
            ") SELECT sid, ended_at FROM chain WHERE sid <> ?",
            (sid, sid),
        )
    )


def _entries(replaced: Sequence[Row], *, entry: Revocation, at: Instant) -> list[Revocation]:
    """Their entries; each lives as long after that session's end as `entry`, which is the last one's own, after that one's."""
    lifetime = entry.expires_at - at
    return [
        replace(entry, value=before, expires_at=ended_at + lifetime)
        for before, ended_at in replaced
        if not lapsed(ended_at + lifetime, at=at)
    ]


class StoredSessions(Group):
    @writing
    def start(self, session: Session, *, ending: str | None = None) -> Verb[bool]:
        if not (yield from standing(Owner(session.subject, None, None))):
            return False
        started = yield Statement(
            "INSERT INTO session (sid, digest, subject, created_at, seen_at, expires_at, ended_at, kept_until, document)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1",
            (
                session.sid,
                session.digest,
                session.subject,
                session.created_at,
                session.seen_at,
                session.expires_at,
                session.ended_at,
                session.expires_at,
                msgspec.json.encode(session),
            ),
        )
        if not started:
            raise AlreadyExistsError("There is a session with this sid or digest already.")
        if ending is not None:
            yield from _pass_on(ending, session)
        return True

    @reading
    def by_digest(self, digest: Digest) -> Verb[Session | None]:
        rows = yield Statement("SELECT document, seen_at, ended_at FROM session WHERE digest = ?", (digest,))
        return _session(rows[0]) if rows else None

    @reading
    def get(self, sid: str) -> Verb[Session | None]:
        rows = yield Statement("SELECT document, seen_at, ended_at FROM session WHERE sid = ?", (sid,))
        return _session(rows[0]) if rows else None

    @reading
    def heir(self, sid: str) -> Verb[Session | None]:
        rows = yield Statement(
            "WITH RECURSIVE chain (sid, subject, ended_at) AS ("
            " SELECT sid, subject, ended_at FROM session WHERE sid = ?"
            " UNION SELECT session.sid, session.subject, session.ended_at FROM session JOIN chain"
            " ON session.subject = chain.subject AND session.created_at = chain.ended_at AND session.sid <> chain.sid"
            ") SELECT session.document, session.seen_at, session.ended_at FROM session JOIN chain ON session.sid = chain.sid"
            " WHERE session.ended_at IS NULL ORDER BY session.created_at DESC LIMIT 1",
            (sid,),
        )
        return _session(rows[0]) if rows else None

    @reading
    def of(self, subject: str, *, at: Instant) -> Verb[list[Session]]:
        rows = yield Statement(
            "SELECT document, seen_at, ended_at FROM session"
            " WHERE subject = ? AND ended_at IS NULL AND expires_at > ? ORDER BY created_at DESC, sid",
            (subject, at),
        )
        return [_session(row) for row in rows]

    @writing
    def touch(self, sid: str, *, at: Instant) -> Verb[None]:
        yield Statement(
            "UPDATE session SET seen_at = ? WHERE sid = ? AND ended_at IS NULL AND seen_at < ?", (at, sid, at)
        )

    @writing
    def end(self, sid: str, *, at: Instant, revocations: Sequence[Revocation] = ()) -> Verb[bool]:
        # Its artifacts end with it: whatever is handed out for a session locks it and looks at `ended_at`.
        ended = yield Statement(
            "UPDATE session SET ended_at = ? WHERE sid = ? AND ended_at IS NULL RETURNING subject", (at, sid)
        )
        if ended:
            replaced = yield from _replaced(sid)
            yield from note(revocations)
            for entry in revocations:
                yield from note(_entries(replaced, entry=entry, at=at))
            yield from session_ended(sid, at=at)
            names = (sid, *(before for before, _ in replaced))
            yield from tell(ended[0][0], [changes.session_ended(name, at=at) for name in names], at=at)
        return bool(ended)

    @overhauling
    def end_all(self, subject: str, *, at: Instant, lifetime: int) -> Verb[int]:
        rows = yield Statement("SELECT document FROM account WHERE subject = ? FOR NO KEY UPDATE", (subject,))
        if not rows:
            return 0
        account = _ACCOUNT.decode(rows[0][0])
        epoch = account.epoch + 1
        yield Statement(
            "UPDATE account SET document = ? WHERE subject = ?",
            (msgspec.json.encode(replace(account, epoch=epoch)), subject),
        )
        yield from end_everything(subject, at=at)
        yield from note([Revocation(kind="subject", value=subject, epoch=epoch, expires_at=at + lifetime)])
        yield from tell(subject, [changes.sessions_ended(at=at)], at=at)
        return epoch
