"""What is PostgreSQL's alone: transactions that are run again, connections that break."""

import asyncpg
import pytest

from carnet.ambient import SYSTEM
from carnet.issuer.storage.ports import StaleError, StorageError
from carnet.issuer.storage.postgresql import PostgresqlEngine
from carnet.issuer.storage.statements import Statement
from carnet.issuer.storage.store import EngineStore
from carnet.testing.storage.samples import account

pytestmark = [pytest.mark.anyio, pytest.mark.postgresql]


@pytest.fixture
async def engine(postgresql_url):
    engine = PostgresqlEngine(postgresql_url, SYSTEM, connections=2)
    await EngineStore(engine).migrate()
    yield engine
    await engine.close()


def failing(times, code):
    """A verb that adds an account, and fails so many times with that SQLSTATE before it goes well."""
    tries = iter(range(100))

    def verb():
        number = next(tries)
        yield Statement(
            "INSERT INTO account (subject, email_key, name_key, document) VALUES (?, ?, '', '')", (f"{number}",) * 2
        )
        if number < times:
            yield Statement(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
        return number

    return verb


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_the_victim_of_a_deadlock_is_run_again_from_its_beginning(engine, code):
    assert await engine.write(failing(3, code)) == 3
    assert await EngineStore(engine).accounts.count() == 1


async def test_it_is_not_run_again_without_end(engine):
    with pytest.raises(StorageError, match="SQLSTATE 40001"):
        await engine.write(failing(100, "40001"))


async def test_other_failures_are_not_run_again(engine):
    with pytest.raises(StorageError, match="SQLSTATE 22012"):
        await engine.write(failing(1, "22012"))
    with pytest.raises(StaleError):
        await engine.write(failing(1, "23503"))
    assert await EngineStore(engine).accounts.count() == 0


async def test_a_connection_that_the_server_ended_is_made_anew(engine, postgresql_url):
    store = EngineStore(engine)
    other = await asyncpg.connect(postgresql_url)
    for number in range(5):
        await other.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await store.accounts.add(account(f"a{number}"))
        assert await store.accounts.get(f"a{number}") == account(f"a{number}")
    await other.close()


async def test_a_connection_that_breaks_during_the_commit_leaves_the_outcome_open_and_says_so(engine, monkeypatch):
    async def broken(transaction):
        await transaction._connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr("asyncpg.transaction.Transaction.commit", broken)
    with pytest.raises(StorageError, match="whether it was is not known"):
        await engine.write(failing(0, ""))
