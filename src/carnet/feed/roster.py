"""Who listens to a feed: as they name themselves, with the keys that they hold, and how far each has come.

What they say of themselves is not proved: it is shown to administrators and decides nothing.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from carnet.ambient import Instant

REMEMBERED = 60
"""Seconds for which one that polls is remembered between two polls."""

_NAME = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,79}")
_KID = re.compile(r"[\x21-\x7e]{1,100}")
_MOST_KIDS = 16
_MOST_POLLING = 10_000


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a listener says of itself when it comes."""

    name: str = ""
    """Empty: it did not say."""
    kids: tuple[str, ...] = ()
    """Of the issuer's keys, those that it holds."""


def checked_name(name: str) -> str:
    """Raises ValueError for what no listener is called."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"The name {name!r} is not 1 to 80 printable ASCII characters.")
    return name


def introduced(name: str, kids: Iterable[str]) -> Introduction:
    """Read what a listener says of itself. What cannot be shown is left out: nobody loses the feed because of a name."""
    usable = [kid for kid in kids if _KID.fullmatch(kid)]
    return Introduction(name if _NAME.fullmatch(name) else "", tuple(usable[:_MOST_KIDS]))


@dataclass(slots=True, eq=False)
class Listener:
    """One that is listening now, or has polled a moment ago."""

    introduction: Introduction
    stream: str
    sequence: int
    """The number that it had when it came, then of the newest message that was sent to it."""
    since: Instant
    """When it came."""
    told_at: Instant
    """When it was last sent something."""
    polls: bool

    def told(self, sequence: int, *, at: Instant) -> None:
        """Note that a message was sent to it."""
        self.sequence, self.told_at = max(self.sequence, sequence), at


class Roster:
    """The listeners of one channel."""

    def __init__(self) -> None:
        self._connected: set[Listener] = set()
        self._polling: dict[str, Listener] = {}

    @contextmanager
    def entered(self, listener: Listener) -> Iterator[Listener]:
        """Count it as listening inside of the block; one that polls under a name is remembered a while longer."""
        name = listener.introduction.name
        before = self._polling.pop(name, None)
        if listener.polls and before is not None:
            listener.since = before.since
        self._connected.add(listener)
        try:
            yield listener
        finally:
            self._connected.discard(listener)
            if listener.polls and name:
                while len(self._polling) >= _MOST_POLLING:
                    del self._polling[next(iter(self._polling))]
                self._polling[name] = listener

    def listeners(self, *, at: Instant) -> list[Listener]:
        """Those of this moment, as they are now, in the order of their names."""
        between = [one for one in self._polling.values() if at - one.told_at < REMEMBERED]
        return sorted(map(replace, (*self._connected, *between)), key=lambda one: (one.introduction.name, one.since))
