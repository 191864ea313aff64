"""A gateway whose settings are those of examples/gateway/gateway.toml, for an issuer without a network."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carnet.guard.gateway import Gateway
from carnet.guard.gateway.config import parse_config
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer

EXAMPLES = Path(__file__).parents[3] / "examples/gateway"


@pytest.fixture
def document(issuer: FakeIssuer) -> dict[str, Any]:
    """The example's settings, to be changed."""
    return tomllib.loads((EXAMPLES / "gateway.toml").read_text("utf-8")) | {"issuer": issuer.issuer}


@pytest.fixture
def make_gateway(issuer: FakeIssuer, clock: Clock, document: dict[str, Any]) -> Callable[..., Gateway]:
    def make(**changed: Any) -> Gateway:
        return Gateway(parse_config(document | changed), ambient=clock.ambient, transport=issuer.transport)

    return make
