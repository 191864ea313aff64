"""The audit trail: lines are added and never changed, and go when their time is over."""

import msgspec

from carnet.ambient import Instant
from carnet.issuer.storage.records import Event
from carnet.issuer.storage.statements import Group, Statement, Verb, overhauling, scanning, writing

_EVENT = msgspec.json.Decoder(Event)


class StoredEvents(Group):
    @writing
    def add(self, event: Event) -> Verb[None]:
        yield Statement(
            "INSERT INTO event (subject, client_id, name, actor, at, document) VALUES (?, ?, ?, ?, ?, ?)",
            (event.subject, event.client_id, event.name, event.actor, event.at, msgspec.json.encode(event)),
        )

    @scanning
    def list(
        self,
        *,
        before: int | None = None,
        limit: int = 100,
        subject: str | None = None,
        client_id: str | None = None,
        name: str | None = None,
        actor: str | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
    ) -> Verb[list[tuple[int, Event]]]:
        asked = (
            ("number < ?", before),
            ("subject = ?", subject),
            ("client_id = ?", client_id),
            ("name = ?", name),
            ("actor = ?", actor),
            ("at >= ?", since),
            ("at < ?", until),
        )
        given = [(condition, value) for condition, value in asked if value is not None]
        where = " AND ".join(condition for condition, _ in given) or "TRUE"
        rows = yield Statement(
            f"SELECT number, document FROM event WHERE {where} ORDER BY number DESC LIMIT ?",  # noqa: S608 - constants
            (*(value for _, value in given), limit),
        )
        return [(number, _EVENT.decode(document)) for number, document in rows]

    @overhauling
    def sweep(self, *, before: Instant, limit: int = 500) -> Verb[int]:
        rows = yield Statement(
            "DELETE FROM event WHERE number IN (SELECT number FROM event WHERE at < ? ORDER BY at, number LIMIT ?)"
            " RETURNING 1",
            (before, limit),
        )
        return len(rows)
