"""The epoch map and its publisher's numbers (`docs/explanation/revocation.md`).

Whoever revokes leaves the entry's name in `unpublished`. A publisher numbers what it can see there: committed entries alone,
so no number is ever given to something that a reader of the numbers cannot see yet, and none is left out. An entry that was
committed before another one was begun comes before it.
"""

from collections.abc import Sequence

from carnet.ambient import Instant
from carnet.issuer.storage.pseudonyms import with_pseudonyms
from carnet.issuer.storage.records import Revocation, Stream
from carnet.issuer.storage.statements import Batch, Group, Row, Statement, Verb, overhauling, reading, scanning, writing


def note(revocations: Sequence[Revocation]) -> Verb[None]:
    """Write entries, in the transaction of what causes them. Entries about the same thing become one that refuses more.

    Those of subjects and sessions are written for all that pairwise clients know these as, too.
    """
    if not revocations:
        return
    revocations = yield from with_pseudonyms(revocations)
    # In one order, so that two transactions never wait for each other's entries.
    entries = sorted(revocations, key=lambda entry: (entry.kind, entry.value))
    yield Batch(
        "INSERT INTO revocation (kind, value, epoch, expires_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (kind, value) DO UPDATE SET"
        " epoch = CASE WHEN revocation.epoch IS NULL OR excluded.epoch IS NULL THEN NULL"
        " WHEN excluded.epoch > revocation.epoch THEN excluded.epoch ELSE revocation.epoch END,"
        " expires_at = CASE WHEN excluded.expires_at > revocation.expires_at THEN excluded.expires_at"
        " ELSE revocation.expires_at END",
        [(entry.kind, entry.value, entry.epoch, entry.expires_at) for entry in entries],
    )
    yield Batch(
        "INSERT INTO unpublished (kind, value) VALUES (?, ?)", [(entry.kind, entry.value) for entry in revocations]
    )


def _revocation(row: Row) -> Revocation:
    kind, value, epoch, expires_at, sequence = row
    return Revocation(kind=kind, value=value, epoch=epoch, expires_at=expires_at, sequence=sequence)


class StoredRevocations(Group):
    @writing
    def add(self, revocations: Sequence[Revocation]) -> Verb[None]:
        yield from note(revocations)

    @overhauling
    def publish(self, *, limit: int = 1000) -> Verb[list[Revocation]]:
        # The lock makes one publisher of many; the one who waited sees what the other has numbered.
        [[head]] = yield Statement("SELECT value FROM counter WHERE name = 'revocations' FOR UPDATE")
        taken = yield Statement(
            "SELECT unpublished.position, unpublished.kind, unpublished.value, revocation.expires_at FROM unpublished"
            " LEFT JOIN revocation ON revocation.kind = unpublished.kind AND revocation.value = unpublished.value"
            " ORDER BY unpublished.position LIMIT ?",
            (limit,),
        )
        if not taken:
            return []
        yield Batch("DELETE FROM unpublished WHERE position = ?", [(row[0],) for row in taken])
        # Noted twice: published once, in the place of the later one. Swept in the meantime: nobody needs it any more.
        places = {(kind, value): position for position, kind, value, expires_at in taken if expires_at is not None}
        numbers = {entry: head + place for place, entry in enumerate(sorted(places, key=places.__getitem__), start=1)}
        yield Batch(
            "UPDATE revocation SET sequence = ? WHERE kind = ? AND value = ?",
            [(numbers[entry], *entry) for entry in sorted(numbers)],
        )
        yield Statement("UPDATE counter SET value = ? WHERE name = 'revocations'", (head + len(numbers),))
        rows = yield Statement(
            "SELECT kind, value, epoch, expires_at, sequence FROM revocation WHERE sequence > ? ORDER BY sequence",
            (head,),
        )
        return [_revocation(row) for row in rows]

    @scanning
    def since(self, sequence: int, *, at: Instant, limit: int = 10_000) -> Verb[list[Revocation]]:
        rows = yield Statement(
            "SELECT kind, value, epoch, expires_at, sequence FROM revocation"
            " WHERE sequence > ? AND expires_at > ? ORDER BY sequence LIMIT ?",
            (sequence, at, limit),
        )
        return [_revocation(row) for row in rows]

    @reading
    def head(self) -> Verb[int]:
        [[value]] = yield Statement("SELECT value FROM counter WHERE name = 'revocations'")
        return int(value)

    @reading
    def settled(self) -> Verb[int | None]:
        [[value, waiting]] = yield Statement(
            "SELECT value, (SELECT 1 FROM unpublished LIMIT 1) FROM counter WHERE name = 'revocations'"
        )
        return None if waiting else int(value)

    @reading
    def find(self, kind: str, value: str, *, at: Instant) -> Verb[Revocation | None]:
        rows = yield Statement(
            "SELECT kind, value, epoch, expires_at, sequence FROM revocation"
            " WHERE kind = ? AND value = ? AND expires_at > ?",
            (kind, value, at),
        )
        return _revocation(rows[0]) if rows else None

    @reading
    def _stream(self) -> Verb[Stream | None]:
        rows = yield Statement("SELECT name, key FROM stream")
        return Stream(name=rows[0][0], key=bytes(rows[0][1])) if rows else None

    @writing
    def _begin_stream(self, fresh: Stream) -> Verb[None]:
        yield Statement(
            "INSERT INTO stream (one, name, key) VALUES (1, ?, ?) ON CONFLICT (one) DO NOTHING", (fresh.name, fresh.key)
        )

    async def stream(self, fresh: Stream) -> Stream:
        """It is asked for several times a second: read, and only written once."""
        while True:
            stream = await self._stream()
            if stream is not None:
                return stream
            await self._begin_stream(fresh)

    @overhauling
    def forget_stream(self) -> Verb[None]:
        yield Statement("DELETE FROM stream")
        yield Statement("DELETE FROM listed_token")

    @writing
    def longest_token(self, longest: int, *, at: Instant) -> Verb[int]:
        [[known]] = yield Statement("SELECT value FROM counter WHERE name = 'longest_access_token' FOR UPDATE")
        [[until]] = yield Statement("SELECT value FROM counter WHERE name = 'longest_access_token_until'")
        lowered = longest < known and not (until and at >= until)
        noted = (known, until or at + known) if lowered else (longest, 0)
        if noted != (known, until):
            yield Batch(
                "UPDATE counter SET value = ? WHERE name = ?",
                [(noted[0], "longest_access_token"), (noted[1], "longest_access_token_until")],
            )
        return int(noted[0])
