"""The only door to the clock and to randomness: everything below the composition root takes them as an argument."""

import os
import time
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

Instant: TypeAlias = int
"""Whole seconds since 1970-01-01T00:00:00Z: the NumericDate of RFC 7519 section 2."""


class Ambient(NamedTuple):
    """What a running program takes from its surroundings; tests give their own (`carnet.testing`)."""

    now: Callable[[], Instant]
    """The wall clock. It may jump: only dates that are stored or sent are taken from it."""
    monotonic: Callable[[], float]
    """Seconds that never go back: durations inside one process are measured with it."""
    entropy: Callable[[int], bytes]
    """That many unguessable bytes."""


def _wall_clock() -> Instant:
    return int(time.time())


SYSTEM = Ambient(now=_wall_clock, monotonic=time.monotonic, entropy=os.urandom)


def lapsed(expires_at: Instant, *, at: Instant) -> bool:
    """RFC 7519 section 4.1.4: what expires at an instant is not accepted on or after it."""
    return at >= expires_at
