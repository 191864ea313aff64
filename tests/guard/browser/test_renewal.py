"""Access tokens are renewed behind the browser's back, whatever its tabs do."""

import asyncio
from typing import Any

import httpx2
import pytest

from carnet.guard.browser import renewal
from carnet.testing import Clock

from .conftest import Browser, Provider, build

pytestmark = pytest.mark.anyio


async def test_an_access_token_is_renewed_before_it_expires(browser: Browser, provider: Provider, clock: Clock) -> None:
    assert (await browser.get("/api/x")).status_code == 200
    assert provider.refreshes == 0
    clock.advance(271)
    provider.roles = ["ADMIN"]
    assert (await browser.get("/api/x")).status_code == 200
    assert provider.refreshes == 1
    assert (await browser.get("/auth/session")).json()["claims"]["roles"] == ["ADMIN"]
    assert provider.refreshes == 1


async def test_requests_at_the_same_time_share_one_refresh(browser: Browser, provider: Provider, clock: Clock) -> None:
    clock.advance(299)
    provider.gate = asyncio.Event()
    requests = [asyncio.ensure_future(browser.get(f"/api/{number}")) for number in range(20)]
    while provider.refreshes == 0:
        await asyncio.sleep(0)
    provider.gate.set()
    answers = await asyncio.gather(*requests)
    assert {answer.status_code for answer in answers} == {200}
    assert provider.refreshes == 1
    assert provider.families_ended == 0


async def test_a_tab_with_the_old_cookie_does_not_look_like_a_thief(
    backend: Any, browser: Browser, provider: Provider, clock: Clock
) -> None:
    old = dict(browser.client.cookies)
    clock.advance(280)
    assert (await browser.get("/api/x")).status_code == 200
    clock.advance(renewal.KEPT_SECONDS - 1)
    late = Browser(backend[0])
    late.client.cookies.update(old)
    answer = await late.get("/api/x")
    assert answer.status_code == 200
    assert any(value.startswith("__Host-carnet_backend=") for value in answer.headers.get_list("set-cookie"))
    assert (provider.refreshes, provider.families_ended) == (1, 0)


async def test_an_old_cookie_after_that_time_ends_the_family_as_a_theft_does(
    backend: Any, browser: Browser, provider: Provider, clock: Clock
) -> None:
    old = dict(browser.client.cookies)
    clock.advance(280)
    await browser.get("/api/x")
    clock.advance(renewal.KEPT_SECONDS + 1)
    thief = Browser(backend[0])
    thief.client.cookies.update(old)
    assert (await thief.get("/api/x")).status_code == 401
    assert provider.families_ended == 1


async def test_a_session_that_the_issuer_has_ended_is_told_as_such_and_cleared(
    browser: Browser, provider: Provider, clock: Clock
) -> None:
    provider.live.clear()
    clock.advance(280)
    answer = await browser.get("/api/x")
    assert (answer.status_code, answer.json()["error"]) == (401, "session_ended")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    answer = await browser.get("/api/x")
    assert (answer.status_code, answer.json()["error"]) == (401, "session_required")


async def test_while_the_issuer_is_down_a_good_token_is_used_and_the_session_stays(
    browser: Browser, provider: Provider, clock: Clock
) -> None:
    provider.down = True
    clock.advance(280)
    assert (await browser.get("/api/x")).status_code == 200
    clock.advance(30)
    answer = await browser.get("/api/x")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    provider.down = False
    clock.advance(renewal.REST_SECONDS + 1)
    assert (await browser.get("/api/x")).status_code == 200


async def test_a_request_under_way_does_not_bring_a_signed_out_session_back(
    browser: Browser, provider: Provider, clock: Clock
) -> None:
    clock.advance(280)
    provider.gate = asyncio.Event()
    slow = asyncio.ensure_future(browser.get("/api/x"))
    while provider.refreshes == 0:
        await asyncio.sleep(0)
    out = asyncio.ensure_future(browser.post("/auth/logout"))
    for _ in range(20):
        await asyncio.sleep(0)
    provider.gate.set()
    await asyncio.gather(slow, out)
    assert not provider.live
    assert (await browser.get("/auth/session")).json()["signed_in"] is False


async def test_an_issuer_that_does_not_rotate_is_asked_once_a_lifetime(clock: Clock, provider: Provider) -> None:
    issued = provider._issued

    def unrotated(nonce: str | None) -> dict[str, Any]:
        answer = issued(nonce)
        if nonce is None:
            del answer["refresh_token"]
        return answer

    provider._issued = unrotated  # type: ignore[method-assign]
    provider.expires_in = 20
    app, backend = build(provider, clock)
    async with backend.lifespan(app):
        browser = Browser(app)
        await browser.sign_in(provider)
        for _ in range(3):
            clock.advance(16)
            provider.live = dict.fromkeys([*provider.live, *provider.spent], 1)
            provider.spent.clear()
            for _ in range(3):
                assert (await browser.get("/api/x")).status_code == 200
        assert provider.refreshes == 3


async def test_without_a_refresh_token_a_session_lives_as_long_as_its_access_token(
    backend: Any, provider: Provider, clock: Clock
) -> None:
    issued = provider._issued
    provider._issued = lambda nonce: {  # type: ignore[method-assign]
        name: value for name, value in issued(nonce).items() if name != "refresh_token"
    }
    browser = Browser(backend[0])
    await browser.sign_in(provider)
    clock.advance(299)
    assert (await browser.get("/api/x")).status_code == 200
    clock.advance(1)
    assert (await browser.get("/api/x")).json()["error"] == "session_ended"
    assert provider.refreshes == 0


async def test_when_the_issuer_refuses_the_client_the_session_stays(
    browser: Browser, provider: Provider, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    issue, provider._token = provider._token, _unauthorized  # type: ignore[method-assign]
    clock.advance(280)
    assert (await browser.get("/api/x")).status_code == 200
    assert "invalid_client" in caplog.text
    clock.advance(20)
    assert (await browser.get("/auth/session")).status_code == 503
    provider._token = issue  # type: ignore[method-assign]
    clock.advance(renewal.REST_SECONDS)
    assert (await browser.get("/auth/session")).json()["signed_in"] is True


async def _unauthorized(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(401, json={"error": "invalid_client"})


async def test_after_a_failure_the_issuer_is_left_alone_for_a_while(
    browser: Browser, provider: Provider, clock: Clock
) -> None:
    clock.advance(280)
    provider.down_paths = {"/token"}
    await browser.get("/api/x")
    provider.down_paths = set()
    assert (await browser.get("/api/x")).status_code == 200
    assert provider.refreshes == 0
    clock.advance(renewal.REST_SECONDS)
    assert (await browser.get("/api/x")).status_code == 200
    assert provider.refreshes == 1


async def test_a_refresh_that_answers_for_somebody_else_ends_the_session(
    browser: Browser, provider: Provider, clock: Clock
) -> None:
    provider.id_claims = {"sub": "mallory"}
    clock.advance(280)
    assert (await browser.get("/api/x")).status_code == 401


async def test_a_renewal_is_not_lost_when_userinfo_fails_or_an_id_token_cannot_be_checked(
    browser: Browser, provider: Provider, clock: Clock
) -> None:
    provider.down_paths = {"/userinfo"}
    provider.id_claims = {"exp": 1}
    for _ in range(3):
        clock.advance(280)
        assert (await browser.get("/api/x")).status_code == 200
    assert (provider.refreshes, provider.families_ended) == (3, 0)
    claims = (await browser.get("/auth/session")).json()["claims"]
    assert (claims["name"], claims["sid"]) == ("Alice", "sid-1")


@pytest.mark.parametrize("change", [lambda value: value[:-4] + "AAAA", lambda value: "x", lambda value: "9." + value])
async def test_a_cookie_that_was_tampered_with_is_no_session(backend: Any, browser: Browser, change: Any) -> None:
    forged = Browser(backend[0])
    forged.client.cookies.set("__Host-carnet_backend", change(browser.client.cookies["__Host-carnet_backend"]))
    assert (await forged.get("/api/x")).status_code == 401


async def test_a_long_session_is_split_over_cookies_and_put_together_again(
    backend: Any, provider: Provider, clock: Clock
) -> None:
    provider.id_claims = {"groups": [f"group-{number:04}" for number in range(400)]}
    browser = Browser(backend[0])
    await browser.sign_in(provider)
    assert _parts(browser) > 1
    assert (await browser.get("/api/x")).status_code == 200
    provider.id_claims = {}
    clock.advance(280)
    assert (await browser.get("/api/x")).status_code == 200
    assert _parts(browser) == 1
    assert (await browser.get("/auth/session")).json()["signed_in"] is True


async def test_a_session_with_a_part_missing_is_none(backend: Any, provider: Provider) -> None:
    provider.id_claims = {"groups": [f"group-{number:04}" for number in range(400)]}
    browser = Browser(backend[0])
    await browser.sign_in(provider)
    del browser.client.cookies["__Host-carnet_backend_1"]
    assert (await browser.get("/api/x")).status_code == 401
    assert _parts(browser) == 0


def _parts(browser: Browser) -> int:
    return sum(cookie.name.startswith("__Host-carnet_backend") for cookie in browser.client.cookies.jar)
