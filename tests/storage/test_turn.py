"""Processes that write to one SQLite file take turns."""

import asyncio

import pytest

from carnet.ambient import SYSTEM
from carnet.issuer.config import Config
from carnet.issuer.storage import open_store, sqlite, turn
from carnet.issuer.storage.ports import StorageError
from carnet.issuer.storage.turn import Turn
from carnet.testing.storage.samples import NOW

pytestmark = pytest.mark.anyio

LONG, SHORT = 10, 0.01
"""Seconds: of somebody who will get his turn, and of somebody who will not."""


@pytest.fixture(params=[1, 20], ids=["a thread waits", "the loop looks"])
def turns(request, tmp_path, monkeypatch):
    """Two processes' turns: a lock belongs to whoever has opened the directory."""
    monkeypatch.setattr(turn, "_LOOKS", request.param)
    mine, yours = Turn(tmp_path), Turn(tmp_path)
    yield mine, yours
    mine.close()
    yours.close()


async def test_who_waits_gets_the_turn_when_it_is_given_back(turns):
    mine, yours = turns
    assert await mine.take(LONG)
    waiting = asyncio.create_task(yours.take(LONG))
    await asyncio.sleep(0)
    assert not waiting.done()
    mine.give()
    assert await waiting
    assert not await mine.take(SHORT)
    yours.give()
    assert await mine.take(LONG)


async def test_a_turn_that_comes_when_nobody_wants_it_any_more_is_given_back(turns):
    mine, yours = turns
    assert await mine.take(LONG)
    assert not await yours.take(SHORT)
    mine.give()
    assert await mine.take(LONG)
    mine.give()
    assert await yours.take(LONG)


async def test_a_task_that_is_told_to_stop_waits_for_its_turn_nevertheless(turns):
    mine, yours = turns
    assert await mine.take(LONG)
    waiting = asyncio.create_task(yours.take(LONG))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    mine.give()
    assert await waiting


async def test_a_turn_that_is_not_given_back_refuses_the_writes_of_others_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "_BUSY_SECONDS", SHORT)
    store = open_store(Config(data=tmp_path), SYSTEM)
    await store.migrate()
    held = Turn(tmp_path)
    assert await held.take(LONG)
    answers = await asyncio.gather(
        *(store.throttle.hit("ada", at=NOW, window=60) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(answer, StorageError) and "locked" in str(answer) for answer in answers)
    assert await store.accounts.get("ada") is None
    held.give()
    monkeypatch.setattr(sqlite, "_BUSY_SECONDS", LONG)
    assert await store.throttle.hit("ada", at=NOW, window=60) == 1
    await store.close()
    held.close()
