"""Which backend is used follows from the database's URL."""

from pathlib import Path

import pytest

import carnet.issuer.storage
from carnet.ambient import SYSTEM
from carnet.issuer.config import Config, ConfigError
from carnet.issuer.storage.opening import BACKENDS, open_store
from carnet.issuer.storage.ports import StorageError
from carnet.issuer.storage.postgresql import PostgresqlEngine
from carnet.issuer.storage.sqlite import SqliteEngine

pytestmark = pytest.mark.anyio


async def test_without_a_url_it_is_a_file_in_the_data_directory(tmp_path):
    store = open_store(Config(data=tmp_path / "data"), SYSTEM)
    assert isinstance(store._engine, SqliteEngine)
    assert (tmp_path / "data" / "carnet.db").is_file()
    await store.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
async def test_a_url_of_postgresql_is_not_connected_to_before_it_is_needed(scheme):
    store = open_store(Config(database=f"{scheme}://nobody@127.0.0.1:1/none"), SYSTEM)
    assert isinstance(store._engine, PostgresqlEngine)
    await store.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "", "postgresql", "//x/y"])
def test_another_url_is_refused(url):
    with pytest.raises(ConfigError, match="postgresql://"):
        open_store(Config(database=url), SYSTEM)


def test_every_engine_in_the_package_is_listed():
    folder = Path(carnet.issuer.storage.__file__).parent
    engines = {file.stem for file in folder.glob("*.py") if "def open_store(" in file.read_text()} - {"opening"}
    assert {backend.module.rpartition(".")[2] for backend in BACKENDS} == engines


async def test_a_server_that_cannot_be_reached_is_an_error_of_storage():
    store = open_store(Config(database="postgresql://nobody:hunter2@127.0.0.1:1/none"), SYSTEM)
    with pytest.raises(StorageError, match="cannot be reached") as caught:
        await store.migrate()
    assert "hunter2" not in str(caught.value)
    await store.close()


async def test_a_url_that_cannot_be_read_is_not_repeated():
    store = open_store(Config(database="postgresql://nobody:hun/ter2@127.0.0.1:5432/none"), SYSTEM)
    with pytest.raises(ConfigError) as caught:
        await store.migrate()
    assert "ter2" not in str(caught.value)
    await store.close()


async def test_a_file_that_is_no_database_is_an_error_of_storage(tmp_path):
    (tmp_path / "carnet.db").write_bytes(b"not a database, but long enough to have a header of one hundred bytes" * 4)
    with pytest.raises(StorageError, match="cannot be used as a SQLite database"):
        open_store(Config(data=tmp_path), SYSTEM)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot be used as a SQLite database"):
        open_store(Config(data=tmp_path / "file"), SYSTEM)
