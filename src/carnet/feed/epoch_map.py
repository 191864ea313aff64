"""The epoch map: what has been taken back, looked up in memory for each verified token."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from carnet.ambient import Instant, lapsed
from carnet.feed.entries import OUTRIGHT, Columns, Entry, Mark, mark, stricter, unpack


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one token, made once when it is verified."""

    outright: tuple[Mark, ...]
    """Of its session, family, `jti`, client and key: an entry for one of them refuses it."""
    subject: Mark
    epoch: int
    """Its `sep`: an entry for the subject with a higher one refuses it."""


@dataclass(frozen=True, slots=True)
class TokenNames:
    """What an access token says of where it comes from (RFC 9068, and our `sep`)."""

    subject: str
    client_id: str
    jti: str
    kid: str | None = None
    sid: str | None = None
    epoch: int = 0

    def marks(self, key: bytes) -> Marks:
        """The marks under a stream's key. A `jti` that begins with a family and a dot speaks for the family too."""
        family, dot, _ = self.jti.partition(".")
        names = [("token", self.jti), ("client", self.client_id)]
        if dot:
            names.append(("family", family))
        if self.sid is not None:
            names.append(("session", self.sid))
        if self.kid is not None:
            names.append(("key", self.kid))
        return Marks(
            outright=tuple(mark(kind, value, key=key) for kind, value in names),
            subject=mark("subject", self.subject, key=key),
            epoch=self.epoch,
        )


class EpochMap:
    """A snapshot's entries, in place and sorted (16 bytes each), under a dictionary of those that came since.

    Nothing is ever taken out: an entry that has expired concerns only tokens that have expired too. The map is replaced by a
    newer snapshot when `overlay` has grown.
    """

    __slots__ = ("_columns", "_since", "generation", "key")

    def __init__(self, packed: bytes = b"", *, key: bytes = b"", generation: int = 0) -> None:
        """Read packed entries, whose marks are made under the stream's `key`.

        `generation` is a number that no earlier map of this follower had.

        Raises:
            MalformedError: those are not packed entries.
        """
        self._columns: Columns = unpack(packed)
        self.key = key
        self._since: dict[Mark, tuple[int, Instant]] = {}
        self.generation = generation
        """Rises with each change: what was looked up under the same generation need not be looked up again."""

    def __len__(self) -> int:
        return len(self._columns.marks) + len(self._since)

    def __contains__(self, wanted: Mark) -> bool:
        return wanted in self._since or self._in_snapshot(wanted) is not None

    @property
    def overlay(self) -> int:
        """How many entries have come since the snapshot."""
        return len(self._since)

    def apply(self, entries: Iterable[Entry]) -> None:
        """Add entries; twice is as good as once, and the order does not matter."""
        for entry in entries:
            known = self._since.get(entry.mark) or self._in_snapshot(entry.mark)
            epoch, expires_at = entry.epoch, entry.expires_at
            if known is not None:
                epoch, expires_at = stricter(known[0], epoch), max(known[1], expires_at)
            self._since[entry.mark] = (epoch, expires_at)
            self.generation += 1

    def copy(self) -> "EpochMap":
        """The map of this moment, which another thread may read while this one goes on."""
        copied = EpochMap(key=self.key, generation=self.generation)
        copied._columns, copied._since = self._columns, dict(self._since)
        return copied

    def refuses(self, marks: Marks) -> bool:
        """Whether a token with these marks has been taken back."""
        for one in marks.outright:
            if one in self:
                return True
        found = self._since.get(marks.subject) or self._in_snapshot(marks.subject)
        return found is not None and (found[0] == OUTRIGHT or marks.epoch < found[0])

    def live(self, *, at: Instant) -> Iterator[Entry]:
        """What a snapshot made now would hold."""
        for one, epoch, expires_at in zip(*self._columns, strict=True):
            if one not in self._since and not lapsed(expires_at, at=at):
                yield Entry(one, epoch, expires_at)
        for one, (epoch, expires_at) in self._since.items():
            if not lapsed(expires_at, at=at):
                yield Entry(one, epoch, expires_at)

    def _in_snapshot(self, wanted: Mark) -> tuple[int, Instant] | None:
        marks = self._columns.marks
        index = bisect_left(marks, wanted)
        if index < len(marks) and marks[index] == wanted:
            return self._columns.epochs[index], self._columns.expiries[index]
        return None
