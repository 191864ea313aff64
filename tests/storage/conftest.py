"""A store on each backend, and a second node on the same database."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from carnet.ambient import SYSTEM
from carnet.issuer.config import Config
from carnet.issuer.storage import open_store
from carnet.issuer.storage.ports import Store
from carnet.testing.postgresql import PostgresqlServer


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: PostgresqlServer) -> str:
    """A database with all tables, for tests to have copies of: to copy them is quicker than to make them."""
    url = postgresql_server.create_database()

    async def migrate() -> None:
        store = open_store(Config(database=url), SYSTEM)
        await store.migrate()
        await store.close()

    asyncio.run(migrate())
    return url


@pytest.fixture
def copied_postgresql(postgresql_server: PostgresqlServer, migrated_postgresql: str) -> Iterator[str]:
    url = postgresql_server.create_database(like=migrated_postgresql)
    yield url
    postgresql_server.drop_database(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens another store on the test's database: one with tables for whoever takes a `store` as well, else an empty one."""
    url = "copied_postgresql" if "store" in request.fixturenames else "postgresql_url"
    database = None if request.param == "sqlite" else request.getfixturevalue(url)
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
