"""A store on each backend, and a second node on the same database."""

from collections.abc import Callable
from pathlib import Path

import pytest

from carnet.ambient import SYSTEM
from carnet.issuer.config import Config
from carnet.issuer.storage import open_store
from carnet.issuer.storage.ports import Store


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens another store on the test's database."""
    database = None if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    return lambda: open_store(Config(data=tmp_path / "data", database=database), SYSTEM)


@pytest.fixture
async def store(opened):
    store = opened()
    await store.migrate()
    yield store
    await store.close()


@pytest.fixture
async def peer(store, opened):
    peer = opened()
    yield peer
    await peer.close()
