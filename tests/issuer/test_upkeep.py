"""What a running issuer does besides answering: the audit trail goes when its time is over, and nothing ends the sweeping."""

from types import SimpleNamespace

import pytest

from carnet.issuer import upkeep
from carnet.issuer.config import Config, Lifetimes
from carnet.issuer.storage import open_store
from carnet.issuer.storage.ports import StorageError
from carnet.issuer.storage.records import Event
from carnet.testing import Clock

pytestmark = pytest.mark.anyio


class Enough(BaseException):
    """Ends what would go on for ever."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def config(tmp_path) -> Config:
    return Config(data=tmp_path, lifetimes=Lifetimes(event=100))


@pytest.fixture
async def store(config, clock):
    opened = open_store(config, clock.ambient)
    await opened.migrate()
    yield opened
    await opened.close()


@pytest.fixture
def rounds(store, config, clock, monkeypatch):
    """Sweeps so many rounds; the answer is how long it paused after each."""

    async def sweep(number: int) -> list[float]:
        pauses: list[float] = []

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) >= number:
                raise Enough

        monkeypatch.setattr(upkeep, "asyncio", SimpleNamespace(sleep=pause))
        with pytest.raises(Enough):
            await upkeep.sweep_forever(store, config, clock.ambient)
        return pauses

    return sweep


async def test_lines_of_the_audit_trail_go_when_their_time_is_over(store, clock, rounds):
    now = clock.now()
    for age in (200, 101, 100, 0):
        await store.events.add(Event(at=now - age, name="tried"))
    assert await rounds(1) == [upkeep.INTERVAL]
    assert [now - event.at for _, event in await store.events.list()] == [0, 100]


async def test_where_much_is_to_be_done_the_next_step_comes_soon(store, clock, rounds, monkeypatch):
    monkeypatch.setattr(upkeep, "STEP", 2)
    for age in range(200, 195, -1):
        await store.events.add(Event(at=clock.now() - age, name="tried"))
    assert await rounds(3) == [upkeep.PAUSE, upkeep.PAUSE, upkeep.INTERVAL]
    assert await store.events.list() == []


async def test_a_failure_is_tried_again_in_the_next_round(store, rounds, monkeypatch, caplog):
    async def broken(**_: object) -> int:
        raise StorageError("nobody there")

    monkeypatch.setattr(store, "sweep", broken)
    assert await rounds(2) == [upkeep.INTERVAL] * 2
    assert "it is tried again" in caplog.text
