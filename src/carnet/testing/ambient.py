"""A clock that stands still until it is moved, and randomness that is the same in every run."""

from hashlib import shake_256

from carnet.ambient import Ambient, Instant


class Clock:
    """Gives an `Ambient` to whatever is tested: `Clock().ambient`.

    Its entropy is a stream that depends on the seed alone; two clocks that must not give the same bytes get two seeds.
    """

    def __init__(self, now: Instant = 1_800_000_000, *, seed: str = "") -> None:
        self._wall = float(now)
        self._monotonic = 0.0
        self._seed = seed.encode()
        self._drawn = 0
        self.ambient = Ambient(now=self.now, monotonic=self.monotonic, entropy=self.entropy)

    def now(self) -> Instant:
        """The wall clock, in whole seconds since 1970-01-01T00:00:00Z."""
        return int(self._wall)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._monotonic

    def entropy(self, length: int) -> bytes:
        """The next bytes of the stream."""
        self._drawn += 1
        return shake_256(self._drawn.to_bytes(8) + self._seed).digest(length)

    def advance(self, seconds: float) -> None:
        """Let time pass: both clocks move."""
        if seconds < 0:
            raise ValueError("Time does not pass backwards: `jump` sets the wall clock back.")
        self._wall += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or NTP does; the monotonic clock does not notice."""
        self._wall += seconds
