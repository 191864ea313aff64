"""Who listens to a feed: as they name themselves, with the keys that they hold, and how far each has come.

What they say of themselves is not proved. It is shown to administrators, and a new signing key waits for it, but not for ever:
whoever lies can put that off and nothing else.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from carnet.ambient import Instant

REMEMBERED = 60
"""Seconds for which one that polls is remembered between two polls."""

_NAME = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,79}")
_KID = re.compile(r"[\x21-\x7e]{1,100}")
_MOST_KIDS = 16
_MOST_LACKING = 8
_MOST_GUARDS = 1_000_000
_MOST_POLLING = 10_000


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a listener says of itself when it comes."""

    name: str = ""
    """Empty: it did not say."""
    kids: tuple[str, ...] | None = None
    """Of the issuer's keys, those that it holds; of a relay: those that all who listen to it hold too. None: it did not say."""
    guards: int = 1
    """For how many it stands: a relay for those that listen to it."""
    lacking: tuple[str, ...] = ()
    """Of those that listen to a relay, some that lack a key that the relay holds."""

    def lacks(self, kid: str) -> bool:
        """Whether it is known to be without that key."""
        return self.kids is not None and kid not in self.kids


def checked_name(name: str) -> str:
    """Raises ValueError for what no listener is called."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"The name {name!r} is not 1 to 80 printable ASCII characters.")
    return name


def introduced(name: str, kids: Iterable[str] | None, *, guards: str = "", lacking: Iterable[str] = ()) -> Introduction:
    """Read what a listener says of itself. What cannot be shown is left out: nobody loses the feed because of a name."""
    usable = None if kids is None else tuple(kid for kid in kids if _KID.fullmatch(kid))[:_MOST_KIDS]
    count = int(guards) if guards.isascii() and guards.isdecimal() and len(guards) < 8 else 1
    names = tuple(one for one in lacking if _NAME.fullmatch(one))[:_MOST_LACKING]
    return Introduction(name if _NAME.fullmatch(name) else "", usable, min(count, _MOST_GUARDS), names)


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
    address: str = ""
    """Where it comes from, as far as that is to be counted; empty: not known."""

    def told(self, sequence: int, *, at: Instant) -> None:
        """Note that a message was sent to it."""
        self.sequence, self.told_at = max(self.sequence, sequence), at


class Roster:
    """The listeners of one channel."""

    def __init__(self) -> None:
        self._connected: set[Listener] = set()
        self._polling: dict[tuple[str, str], Listener] = {}
        self._addresses: Counter[str] = Counter()

    def at(self, address: str) -> int:
        """How many listen from there at this moment."""
        return self._addresses[address]

    @contextmanager
    def entered(self, listener: Listener) -> Iterator[Listener]:
        """Count it as listening inside of the block; one that polls under a name is remembered a while longer."""
        who = listener.introduction.name, listener.address
        before = self._polling.pop(who, None)
        if listener.polls and before is not None:
            listener.since = before.since
        self._connected.add(listener)
        self._addresses[listener.address] += 1
        try:
            yield listener
        finally:
            self._connected.discard(listener)
            self._addresses[listener.address] -= 1
            if not self._addresses[listener.address]:
                del self._addresses[listener.address]
            if listener.polls and listener.introduction.name:
                while len(self._polling) >= _MOST_POLLING:
                    del self._polling[next(iter(self._polling))]
                self._polling[who] = listener

    def listeners(self, *, at: Instant) -> list[Listener]:
        """Those of this moment, as they are now, in the order of their names."""
        between = [one for one in self._polling.values() if at - one.told_at < REMEMBERED]
        return sorted(map(replace, (*self._connected, *between)), key=lambda one: (one.introduction.name, one.since))

    def spoken_for(self, name: str, kids: Collection[str], *, at: Instant) -> Introduction:
        """How a relay that holds those keys introduces itself further up: for itself, and for all who listen to it."""
        introductions = [one.introduction for one in self.listeners(at=at)]
        missing = {kid for kid in kids if any(one.lacks(kid) for one in introductions)}
        lacking = (
            one.lacking or (one.name or "unnamed",) for one in introductions if any(one.lacks(kid) for kid in missing)
        )
        names = dict.fromkeys(name for names in lacking for name in names)
        return Introduction(
            name,
            tuple(sorted(set(kids) - missing)),
            min(sum(one.guards for one in introductions), _MOST_GUARDS),
            tuple(sorted(names)[:_MOST_LACKING]),
        )
