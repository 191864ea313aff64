"""One feed's signed messages for many listeners: each is signed once, kept for a while, and read by all of them in order."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from carnet.feed.messages import Message
from carnet.feed.roster import Roster

KEPT = 2_000
"""Messages kept for listeners that come back or are slow."""


class GapError(Exception):
    """What this listener needs next is not kept any more, or is of another stream: it needs a snapshot."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A message and its signed form."""

    message: Message
    token: str


class Channel:
    """What the issuer's publisher, or a relay, writes, and its listeners read. For one event loop."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._kept: deque[Signed] = deque(maxlen=kept)
        self._count = 0
        self._changed = asyncio.Event()
        self._stream: str | None = None
        self._closed = False
        self.listeners = 0
        self.roster = Roster()
        """What the listeners say of themselves, where whoever serves them asks."""

    @property
    def newest(self) -> Signed | None:
        """The message that came last."""
        return self._kept[-1] if self._kept else None

    @property
    def closed(self) -> bool:
        """Whether all listening has been ended."""
        return self._closed

    def put(self, signed: Signed) -> None:
        """Add a message; one that does not join on to those before it begins anew, and listeners get a `GapError`."""
        message, newest = signed.message, self.newest
        if (
            newest is None
            or message.stream != self._stream
            or not message.after <= newest.message.sequence <= message.sequence
        ):
            self._kept.clear()
            self._count += 1  # a place that nobody can be at
            self._stream = message.stream
        self._kept.append(signed)
        self._count += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """End all listening: whoever carries the feed is about to stop."""
        self._closed = True
        self._changed.set()

    def joins(self, *, stream: str, after: int) -> bool:
        """Whether a listener that has come to this place in this stream can go on from it."""
        try:
            self._position(stream, after)
        except GapError:
            return False
        return True

    async def listen(self, *, stream: str, after: int, with_newest: bool = True) -> AsyncGenerator[Signed, None]:
        """All messages that join on to a place in a stream: the kept ones, then each as it comes, until `close`.

        Where nothing is new, `with_newest` begins with the newest message all the same, for the time that it tells.

        Raises:
            GapError: a snapshot is needed first, or again.
        """
        position = self._position(stream, after)
        if not with_newest and self._kept[-1].message.sequence == after:
            position = self._count
        self.listeners += 1
        try:
            while not self._closed:
                changed = self._changed
                while position < self._count:
                    first = self._count - len(self._kept)
                    if position < first or self._stream != stream:
                        raise GapError
                    yield self._kept[position - first]
                    position += 1
                if changed is self._changed:
                    await changed.wait()
        finally:
            self.listeners -= 1

    def _position(self, stream: str, after: int) -> int:
        """The number of the first message that tells such a listener something new."""
        if not self._kept or stream != self._stream or not self._kept[0].message.after <= after:
            raise GapError
        if after > self._kept[-1].message.sequence:
            raise GapError
        first = self._count - len(self._kept)
        for index, signed in enumerate(self._kept):
            if signed.message.sequence > after:
                return first + index
        return self._count - 1  # nothing new: the newest signed time at least
