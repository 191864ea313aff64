"""Fixtures for pytest, so that services test their rules offline and without sleeping.

def test_an_admin_may(carnet_issuer, client):
    with carnet_issuer.trusted_by(guard):
        assert client.get("/orders", headers=carnet_issuer.headers(roles="ADMIN")).status_code == 200

def test_a_token_ends(carnet_issuer, carnet_clock, client):
    with carnet_issuer.trusted_by(guard):
        headers = carnet_issuer.headers(expires_in=300)
        carnet_clock.advance(300 + 60)  # the guard's leeway
        assert client.get("/orders", headers=headers).status_code == 401
"""

from typing import TYPE_CHECKING

import pytest

if (
    TYPE_CHECKING
):  # pytest loads this for every run wherever Carnet is installed: nothing else is imported before it is needed
    from carnet.testing import Clock
    from carnet.testing.issuer import FakeIssuer


@pytest.fixture
def carnet_clock() -> "Clock":
    """One clock for the issuer and for the guards that trust it; it stands still until it is moved."""
    from carnet.testing import Clock  # noqa: PLC0415 - see above

    return Clock()


@pytest.fixture
def carnet_issuer(carnet_clock: "Clock") -> "FakeIssuer":
    """A fake issuer that lives by `carnet_clock`."""
    from carnet.testing.issuer import FakeIssuer  # noqa: PLC0415 - see above

    return FakeIssuer(ambient=carnet_clock.ambient)
