"""Every point at which another node can come between two statements of a verb, one by one, on PostgreSQL.

One verb is stopped before its n-th statement, for every n; another one runs until it is done or waits for a lock; then the
first goes on. Whatever the order, nothing may live on that has been ended, and nothing may be lost that was passed on.
"""

import asyncio
from contextvars import ContextVar

import asyncpg
import pytest

from carnet.ambient import SYSTEM
from carnet.issuer.config import Config
from carnet.issuer.storage import open_store, postgresql
from carnet.issuer.storage.ports import Fresh
from carnet.issuer.storage.records import Pseudonym
from carnet.testing.storage.races import ENDS
from carnet.testing.storage.samples import (
    NOW,
    account,
    artifact,
    client,
    digest,
    lives,
    revocation,
    rotate,
    session,
    settle,
)

pytestmark = [pytest.mark.anyio, pytest.mark.postgresql]

HANDING_OUT = {
    "a rotation": lambda store: rotate(store, "r1", "new"),
    "a new family": lambda store: store.artifacts.put(artifact("new", family="f2")),
    "a new family without a session": lambda store: store.artifacts.put(artifact("new", family="f2", sid=None)),
    "another of the family": lambda store: store.artifacts.put(artifact("new")),
}
ENDING = {
    **ENDS,
    "the family is revoked": lambda store: store.artifacts.revoke_family("f1", at=NOW),
}
PAIRS = [
    pytest.param(hand_out, end, id=f"{new}, {over}")
    for new, hand_out in HANDING_OUT.items()
    for over, end in ENDING.items()
    # What does not belong to what ends may live on.
    if not (new.startswith("a new family") and over == "the family is revoked")
    and not (new == "a new family without a session" and over.startswith("the s"))
]
TABLES = ("unpublished", "revocation", "replay", "artifact", "family", "consent", "session", "client", "account")
STEPS = range(1, 12)
stop_before: ContextVar["Interruption | None"] = ContextVar("stop_before")


class Interruption:
    """Before the n-th statement of the verb that runs in this context, `meanwhile` gets as far as it can."""

    def __init__(self, step, meanwhile, watcher):
        self.left = step
        self.meanwhile = meanwhile
        self.watcher = watcher
        self.task = None
        self.passed = False
        """Whether `meanwhile` was done, and did not have to wait, before the verb went on."""

    async def __call__(self):
        self.left -= 1
        if self.left != 0:
            return
        self.task = asyncio.create_task(self.meanwhile())
        while not self.task.done() and not await self._waits():
            pass
        self.passed = self.task.done()

    async def _waits(self):
        return await self.watcher.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )


@pytest.fixture
async def store(copied_postgresql, monkeypatch):
    run = postgresql._run

    async def stopping(connection, request):
        interruption = stop_before.get(None)
        if interruption is not None:
            await interruption()
        return await run(connection, request)

    monkeypatch.setattr(postgresql, "_run", stopping)
    store = open_store(Config(database=copied_postgresql), SYSTEM)
    await store.migrate()
    yield store
    await store.close()


@pytest.fixture
async def watcher(copied_postgresql):
    connection = await asyncpg.connect(copied_postgresql)
    yield connection
    await connection.close()


async def interleave(first, second, *, step, watcher):
    """Run both, the second at the given step of the first; their answers, and the interruption if there was one."""

    async def alone():
        stop_before.set(None)
        return await second()

    async def stopped():
        interruption = Interruption(step, alone, watcher)
        stop_before.set(interruption)
        return await first(), interruption

    answer, interruption = await asyncio.create_task(stopped())
    if interruption.task is None:
        return answer, await second(), None
    return answer, await interruption.task, interruption


async def begin(store, watcher):
    await watcher.execute("; ".join(f"DELETE FROM {table}" for table in TABLES))
    await settle(store)
    await store.clients.add(client("office"))
    await store.artifacts.put(artifact("r0"))
    await rotate(store, "r0", "r1")


@pytest.mark.parametrize(("hand_out", "end"), PAIRS)
@pytest.mark.parametrize("end_comes_between", [True, False])
async def test_nothing_lives_on_after_an_end(store, watcher, hand_out, end, end_comes_between):
    for step in STEPS:
        await begin(store, watcher)
        calls = [lambda: hand_out(store), lambda: end(store)]
        first, second = calls if end_comes_between else calls[::-1]
        answer, _, interruption = await interleave(first, second, step=step, watcher=watcher)
        for name in ("r0", "r1", "new"):
            assert not await lives(store, name), f"{name} lives after an interruption at statement {step}"
        if interruption is None:
            break
        if interruption.passed and end_comes_between:
            assert not isinstance(answer, Fresh), f"a rotation after the end, at statement {step}"
            assert answer is not True, f"something was handed out after the end, at statement {step}"
    assert 1 < step < STEPS[-1]


@pytest.mark.parametrize("sign_in_comes_between", [True, False])
async def test_a_family_that_passes_to_a_new_session_is_not_lost(store, watcher, sign_in_comes_between):
    for step in STEPS:
        await begin(store, watcher)
        calls = [lambda: rotate(store, "r1", "new"), lambda: store.sessions.start(session("s2"), ending="s1")]
        first, second = calls if sign_in_comes_between else calls[::-1]
        *answers, interruption = await interleave(first, second, step=step, watcher=watcher)
        assert sorted(isinstance(answer, Fresh) or answer is True for answer in answers) == [True, True]
        [live] = await store.artifacts.families("ada", at=NOW)
        assert (live.document, live.sid) == (b"new", "s2")
        if interruption is None:
            break


async def test_two_rotations_have_one_winner(store, watcher):
    for step in STEPS:
        await begin(store, watcher)
        *answers, interruption = await interleave(
            lambda: rotate(store, "r1", "new"), lambda: rotate(store, "r1", "other"), step=step, watcher=watcher
        )
        assert [isinstance(answer, Fresh) for answer in answers] in ([True, False], [False, True])
        assert await lives(store, "new") != await lives(store, "other")
        if interruption is None:
            break


async def test_a_successor_is_not_given_again_once_it_is_used(store, watcher):
    for step in STEPS:
        await begin(store, watcher)
        receipt, used, interruption = await interleave(
            lambda: store.artifacts.replay("refresh_token", digest("r0"), at=NOW, window=10, per_hour=3),
            lambda: rotate(store, "r1", "new"),
            step=step,
            watcher=watcher,
        )
        assert isinstance(used, Fresh)
        assert receipt in {b"r1", None}
        assert await store.artifacts.replay("refresh_token", digest("r0"), at=NOW, window=10, per_hour=3) is None
        if interruption is None:
            break


RAISING = {
    "sign-out everywhere": lambda store: store.sessions.end_all("ada", at=NOW, lifetime=400),
    "other roles": lambda store: store.accounts.replace(
        account(), account(epoch=1), revocations=[revocation("ada", "subject", epoch=1)]
    ),
}


@pytest.mark.parametrize("raising", RAISING)
@pytest.mark.parametrize("minting_comes_between", [True, False])
async def test_no_token_says_an_old_epoch_under_a_name_that_no_entry_has(
    store, watcher, raising, minting_comes_between
):
    """A pairwise client's token is minted: its name is kept, then the account is read (`issuer/pairwise.py`)."""

    async def mint():
        await store.pseudonyms.keep([Pseudonym(value="p-ada", sector="shop.example", subject="ada")])
        return (await store.accounts.get("ada")).epoch

    for step in STEPS:
        await begin(store, watcher)
        calls = [lambda: RAISING[raising](store), mint]
        first, second = calls if minting_comes_between else calls[::-1]
        *answers, interruption = await interleave(first, second, step=step, watcher=watcher)
        said = answers[1 if minting_comes_between else 0]
        entry = await store.revocations.find("subject", "p-ada", at=NOW)
        assert said == 1 or (entry is not None and entry.epoch > said), f"an interruption at statement {step}"
        if interruption is None:
            break
    assert 1 < step < STEPS[-1]
