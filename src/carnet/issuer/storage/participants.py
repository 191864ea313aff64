"""OpenID Connect Back-Channel Logout, Front-Channel Logout: the clients that want to be told when a session ends.

A client takes part under each `sid` that it has been told. When the session ends, in whatever way, its rows become due in the
same transaction: nobody who ends a session has to think of whom to tell, and no crash forgets it.
"""

from collections.abc import Sequence

from carnet.ambient import Instant
from carnet.issuer.storage.records import Participant, Session
from carnet.issuer.storage.statements import Group, Row, Statement, Verb, reading, writing

_COLUMNS = "sid, client_id, subject, told, tries"


def _participant(row: Row) -> Participant:
    sid, client_id, subject, told, tries = row
    return Participant(sid=sid, client_id=client_id, subject=subject, told=told, tries=tries)


def session_ended(sid: str, *, at: Instant) -> Verb[None]:
    """Have those that take part in a session told."""
    yield Statement("UPDATE participant SET due_at = ? WHERE sid = ? AND due_at IS NULL", (at, sid))


def sessions_ended(subject: str, *, at: Instant) -> Verb[None]:
    """The same for all sessions of a subject."""
    yield Statement("UPDATE participant SET due_at = ? WHERE subject = ? AND due_at IS NULL", (at, subject))


def pass_on(before: str, session: Session) -> Verb[None]:
    """Whoever takes part in the session that a new one of the same person takes the place of takes part in that one.

    What they hold may carry the new `sid` as well from now on: they will be told of both.
    """
    yield Statement(
        "UPDATE participant SET sid = ? WHERE sid = ? AND subject = ?", (session.sid, before, session.subject)
    )
    yield Statement(
        "INSERT INTO participant (sid, client_id, subject, told, tries)"
        " SELECT DISTINCT sid, client_id, subject, sid, 0 FROM participant WHERE sid = ?",
        (session.sid,),
    )


class StoredParticipants(Group):
    @writing
    def join(self, sid: str, client_id: str, *, at: Instant) -> Verb[bool]:
        rows = yield Statement("SELECT subject, ended_at FROM session WHERE sid = ? FOR SHARE", (sid,))
        there = yield Statement("SELECT 1 FROM client WHERE client_id = ? FOR KEY SHARE", (client_id,))
        if not rows or not there:
            return False
        subject, ended_at = rows[0]
        yield Statement(
            "INSERT INTO participant (sid, client_id, subject, told, tries, due_at) VALUES (?, ?, ?, ?, 0, ?)"
            " ON CONFLICT DO NOTHING",
            (sid, client_id, subject, sid, None if ended_at is None else at),
        )
        return ended_at is None

    @reading
    def of(self, sid: str) -> Verb[list[Participant]]:
        rows = yield Statement(
            f"SELECT {_COLUMNS} FROM participant WHERE sid = ? ORDER BY client_id, told",  # noqa: S608 - a constant
            (sid,),
        )
        return [_participant(row) for row in rows]

    @writing
    def due(self, *, at: Instant, pauses: Sequence[int], limit: int = 20) -> Verb[list[Participant]]:
        rows = yield Statement(
            f"SELECT {_COLUMNS} FROM participant WHERE due_at <= ? ORDER BY due_at LIMIT ?"  # noqa: S608 - a constant
            " FOR UPDATE SKIP LOCKED",
            (at, limit),
        )
        taken = [_participant(row) for row in rows]
        for one in taken:
            key = (one.sid, one.client_id, one.told)
            if one.tries < len(pauses):
                yield Statement(
                    "UPDATE participant SET tries = ?, due_at = ? WHERE sid = ? AND client_id = ? AND told = ?",
                    (one.tries + 1, at + pauses[one.tries], *key),
                )
            else:
                yield Statement("DELETE FROM participant WHERE sid = ? AND client_id = ? AND told = ?", key)
        return taken

    @writing
    def leave(self, participant: Participant) -> Verb[None]:
        yield Statement(
            "DELETE FROM participant WHERE sid = ? AND client_id = ? AND told = ?",
            (participant.sid, participant.client_id, participant.told),
        )
