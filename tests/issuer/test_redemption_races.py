"""RFC 6749 section 4.1.2 (rule O3) over HTTP: `carnet serve` on each store, and 64 connections that redeem one code at the same moment."""

import asyncio
from collections.abc import Iterator

import httpx2
import pytest

from carnet.issuer.rotation import PER_HOUR
from carnet.oauth import pkce
from carnet.testing.http_browser import HttpBrowser
from carnet.testing.running import RunningIssuer, running_issuer

pytestmark = pytest.mark.anyio

EMAIL, PASSWORD = "ann@example.com", "ochre lantern under tidal glass"
CALLBACK = "http://127.0.0.1:1/callback"
VERIFIER = "v" * 43
AT_ONCE = 64


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request) -> tuple[str, ...]:
    """The option that chooses the store."""
    return () if request.param == "sqlite" else ("--database", request.getfixturevalue("postgresql_url"))


@pytest.fixture
def running(database, tmp_path) -> Iterator[RunningIssuer]:
    """Two processes share the connections."""
    with running_issuer(tmp_path, options=(*database, "--workers", "2")) as running:
        yield running


def code_of(running: RunningIssuer, client_id: str) -> str:
    request = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "code_challenge": pkce.challenge(VERIFIER),
        "code_challenge_method": "S256",
    }
    with HttpBrowser(stop=lambda url: url.startswith(CALLBACK)) as browser:
        browser.open(str(httpx2.URL(f"{running.url}/authorize", params=request)))
        browser.submit(to="/login", email=EMAIL, password=PASSWORD)
        return httpx2.URL(browser.stopped_at).params["code"]


async def at_once(http: httpx2.AsyncClient, **parameters: str) -> list[httpx2.Response]:
    return await asyncio.gather(*(http.post("/token", data=parameters) for _ in range(AT_ONCE)))


@pytest.mark.spec("RFC 6749", "4.1.2", "MUST")
async def test_of_64_redemptions_of_a_code_one_wins_and_of_64_refreshes_all_that_succeed_give_one_successor(
    running, database
):
    running.command("user", "create", EMAIL, "--password-stdin", *database, given=PASSWORD)
    client = running.command("client", "create", "App", "--first-party", "--redirect-uri", CALLBACK, *database)
    credentials = client["client_id"], client["client_secret"]
    limits = httpx2.Limits(max_connections=AT_ONCE)
    async with httpx2.AsyncClient(base_url=running.url, auth=credentials, limits=limits, timeout=30) as http:
        redeem = {"grant_type": "authorization_code", "code_verifier": VERIFIER}
        raced = await at_once(http, code=code_of(running, client["client_id"]), **redeem)
        assert sorted(answer.status_code for answer in raced) == [200] + [400] * (AT_ONCE - 1)
        assert {answer.json()["error"] for answer in raced if answer.status_code == 400} == {"invalid_grant"}

        first = await http.post("/token", data=redeem | {"code": code_of(running, client["client_id"])})
        refreshed = await at_once(http, grant_type="refresh_token", refresh_token=first.json()["refresh_token"])
        won = [answer.json() for answer in refreshed if answer.status_code == 200]
        assert len(won) == 1 + PER_HOUR
        [successor] = {answer["refresh_token"] for answer in won}
        again = await http.post("/token", data={"grant_type": "refresh_token", "refresh_token": successor})
        assert again.status_code == 200
