"""What the guard's tests share: one clock for issuer and guard, and a fake issuer."""

import pytest

from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> FakeIssuer:
    return FakeIssuer("https://issuer.test", audience="orders", ambient=clock.ambient)


def _expire(issuer, clock):
    for _ in range(13):  # the feed stays fresh meanwhile
        clock.advance(30)
        issuer.beat()


ENDS = {
    "revoked": lambda issuer, clock: issuer.revoke("session", "s1"),
    "expired": _expire,
    "the feed is stale": lambda issuer, clock: clock.advance(31),
}
"""What ends a token while something that it let in goes on."""
