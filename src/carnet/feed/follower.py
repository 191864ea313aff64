"""Following the feed: what a guard or a relay does with what comes, as a state machine without I/O.

A follower is not ready before its first snapshot. It applies messages that join on to what it has; at any gap, other stream or
step back it asks for a new snapshot and goes on refusing what it knows of. Its staleness counts from the newest *signed* time,
so that a relay that delays cannot hide it, and grows with the monotonic clock.
"""

from dataclasses import dataclass
from enum import Enum

from carnet.ambient import Instant
from carnet.feed.entries import MalformedError, mark
from carnet.feed.epoch_map import EpochMap, Marks, TokenNames
from carnet.feed.messages import Message, RefusedError, Snapshot

CLOCK_ALARM = 2
"""Seconds by which the issuer's signed time may be ahead of our clock before that is an alarm."""
OVERLAY_LIMIT = 50_000
"""Entries that may come after a snapshot before a new one is worth its transfer."""


class Outcome(Enum):
    """What became of a message."""

    APPLIED = "applied"
    """It joined on, or was known already."""
    GAP = "gap"
    """Something is missing before it: a snapshot is needed."""


@dataclass(frozen=True, slots=True)
class _Heard:
    issued_at: Instant
    age: float
    """How old it was when it came, by our clock; never below zero."""
    received: float
    """The monotonic clock when it came."""


class Follower:
    """One issuer's feed as it is known here."""

    __slots__ = ("_heard", "_map", "clock_error", "sequence", "stream", "wants_snapshot")

    def __init__(self) -> None:
        self._map = EpochMap()
        self._heard: _Heard | None = None
        self.stream: str | None = None
        self.sequence = 0
        self.wants_snapshot = True
        self.clock_error = 0
        """Seconds by which the newest signed time was ahead of our clock; above `CLOCK_ALARM`, a clock is wrong."""

    @property
    def ready(self) -> bool:
        """Whether a snapshot has come: before it, nobody can say what has been taken back."""
        return self.stream is not None

    @property
    def generation(self) -> int:
        """Rises with each change of the map."""
        return self._map.generation

    @property
    def entries(self) -> EpochMap:
        """The map as it is: with its key and its generation, so that another thread takes all three at once."""
        return self._map

    def marks(self, names: TokenNames) -> Marks:
        """What a token is looked up under, until the stream changes: then the map has another key."""
        return names.marks(self._map.key)

    def refuses(self, marks: Marks) -> bool:
        """Whether a token with these marks has been taken back, as far as is known here."""
        return self._map.refuses(marks)

    def taken_back(self, kind: str, value: str) -> bool:
        """Whether there is an entry of that kind for that name."""
        return self.ready and mark(kind, value, key=self._map.key) in self._map

    def staleness(self, *, monotonic: float) -> float | None:
        """Seconds since the newest signed time; None before the first snapshot."""
        if self._heard is None:
            return None
        return self._heard.age + max(0.0, monotonic - self._heard.received)

    def take_snapshot(self, snapshot: Snapshot, *, at: Instant, monotonic: float) -> None:
        """Take a snapshot in the map's place.

        Raises:
            RefusedError: it is older than what is known, or its entries are malformed; the map is left as it was.
        """
        if snapshot.stream == self.stream:
            # One that was signed before the newest message knows as much if it has come as far in the stream.
            if snapshot.sequence < self.sequence:
                raise RefusedError("The snapshot goes back in its stream.")
        elif self._heard is not None and snapshot.issued_at < self._heard.issued_at:
            raise RefusedError("The snapshot is of an older stream.")
        try:
            fresh = EpochMap(snapshot.packed, key=snapshot.key, generation=self._map.generation + 1)
        except MalformedError as error:
            raise RefusedError(str(error)) from error
        self._map = fresh
        self.stream, self.sequence = snapshot.stream, snapshot.sequence
        self.wants_snapshot = False
        self._hear(snapshot.issued_at, at=at, monotonic=monotonic)

    def take_message(self, message: Message, *, at: Instant, monotonic: float) -> Outcome:
        """Take a message; after `Outcome.GAP` the state is as before, but for `wants_snapshot`."""
        if message.stream != self.stream or message.after > self.sequence:
            self.wants_snapshot = True
            return Outcome.GAP
        if message.sequence < self.sequence:
            # Known already. One that was signed later but knows less is not of this history: a database was put back.
            if self._heard is not None and message.issued_at > self._heard.issued_at:
                self.wants_snapshot = True
                return Outcome.GAP
            return Outcome.APPLIED
        self._map.apply(message.entries)
        self.sequence = message.sequence
        if self._map.overlay > OVERLAY_LIMIT:
            self.wants_snapshot = True
        self._hear(message.issued_at, at=at, monotonic=monotonic)
        return Outcome.APPLIED

    def _hear(self, issued_at: Instant, *, at: Instant, monotonic: float) -> None:
        if self._heard is None or issued_at > self._heard.issued_at:
            self._heard = _Heard(issued_at, float(max(0, at - issued_at)), monotonic)
            self.clock_error = issued_at - at
