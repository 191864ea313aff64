"""What users of the guard test their own services with."""

from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from carnet.guard import Principal, wsgi
from carnet.guard.fastapi import Guard
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer
from carnet.testing.plugin import carnet_clock, carnet_issuer  # noqa: F401 - these are fixtures

guard = Guard(issuer="https://id.example", audience="orders")
app = FastAPI(lifespan=guard.lifespan)


@app.get("/orders")
async def orders(principal: Annotated[Principal, guard.require(role="ADMIN")]) -> Any:
    return {"subject": principal.subject}


def test_a_service_is_tested_offline(carnet_issuer: FakeIssuer) -> None:  # noqa: F811
    with carnet_issuer.trusted_by(guard), TestClient(app) as client:
        assert client.get("/orders").status_code == 401
        assert client.get("/orders", headers=carnet_issuer.headers(roles="USER")).status_code == 403
        answer = client.get("/orders", headers=carnet_issuer.headers("bob", roles="ADMIN"))
        assert (answer.status_code, answer.json()) == (200, {"subject": "bob"})
        carnet_issuer.rotate()
        assert client.get("/orders", headers=carnet_issuer.headers(roles="ADMIN")).status_code == 200


def test_time_passes_when_it_is_told_to(carnet_issuer: FakeIssuer, carnet_clock: Clock) -> None:  # noqa: F811
    with carnet_issuer.trusted_by(guard), TestClient(app) as client:
        headers = carnet_issuer.headers(roles="ADMIN", expires_in=300)
        carnet_clock.advance(359)
        assert client.get("/orders", headers=headers).status_code == 200
        carnet_clock.advance(1)
        assert client.get("/orders", headers=headers).status_code == 401


def test_afterwards_a_guard_trusts_its_own_issuer_again(carnet_issuer: FakeIssuer) -> None:  # noqa: F811
    before = guard.checkpoint
    with carnet_issuer.trusted_by(guard):
        assert guard.checkpoint is not before
        assert carnet_issuer.issuer == "https://id.example"
    assert guard.checkpoint is before
    assert carnet_issuer.issuer == "https://issuer.test"


def test_several_guards_of_one_issuer_trust_the_same_fake(carnet_issuer: FakeIssuer) -> None:  # noqa: F811
    other = wsgi.Guard(issuer="https://id.example", audience="invoices")
    with carnet_issuer.trusted_by(guard, other):
        assert carnet_issuer.claims()["aud"] == ["invoices", "orders"]
        principal = other.admit({"HTTP_AUTHORIZATION": carnet_issuer.headers()["authorization"]})
        assert principal.subject == "alice"
        other.checkpoint.source.stop()
    with pytest.raises(ValueError, match="different issuers"):
        carnet_issuer.trusted_by(guard, wsgi.Guard(issuer="https://other.example", audience="a")).__enter__()
