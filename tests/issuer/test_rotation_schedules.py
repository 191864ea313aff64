"""RFC 9700 section 4.14.2: refresh tokens under schedules of concurrent tabs, lost answers, restarts and thieves, on both stores.

CARNET_TEST_SCHEDULES says how many schedules each test runs on each store; `make schedules` runs thousands.
"""

import asyncio
import hashlib
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Self

import httpx2
import pytest

from carnet.ambient import Ambient
from carnet.issuer.app import create_app
from carnet.issuer.config import Config
from carnet.testing import Clock

from .conftest import ISSUER, App, Issuer
from .schedules import FORGIVING, HONEST_PAUSES, KINDS, PAUSES, REFUSED, SETTINGS, Request, Schedule
from .test_dpop import Holder

pytestmark = pytest.mark.anyio

SCHEDULES = int(os.environ.get("CARNET_TEST_SCHEDULES", "50"))
AT_ONCE = 50
"""Schedules that run beside each other, so that their transactions meet."""
STEPS = 6
NODES = {"sqlite": 1, "postgresql": 2}


@dataclass
class Cluster:
    """One database and the nodes on it, which can all be stopped and started again; their clock is one."""

    config: Config
    clock: Clock
    many: int
    started: int = 0

    async def __aenter__(self) -> Self:
        self.running = AsyncExitStack()
        self.nodes = [await self._start() for _ in range(self.many)]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.running.aclose()

    async def _start(self) -> Issuer:
        self.started += 1
        entropy = Clock(seed=f"node {self.started}").entropy
        ambient = Ambient(now=self.clock.now, monotonic=self.clock.monotonic, entropy=entropy)
        app = create_app(self.config, ambient, secret=b"s" * 43)
        await self.running.enter_async_context(app.router.lifespan_context(app))
        http, direct = [
            await self.running.enter_async_context(
                httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=ISSUER, headers=headers)
            )
            for headers in ({"Accept": "text/html"}, {})
        ]
        return Issuer(app, self.clock, http, direct)

    async def restart(self) -> None:
        await self.__aexit__()
        await self.__aenter__()


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.postgresql if name == "postgresql" else ()) for name in NODES]
)
async def cluster(request, tmp_path):
    database = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else None
    config = Config(issuer=ISSUER, data=tmp_path, database=database)
    async with Cluster(config, Clock(), NODES[request.param]) as cluster:
        yield cluster


@dataclass
class Party:
    """A client of one kind, with a key of its own where its tokens are bound; `stranger` has neither secret nor key."""

    app: App
    holder: Holder | None
    stranger: App

    async def refresh(self, token: str, node: Issuer, *, rightful: bool) -> str | None:
        who = self.app if rightful else self.stranger
        if rightful and self.holder is not None:
            self.holder.app = replace(self.app, issuer=node)
            answer = await self.holder.refresh(token)
        else:
            answer = await replace(who, issuer=node).refresh(token)
        if answer.status_code == 200:
            return answer.json()["refresh_token"]
        expected = {"invalid_grant"} if rightful else {"invalid_grant", "invalid_client"}
        assert answer.json()["error"] in expected, answer.text
        return REFUSED


async def parties(issuer: Issuer) -> dict[str, Party]:
    """A client of each kind."""
    made = {}
    for kind in KINDS:
        public, bound = not kind.startswith("confidential"), kind == "bound"
        app = await issuer.register(
            token_endpoint_auth_method="none" if public else "client_secret_basic",
            refresh_retry_window=SETTINGS.get(kind),
            scope="openid offline_access",
        )
        stranger = app if bound else await issuer.register()
        made[kind] = Party(app, Holder(app) if bound else None, stranger)
    return made


async def first_token(party: Party, issuer: Issuer) -> str:
    app = replace(party.app, issuer=issuer)
    code = await app.code(scope="openid offline_access")
    if party.holder is None:
        return (await app.redeem(code)).json()["refresh_token"]
    party.holder.app = app
    return (await party.holder.redeem(code)).json()["refresh_token"]


async def take(schedule: Schedule, party: Party, cluster: Cluster) -> None:
    """Make the next requests of a schedule, at the same time, each at some node."""

    async def present(request: Request, node: Issuer, delay: int) -> str | None:
        for _ in range(delay):
            await asyncio.sleep(0)  # lets others go first, in an order that the seed decides
        token = schedule.tokens[-1 - request.back]
        return await party.refresh(token, node, rightful=request.rightful)

    requests = schedule.step()
    places = [(schedule.random.choice(cluster.nodes), schedule.random.randrange(9)) for _ in requests]
    answers = await asyncio.gather(*(present(request, *place) for request, place in zip(requests, places, strict=True)))
    schedule.learn(requests, answers, at=cluster.clock.now())


async def living(cluster: Cluster, subject: str) -> set[bytes]:
    """The digests of all unspent refresh tokens."""
    store = cluster.nodes[0].desk.store
    return {one.digest for one in await store.artifacts.families(subject, at=cluster.clock.now())}


async def run(schedules: list[Schedule], cluster: Cluster) -> None:
    """All of them at once, step by step; between two steps time passes, and now and then every node is started again."""
    first = cluster.nodes[0]
    account = await first.sign_in(f"person.{cluster.started}.{schedules[0].seed}@example.com")
    clients = await parties(first)
    for schedule in schedules:
        schedule.begin(await first_token(clients[schedule.kind], first))
    chance = schedules[0].random
    for step in range(STEPS):
        pause = HONEST_PAUSES[step % 2] if schedules[0].honest else chance.choice(PAUSES)
        cluster.clock.advance(pause)
        await asyncio.gather(*(take(each, clients[each.kind], cluster) for each in schedules))
        digests = await living(cluster, account.subject)
        for each in schedules:
            each.see({token for token in each.tokens if hashlib.sha256(token.encode()).digest() in digests})
        if chance.random() < 0.2:
            await cluster.restart()


def batches(kinds: list[str], *, honest: bool) -> list[list[Schedule]]:
    made = [Schedule(kinds[seed % len(kinds)], seed, honest=honest) for seed in range(SCHEDULES)]
    return [made[start : start + AT_ONCE] for start in range(0, len(made), AT_ONCE)]


@pytest.mark.spec("RFC 9700", "4.14.2", "MUST")
async def test_whatever_comes_when_the_rule_alone_decides_and_one_chain_at_most_lives(cluster):
    ended = 0
    for schedules in batches(list(KINDS), honest=False):
        await run(schedules, cluster)
        ended += sum(schedule.models[0].ended for schedule in schedules)
        kept = [len(schedule.tokens) for schedule in schedules if not schedule.models[0].ended]
        assert max(kept, default=2) > 1
    assert 0 < ended < SCHEDULES, "the schedules are all alike"


async def test_an_honest_client_that_asks_again_for_lost_answers_is_never_signed_out(cluster):
    for schedules in batches(FORGIVING, honest=True):
        await run(schedules, cluster)
        for schedule in schedules:
            assert not schedule.models[0].ended, schedule
            assert len(schedule.tokens) == 1 + STEPS // 2, schedule
            assert not any("None" in step for step in schedule.taken if step.startswith("at ")), schedule


@pytest.mark.spec("RFC 9700", "4.14.2", "MUST")
async def test_a_token_that_was_stolen_at_any_point_ends_the_family_when_it_is_used_after_its_successor(cluster):
    await cluster.nodes[0].sign_in()
    clients = await parties(cluster.nodes[0])
    for seed in range(max(SCHEDULES // 10, len(KINDS))):
        node = cluster.nodes[seed % len(cluster.nodes)]
        party = clients[list(KINDS)[seed % len(KINDS)]]
        tokens = [await first_token(party, cluster.nodes[0])]
        length = 2 + seed % 4
        while len(tokens) <= length:
            tokens.append(await party.refresh(tokens[-1], node, rightful=True))
        stolen = tokens[seed % (length - 1)]
        assert await party.refresh(stolen, node, rightful=True) is REFUSED
        for token in tokens:
            assert await party.refresh(token, cluster.nodes[-1], rightful=True) is REFUSED
