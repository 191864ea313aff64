"""Two issuers on one PostgreSQL database: what one has handed out is redeemed at either, and once (rules O3 and O4)."""

import asyncio
from dataclasses import replace

import httpx2
import pytest

from carnet.issuer.app import create_app
from carnet.issuer.config import Config
from carnet.issuer.rotation import PER_HOUR

pytestmark = [pytest.mark.anyio, pytest.mark.postgresql]


@pytest.fixture
def config(tmp_path, postgresql_url) -> Config:
    return Config(data=tmp_path, database=postgresql_url)


@pytest.fixture
async def nodes(issuer):
    """The issuer, and another node of it with a clock and randomness of its own."""
    clock = type(issuer.clock)(seed="another node")
    second = create_app(issuer.desk.config, clock.ambient, secret=b"s" * 43)
    async with (
        second.router.lifespan_context(second),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(second), base_url="http://127.0.0.1:8080") as direct,
    ):
        await issuer.sign_in()
        yield issuer, replace(issuer, app=second, direct=direct)


def at(app, node):
    """The same app, as it speaks to one node."""
    return replace(app, issuer=node)


async def test_nodes_share_their_keys(nodes):
    first, second = nodes
    assert await first.desk.keyring.jwks() == await second.desk.keyring.jwks()


async def test_of_64_redemptions_of_a_code_at_two_nodes_one_succeeds(nodes):
    app = await nodes[0].register()
    code = await app.code()
    answers = await asyncio.gather(*(at(app, nodes[turn % 2]).redeem(code) for turn in range(64)))
    refused = [answer.json()["error"] for answer in answers if answer.status_code != 200]
    assert refused == ["invalid_grant"] * 63
    [winner] = [answer.json() for answer in answers if answer.status_code == 200]
    assert not await app.active(winner["access_token"])


async def test_of_64_refreshes_at_two_nodes_all_that_succeed_give_one_successor(nodes):
    app = await nodes[0].register()
    token = (await app.tokens())["refresh_token"]
    answers = await asyncio.gather(*(at(app, nodes[turn % 2]).refresh(token) for turn in range(64)))
    won = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(won) == 1 + PER_HOUR
    [successor] = {answer["refresh_token"] for answer in won}
    assert {answer.json()["error"] for answer in answers if answer.status_code != 200} == {"invalid_grant"}
    assert (await at(app, nodes[1]).refresh(successor)).status_code == 200


async def test_of_64_refreshes_of_a_public_client_at_two_nodes_one_succeeds_and_the_family_ends(nodes):
    app = await nodes[0].public()
    token = (await app.tokens())["refresh_token"]
    answers = await asyncio.gather(*(at(app, nodes[turn % 2]).refresh(token) for turn in range(64)))
    [winner] = [answer.json() for answer in answers if answer.status_code == 200]
    assert (await app.refresh(winner["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_session_that_ends_at_one_node_has_ended_at_the_other(nodes):
    first, second = nodes
    app = await first.register()
    tokens = await app.tokens(scope="openid")
    await first.http.get("/end_session", params={"id_token_hint": tokens["id_token"]})
    assert not await at(app, second).active(tokens["access_token"])
    assert (await at(app, second).refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_the_whole_story_on_postgresql(nodes):
    first, second = nodes
    app = await first.register(first_party=False)
    page = await first.follow(await app.authorize(scope="openid email offline_access"))
    allowed = await first.submit("/consent", first.fields(page) | {"decision": "allow"})
    code = app.query(await first.follow(allowed))["code"]
    tokens = (await at(app, second).redeem(code)).json()
    assert (await at(app, second).userinfo(tokens["access_token"])).json()["email"] == "ann@example.com"
    assert (await app.post("/revoke", token=tokens["refresh_token"])).status_code == 200
    assert not await at(app, second).active(tokens["access_token"])
