"""The audit trail: lines are added and never changed."""

import msgspec

from carnet.issuer.storage.records import Event
from carnet.issuer.storage.statements import Group, Statement, Verb, scanning, writing

_EVENT = msgspec.json.Decoder(Event)
_NEWEST = 2**63 - 1


class StoredEvents(Group):
    @writing
    def add(self, event: Event) -> Verb[None]:
        yield Statement(
            "INSERT INTO event (subject, document) VALUES (?, ?)", (event.subject, msgspec.json.encode(event))
        )

    @scanning
    def list(
        self, *, before: int | None = None, limit: int = 100, subject: str | None = None
    ) -> Verb[list[tuple[int, Event]]]:
        end = _NEWEST if before is None else before
        if subject is None:
            rows = yield Statement(
                "SELECT number, document FROM event WHERE number < ? ORDER BY number DESC LIMIT ?", (end, limit)
            )
        else:
            rows = yield Statement(
                "SELECT number, document FROM event WHERE subject = ? AND number < ? ORDER BY number DESC LIMIT ?",
                (subject, end, limit),
            )
        return [(number, _EVENT.decode(document)) for number, document in rows]
