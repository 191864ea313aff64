"""Signing in and out through the browser back end."""

from typing import Any

import pytest

from carnet.testing import Clock

from .conftest import APP, Browser, Provider, build, query

pytestmark = pytest.mark.anyio


async def test_a_browser_signs_in_and_no_token_reaches_it(browser: Browser, provider: Provider) -> None:
    shown = await browser.get("/auth/session")
    assert shown.headers["cache-control"] == "no-store"
    document = shown.json()
    assert (document["signed_in"], document["subject"]) == (True, "alice")
    assert document["claims"]["roles"] == ["USER"]
    everything = shown.text + str(browser.client.cookies)
    assert "refresh-" not in everything
    assert "eyJ" not in everything


@pytest.mark.spec("RFC 7636", "4.3", "MUST")
async def test_the_authorization_request_is_code_with_pkce_state_and_nonce(backend: Any) -> None:
    begun = await Browser(backend[0]).client.get(
        "/auth/login?return_to=/a&max_age=60&acr_values=gold&evil=1&client_id=x"
    )
    asked = query(begun.headers["location"])
    assert asked["response_type"] == "code"
    assert asked["client_id"] == "shop"
    assert asked["redirect_uri"] == f"{APP}/auth/callback"
    assert asked["code_challenge_method"] == "S256"
    assert (asked["max_age"], asked["acr_values"]) == ("60", "gold")
    assert "evil" not in asked
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_of_other_hosts(
    backend: Any, provider: Provider
) -> None:
    browser = Browser(backend[0])
    done = await browser.sign_in(provider)
    cookie = next(value for value in done.headers.get_list("set-cookie") if value.startswith("__Host-carnet_backend="))
    assert {"Path=/", "HttpOnly", "Secure", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


async def test_on_this_very_machine_http_is_enough(provider: Provider, clock: Clock) -> None:
    app, backend = build(provider, clock, url="http://127.0.0.1:9000")
    async with backend.lifespan(app):
        begun = await Browser(app, "http://127.0.0.1:9000").client.get("/auth/login")
    cookie = begun.headers["set-cookie"]
    assert cookie.startswith("carnet_sign_in_")
    assert "Secure" not in cookie


@pytest.mark.parametrize("target", ["//evil.test", "/\\evil.test", "https://evil.test/", "evil", "/a\nb", "/ b"])
@pytest.mark.spec("RFC 9700", "4.11.1", "MUST NOT")
async def test_a_sign_in_returns_to_this_host_alone(backend: Any, provider: Provider, target: str) -> None:
    browser = Browser(backend[0])
    begun = await browser.client.get("/auth/login", params={"return_to": target})
    if "/authorize?" in begun.headers["location"]:
        begun = await browser.client.get(provider.authorize(begun.headers["location"]))
    assert begun.headers["location"] in {"/", "/?error=invalid_request"}


async def test_a_sign_in_returns_to_where_it_began(backend: Any, provider: Provider) -> None:
    done = await Browser(backend[0]).sign_in(provider, "/auth/login?return_to=/orders%3Fpage%3D2")
    assert (done.status_code, done.headers["location"]) == (303, "/orders?page=2")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"iss": "https://evil.test"}, "mixed_up"),
        ({"iss": ""}, "mixed_up"),
        ({"state": "forged"}, "sign_in_expired"),
        ({"code": "wrong"}, "server_error"),
        ({"code": ""}, "server_error"),
        ({"error": "access_denied"}, "access_denied"),
        ({"error": "<script>"}, "server_error"),
    ],
)
@pytest.mark.spec("RFC 9207", "2.4", "MUST")
async def test_a_response_that_is_not_ours_makes_no_session(
    backend: Any, provider: Provider, changed: dict[str, str], error: str
) -> None:
    browser = Browser(backend[0])
    begun = await browser.client.get("/auth/login")
    done = await browser.client.get(provider.authorize(begun.headers["location"], **changed))
    assert (done.status_code, done.headers["location"]) == (303, f"/?error={error}")
    assert (await browser.get("/auth/session")).json()["signed_in"] is False


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"iss": "https://evil.test"},
        {"exp": 1},
        {"aud": ["shop", "another"], "azp": "another"},
        {"at_hash": "of another access token"},
        {"at_hash": 1},
    ],
)
@pytest.mark.spec("OpenID Connect Core", "3.1.3.7", "MUST")
async def test_an_id_token_that_is_not_for_this_sign_in_is_refused(
    backend: Any, provider: Provider, claims: dict[str, Any]
) -> None:
    browser = Browser(backend[0])
    provider.id_claims = claims
    done = await browser.sign_in(provider)
    assert done.headers["location"].startswith("/?error=")
    assert browser.csrf is None


async def test_a_response_is_good_in_the_browser_that_asked_alone(backend: Any, provider: Provider) -> None:
    mine, theirs = Browser(backend[0]), Browser(backend[0])
    begun = await theirs.client.get("/auth/login")
    done = await mine.client.get(provider.authorize(begun.headers["location"]))
    assert done.headers["location"] == "/?error=sign_in_expired"


async def test_a_sign_in_that_takes_too_long_is_begun_anew(backend: Any, provider: Provider, clock: Clock) -> None:
    browser = Browser(backend[0])
    begun = await browser.client.get("/auth/login")
    clock.advance(601)
    done = await browser.client.get(provider.authorize(begun.headers["location"]))
    assert done.headers["location"] == "/?error=sign_in_expired"


async def test_several_tabs_can_sign_in_at_once(backend: Any, provider: Provider) -> None:
    browser = Browser(backend[0])
    first = await browser.client.get("/auth/login?return_to=/1")
    second = await browser.client.get("/auth/login?return_to=/2")
    for begun, place in ((first, "/1"), (second, "/2")):
        done = await browser.client.get(provider.authorize(begun.headers["location"]))
        assert done.headers["location"] == place


async def test_sign_ins_that_are_never_finished_do_not_pile_up(backend: Any) -> None:
    browser = Browser(backend[0])
    for _ in range(20):
        await browser.client.get("/auth/login")
    assert len(browser.client.cookies) <= 6


async def test_userinfo_of_somebody_else_is_not_used(backend: Any, provider: Provider) -> None:
    browser = Browser(backend[0])
    provider.userinfo_subject = "mallory"
    await browser.sign_in(provider)
    shown = (await browser.get("/auth/session")).json()
    assert shown["subject"] == "alice"
    assert "name" not in shown["claims"]


async def test_signing_out_revokes_clears_and_leads_to_the_issuer(browser: Browser, provider: Provider) -> None:
    done = await browser.post("/auth/logout")
    location = done.json()["location"]
    assert location.startswith(f"{provider.fake.issuer}/end_session?")
    assert query(location)["post_logout_redirect_uri"] == f"{APP}/"
    assert provider.revoked
    assert not provider.live
    assert (await browser.get("/auth/session")).json() == {"signed_in": False, "ended": False}


async def test_signing_out_works_as_a_form_without_scripts(browser: Browser, provider: Provider) -> None:
    done = await browser.post("/auth/logout", headers={"x-carnet-csrf": None}, data={"csrf": browser.csrf})
    assert done.status_code == 303
    assert provider.revoked


async def test_nobody_else_can_sign_a_browser_out(browser: Browser) -> None:
    done = await browser.post("/auth/logout", headers={"x-carnet-csrf": "0" * 64})
    assert (done.status_code, done.json()["error"]) == (403, "request_forged")
    assert (await browser.get("/auth/session")).json()["signed_in"] is True


async def test_signing_out_works_while_the_issuer_is_down(browser: Browser, provider: Provider, clock: Clock) -> None:
    provider.down = True
    assert (await browser.post("/auth/logout")).status_code == 200
    assert (await browser.get("/auth/session")).json()["signed_in"] is False


async def test_signing_out_works_when_the_access_token_has_expired_meanwhile(
    browser: Browser, provider: Provider, clock: Clock
) -> None:
    provider.down = True
    clock.advance(600)
    assert (await browser.post("/auth/logout")).status_code == 200
    assert not [cookie for cookie in browser.client.cookies.jar if "backend" in cookie.name]


async def test_an_issuer_without_single_logout_ends_the_session_here(provider: Provider, clock: Clock) -> None:
    provider.endpoints = {"end_session_endpoint": None, "revocation_endpoint": None, "userinfo_endpoint": None}
    app, backend = build(provider, clock)
    async with backend.lifespan(app):
        browser = Browser(app)
        await browser.sign_in(provider)
        assert (await browser.post("/auth/logout")).json() == {"location": "/"}


async def test_a_sign_in_after_an_unannounced_rotation_succeeds(browser: Browser, provider: Provider) -> None:
    provider.fake.rotate()
    assert (await browser.sign_in(provider)).headers["location"] == "/orders"


async def test_an_id_token_that_belongs_to_its_access_token_is_taken(backend: Any, provider: Provider) -> None:
    provider.with_hash = True
    assert (await Browser(backend[0]).sign_in(provider)).headers["location"] == "/orders"


async def test_when_the_issuer_is_down_signing_in_says_so(provider: Provider, clock: Clock) -> None:
    provider.down = True
    app, backend = build(provider, clock)
    async with backend.lifespan(app):
        begun = await Browser(app).client.get("/auth/login")
    assert (begun.status_code, begun.headers["location"]) == (303, "/?error=temporarily_unavailable")


@pytest.mark.parametrize(
    "path", ["/auth/login?max_age=1&max_age=2", "/auth/callback?state=a&state=b", "/auth/callback?%zz"]
)
async def test_a_malformed_request_of_a_sign_in_leads_to_the_problem_page(backend: Any, path: str) -> None:
    answer = await Browser(backend[0]).client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?error=invalid_request")


async def test_a_session_that_does_not_fit_is_none(backend: Any, provider: Provider) -> None:
    provider.id_claims = {"groups": ["g" * 100] * 200}
    browser = Browser(backend[0])
    done = await browser.sign_in(provider)
    assert done.headers["location"] == "/?error=server_error"
    assert (await browser.get("/api/x")).status_code == 401


async def test_a_token_endpoint_without_an_id_token_makes_no_session(backend: Any, provider: Provider) -> None:
    issued = provider._issued
    provider._issued = lambda nonce: {  # type: ignore[method-assign]
        name: value for name, value in issued(nonce).items() if name != "id_token"
    }
    done = await Browser(backend[0]).sign_in(provider)
    assert done.headers["location"] == "/?error=server_error"
