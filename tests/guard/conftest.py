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
