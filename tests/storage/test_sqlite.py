"""What is SQLite's alone: one writer that commits in groups, the file and who may read it, a full disk, other processes."""

import asyncio
import os
import sqlite3
import stat
import threading

import pytest

from carnet.ambient import SYSTEM
from carnet.issuer.config import Config
from carnet.issuer.storage import open_store, sqlite
from carnet.issuer.storage.ports import AlreadyExistsError, Fresh, StaleError, StorageError
from carnet.issuer.storage.statements import Statement, Undo
from carnet.testing.storage.samples import NOW, account, artifact, lives, ownerless, rotate, settle

pytestmark = pytest.mark.anyio


@pytest.fixture
def data(tmp_path):
    return tmp_path / "new" / "data"


@pytest.fixture
async def store(data):
    store = open_store(Config(data=data), SYSTEM)
    await store.migrate()
    yield store
    await store.close()


@pytest.fixture
def writer(store):
    return store._engine._writer._connection


@pytest.fixture
def other_process(store, data):
    """A connection that knows nothing of the store's own, as the `carnet` command has."""
    connection = sqlite3.connect(data / "carnet.db", isolation_level=None)
    yield connection
    connection.close()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


async def test_nobody_else_can_read_the_files(tmp_path):
    before = os.umask(0)
    try:
        store = open_store(Config(data=tmp_path / "data"), SYSTEM)
        await store.migrate()
        files = list((tmp_path / "data").iterdir())
    finally:
        os.umask(before)
    assert mode(tmp_path / "data") == 0o700
    assert {file.name: mode(file) for file in files} == {
        "carnet.db": 0o600,
        "carnet.db-wal": 0o600,
        "carnet.db-shm": 0o600,
    }
    await store.close()


async def test_a_file_that_others_could_read_is_closed_to_them(tmp_path):
    (tmp_path / "carnet.db").touch(0o644)
    store = open_store(Config(data=tmp_path), SYSTEM)
    assert mode(tmp_path / "carnet.db") == 0o600
    await store.close()


async def test_commits_are_durable_and_references_are_kept(store, writer):
    for name, value in {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}.items():
        assert writer.execute(f"PRAGMA {name}").fetchone() == (value,)


async def test_verbs_that_wait_are_committed_together_and_answered_after_the_commit(store, writer):
    statements = []
    writer.set_trace_callback(statements.append)
    seen = []

    async def hit():
        await store.throttle.hit("ada", at=NOW, window=60)
        seen.append(statements.count("COMMIT"))

    await asyncio.gather(*(hit() for _ in range(100)))
    writer.set_trace_callback(None)
    assert sum(statement.startswith("INSERT INTO throttle") for statement in statements) == 100
    assert statements.count("COMMIT") <= 10
    assert min(seen) >= 1


async def test_a_verb_that_fails_takes_no_other_of_its_group_with_it(store, writer):
    statements = []
    writer.set_trace_callback(statements.append)
    answers = await asyncio.gather(
        *(store.accounts.add(account(f"a{number}", email=f"{number // 2}@example.org")) for number in range(40)),
        return_exceptions=True,
    )
    writer.set_trace_callback(None)
    assert statements.count("COMMIT") < 40
    assert [type(answer) for answer in answers] == [type(None), AlreadyExistsError] * 20
    assert await store.accounts.count() == 20


async def test_a_programming_error_reaches_the_caller_as_it_is_and_the_writer_goes_on(store):
    def broken():
        yield Statement("INSERT INTO client (client_id, document) VALUES ('x', x'00')")
        raise KeyError("bug")

    with pytest.raises(KeyError):
        await store._engine.write(broken)
    assert await store.clients.get("x") is None
    assert await store.throttle.hit("ada", at=NOW, window=60) == 1


async def test_a_verb_can_undo_what_it_did_and_answer(store):
    def undone():
        yield Statement("INSERT INTO client (client_id, document) VALUES ('x', x'00')")
        raise Undo("answer")

    assert await store._engine.write(undone) == "answer"
    assert await store.clients.get("x") is None


async def test_a_verb_that_is_run_again_after_a_commit_failed_is_answered_by_its_last_run(store, writer):
    denied = iter([sqlite3.SQLITE_DENY])

    def refuse_one_commit(action, what, *_):
        commits = action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT"
        return next(denied, sqlite3.SQLITE_OK) if commits else sqlite3.SQLITE_OK

    runs = []

    def stale_until_it_is_alone():
        runs.append(None)
        if len(runs) < 3:
            raise StaleError("It was changed.")
        yield Statement("INSERT INTO client (client_id, document) VALUES ('x', x'00')")
        return "stored"

    writer.set_authorizer(refuse_one_commit)
    answers = await asyncio.gather(
        store.throttle.hit("ada", at=NOW, window=60), store._engine.write(stale_until_it_is_alone)
    )
    assert answers == [1, "stored"]


async def test_a_caller_that_goes_away_does_not_stop_the_writer(store):
    gone = asyncio.create_task(store.accounts.add(account()))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await store.throttle.hit("ada", at=NOW, window=60) == 1
    assert await store.accounts.get("ada") == account()


async def test_another_event_loop_is_refused_and_the_writer_goes_on(store):
    def ask_elsewhere():
        with pytest.raises(RuntimeError, match="event loop that used it first"):
            asyncio.run(store.throttle.hit("ada", at=NOW, window=60))

    await asyncio.to_thread(ask_elsewhere)
    assert await store.throttle.hit("ada", at=NOW, window=60) == 1


async def test_what_may_take_a_while_leaves_the_loop_free(store):
    begun, go_on = threading.Event(), threading.Event()

    def long():
        yield Statement("INSERT INTO client (client_id, document) VALUES ('x', x'00')")
        begun.set()
        assert go_on.wait(10)
        return threading.current_thread()

    working = asyncio.create_task(store._engine.overhaul(long))
    await asyncio.to_thread(begun.wait, 10)
    assert await store.accounts.get("ada") is None  # the loop looks things up meanwhile
    go_on.set()
    assert await working is not threading.current_thread()


async def test_a_writer_that_is_told_to_stop_while_it_commits_ends_what_it_has_begun(data):
    store = open_store(Config(data=data), SYSTEM)
    await store.migrate()
    put = asyncio.create_task(store.artifacts.put(ownerless("1")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    store._engine._writer._work.cancel()
    assert await put
    assert await store.artifacts.put(ownerless("2"))
    await store.close()
    again = open_store(Config(data=data), SYSTEM)
    assert [await lives(again, name, "replay_id") for name in "12"] == [True, True]
    await again.close()


async def test_a_write_waits_for_another_process_and_reads_do_not(store, other_process):
    other_process.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(store.accounts.add(account()))
    await store.check()
    assert await store.accounts.get("ada") is None
    assert not waiting.done()
    other_process.execute("COMMIT")
    await waiting
    assert await store.accounts.get("ada") == account()


async def test_a_write_that_waited_too_long_is_refused_and_nothing_was_changed(store, other_process, monkeypatch):
    monkeypatch.setattr(sqlite, "_WAIT", "PRAGMA busy_timeout = 1")
    other_process.execute("BEGIN IMMEDIATE")
    answers = await asyncio.gather(*(store.accounts.add(account(f"a{n}")) for n in range(3)), return_exceptions=True)
    assert all(isinstance(answer, StorageError) and "locked" in str(answer) for answer in answers)
    other_process.execute("ROLLBACK")
    assert await store.accounts.count() == 0
    await store.accounts.add(account())


async def test_a_program_that_comes_between_while_a_group_is_run_anew_is_waited_for(store, writer, other_process):
    loop, begun = asyncio.get_running_loop(), []

    def come_between(statement):
        if statement == "BEGIN IMMEDIATE":
            begun.append(statement)
            if len(begun) == 2:
                other_process.execute(statement)
                loop.call_soon(other_process.execute, "COMMIT")

    def undone():
        yield Statement("INSERT INTO client (client_id, document) VALUES ('x', x'00')")
        raise Undo("undone")

    writer.set_trace_callback(come_between)
    answers = await asyncio.gather(store.throttle.hit("ada", at=NOW, window=60), store._engine.write(undone))
    writer.set_trace_callback(None)
    assert answers == [1, "undone"]
    assert len(begun) == 3, "it was tried once, and then waited for"


async def test_a_read_that_finds_the_file_locked_waits_elsewhere(store, data):
    await store.accounts.add(account())
    reader = store._engine._reader

    class Locked:
        def execute(self, *_):
            store._engine._reader = reader
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error

    store._engine._reader = Locked()
    assert await store.accounts.get("ada") == account()


async def test_more_writes_than_can_be_answered_in_time_are_refused_at_once(store, other_process, monkeypatch):
    monkeypatch.setattr(sqlite, "_WAITING", 10)
    other_process.execute("BEGIN IMMEDIATE")
    tasks = [asyncio.create_task(store.throttle.hit("ada", at=NOW, window=60)) for _ in range(100)]
    await store.check()
    refused = [task for task in tasks if task.done()]
    assert len(refused) >= 80
    for task in refused:
        with pytest.raises(StorageError, match="writes are waiting"):
            await task
    other_process.execute("COMMIT")
    hits = await asyncio.gather(*(task for task in tasks if task not in refused))
    assert sorted(hits) == list(range(1, len(hits) + 1))


async def test_a_full_disk_refuses_what_does_not_fit_keeps_the_old_state_and_serves_on(store, writer):
    await settle(store)
    await store.artifacts.put(artifact("r0"))
    [[pages]] = writer.execute("PRAGMA page_count").fetchall()
    writer.execute(f"PRAGMA max_page_count = {pages + 2}")
    big = b"x" * 100_000
    answers = await asyncio.gather(
        store.throttle.hit("ada", at=NOW, window=60),
        rotate(store, "r0", "r1", document=big),
        store.throttle.hit("ada", at=NOW, window=60),
        rotate(store, "r0", "r2", document=big),
        store.throttle.hit("ada", at=NOW, window=60),
        return_exceptions=True,
    )
    assert answers[::2] == [1, 2, 3]
    assert all(isinstance(answer, StorageError) and "full" in str(answer) for answer in answers[1::2])
    assert await lives(store, "r0")
    assert not await lives(store, "r1")
    assert await store.throttle.hit("ada", at=NOW, window=60) == 4
    writer.execute("PRAGMA max_page_count = 1000000")
    assert isinstance(await rotate(store, "r0", "r1", document=big), Fresh)
    assert await lives(store, "r1")


async def test_filling_the_disk_to_the_last_page_never_leaves_half_of_a_rotation(store, writer):
    await settle(store)
    await store.artifacts.put(artifact("0"))
    [[pages]] = writer.execute("PRAGMA page_count").fetchall()
    generation = 0
    for more in range(1, 40):
        writer.execute(f"PRAGMA max_page_count = {pages + more}")
        for _ in range(50):
            try:
                await rotate(store, f"{generation}", f"{generation + 1}", document=f"{generation}".encode() * 300)
            except StorageError:
                break
            generation += 1
        [live] = await store.artifacts.families("ada", at=NOW)
        assert await lives(store, f"{generation}")
        assert not await lives(store, f"{generation + 1}")
    assert generation > 20


async def test_closing_finishes_what_waits(data):
    store = open_store(Config(data=data), SYSTEM)
    await store.migrate()
    waiting = [asyncio.create_task(store.artifacts.put(ownerless(f"{number}"))) for number in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*waiting) == [True] * 50
    again = open_store(Config(data=data), SYSTEM)
    assert await lives(again, "49", "replay_id")
    await again.close()


async def test_an_sqlite_that_is_too_old_is_refused(data, monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
    with pytest.raises(StorageError, match=r"needs 3\.38 or newer"):
        open_store(Config(data=data), SYSTEM)
