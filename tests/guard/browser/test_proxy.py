"""What the browser back end passes on, what it keeps back, and whom it refuses."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest

from carnet.guard.browser.proxy import Upstream
from carnet.guard.metadata import MetadataError
from carnet.testing import Clock
from carnet.testing.programs import PATIENCE

from .conftest import Browser, Provider, build

pytestmark = pytest.mark.anyio


async def test_a_request_is_passed_on_with_the_access_token_in_the_place_of_cookies(browser: Browser) -> None:
    seen = (await browser.get("/api/orders/1?page=2")).json()
    assert seen["path"] == "/base/orders/1"
    assert seen["headers"]["authorization"].startswith("Bearer eyJ")
    assert "cookie" not in seen["headers"]


@pytest.mark.parametrize(
    "name",
    [
        "X-Forwarded-User",
        "X_Forwarded_User",
        "X-Forwarded-For",
        "Forwarded",
        "X-Real-IP",
        "Remote-User",
        "X-User",
        "Proxy-Authorization",
        "X-Carnet-CSRF",
        "TE",
        "Upgrade",
        "X-Original-URL",
    ],
)
async def test_no_header_that_claims_an_identity_gets_through(browser: Browser, name: str) -> None:
    seen = (await browser.get("/api/x", **{name: "evil"})).json()
    assert "evil" not in seen["headers"].values()


async def test_the_browsers_own_authorization_is_replaced(browser: Browser) -> None:
    seen = (await browser.get("/api/x", authorization="Bearer evil")).json()
    assert "evil" not in seen["headers"]["authorization"]


async def test_a_body_is_passed_on(browser: Browser) -> None:
    seen = (await browser.post("/api/x", json={"sku": "a"})).json()
    assert (seen["method"], seen["body"]) == ("POST", '{"sku":"a"}')


async def test_a_body_in_chunks_is_passed_on(browser: Browser) -> None:
    async def chunks() -> Any:
        yield b"one,"
        yield b"two"

    assert (await browser.post("/api/x", content=chunks())).json()["body"] == "one,two"


async def test_the_answer_loses_what_is_not_for_the_browser(browser: Browser) -> None:
    answer = await browser.get("/api/x")
    assert "evil" not in answer.headers.get("set-cookie", "")
    assert "access-control-allow-origin" not in answer.headers
    assert "x-secret" not in answer.headers
    assert (answer.headers["etag"], answer.headers["cache-control"]) == ('"1"', "no-store")


@pytest.mark.parametrize(
    "path",
    [
        "/api/%2e%2e/admin",
        "/api/%2E/x",
        "/api/..",
        "/api/../x",
        "/api/a/./b",
        "/api/a%2fb",
        "/api/a%5cb",
        "/api/a%00b",
        "/api/a%25b",
        "/api//a",
        "/api/a;b=c",
        "/api/a%3bb",
        "/api/a%c0%ae",
        "/api/a\\b",
        "/%61pi%2Fx",
    ],
)
async def test_a_path_with_a_second_reading_is_refused(backend: Any, browser: Browser, path: str) -> None:
    messages = [message async for message in _asked(backend[0], browser, path)]
    assert messages[0]["status"] in {400, 404}


async def test_a_prefix_ends_where_a_segment_ends(browser: Browser) -> None:
    assert (await browser.get("/api")).json()["path"] == "/base"
    assert (await browser.get("/apiary")).status_code == 404


async def test_the_longest_prefix_wins(provider: Provider, clock: Clock) -> None:
    upstreams = {"/api": "http://service.test/base/short", "/api/orders": "http://service.test/base/long"}
    app, backend = build(provider, clock, upstreams=upstreams)
    async with backend.lifespan(app):
        browser = Browser(app)
        await browser.sign_in(provider)
        assert (await browser.get("/api/orders/1")).json()["path"] == "/base/long/1"
        assert (await browser.get("/api/ordersx")).json()["path"] == "/base/short/ordersx"


async def test_without_a_session_nothing_is_passed_on(backend: Any) -> None:
    answer = await Browser(backend[0]).get("/api/x")
    assert (answer.status_code, answer.json()["error"]) == (401, "session_required")
    assert answer.headers["www-authenticate"] == "Carnet-Session"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "OPTIONS", "PROPFIND"])
async def test_other_methods_are_not_passed_on(browser: Browser, method: str) -> None:
    assert (await browser.client.request(method, "/api/x")).status_code == 405


FORGED = [
    {"origin": "https://evil.test"},
    {"origin": "null"},
    {"origin": "null", "sec-fetch-site": "cross-site"},
    {"origin": "https://shop.test.evil.test"},
    {"origin": "http://shop.test"},
    {"origin": "https://shop.test:444"},
    {"origin": None},
    {"origin": None, "sec-fetch-site": "cross-site"},
    {"origin": None, "sec-fetch-site": "same-site"},
    {"origin": None, "sec-fetch-site": "none"},
    {"x-carnet-csrf": None},
    {"x-carnet-csrf": ""},
    {"x-carnet-csrf": "0" * 64},
    {"x-carnet-csrf": "é"},
]


@pytest.mark.parametrize("headers", FORGED)
@pytest.mark.parametrize("path", ["/api/x", "/change"])
async def test_a_change_that_another_site_could_ask_for_is_refused(
    browser: Browser, headers: dict[str, Any], path: str
) -> None:
    encoded = {name: None if value is None else value.encode() for name, value in headers.items()}
    assert (await browser.post(path, headers=encoded)).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"origin": None, "sec-fetch-site": "same-origin"}])
async def test_a_change_from_its_own_pages_is_made(browser: Browser, headers: dict[str, Any]) -> None:
    assert (await browser.post("/api/x", headers=headers)).status_code == 200
    assert (await browser.post("/change", headers=headers)).text == "alice"


async def test_the_token_of_another_session_is_worth_nothing(
    backend: Any, browser: Browser, provider: Provider
) -> None:
    other = Browser(backend[0])
    await other.sign_in(provider)
    assert other.csrf != browser.csrf
    assert (await browser.post("/api/x", headers={"x-carnet-csrf": other.csrf})).status_code == 403


@pytest.mark.parametrize("path", ["/api/x", "/auth/session"])
@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "null"}]
)
async def test_another_site_cannot_read_either(browser: Browser, path: str, headers: dict[str, str]) -> None:
    answer = await browser.client.get(path, headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


async def test_a_listed_origin_may_use_it_with_credentials(provider: Provider, clock: Clock) -> None:
    app, backend = build(provider, clock, allowed_origins=("https://app.test",))
    async with backend.lifespan(app):
        browser = Browser(app)
        await browser.sign_in(provider)
        headers = {"origin": "https://app.test", "sec-fetch-site": "cross-site"}
        answer = await browser.client.get("/auth/session", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "https://app.test"
        assert answer.headers["access-control-allow-credentials"] == "true"
        asks = {"access-control-request-method": "POST", "access-control-request-headers": "x-carnet-csrf"}
        assert (await browser.client.options("/api/x", headers=headers | asks)).status_code == 200
        assert (await browser.post("/api/x", headers=headers)).status_code == 200
        evil = await browser.client.options("/api/x", headers=asks | {"origin": "https://evil.test"})
        assert "access-control-allow-origin" not in evil.headers


@pytest.mark.parametrize(
    ("failure", "status"),
    [(httpx2.ConnectError, 502), (httpx2.ReadError, 502), (httpx2.ConnectTimeout, 504), (httpx2.ReadTimeout, 504)],
)
async def test_a_service_that_fails_is_told_as_a_gateway_does(
    provider: Provider, clock: Clock, failure: type[httpx2.TransportError], status: int
) -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise failure("secret detail", request=request)

    app, backend = build(provider, clock, upstream_transport=httpx2.MockTransport(fail))
    async with backend.lifespan(app):
        browser = Browser(app)
        await browser.sign_in(provider)
        answer = await browser.get("/api/x")
    assert answer.status_code == status
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("max-age=60", "private, max-age=60"),
        ("public, max-age=60", "public, max-age=60"),
        ("no-store", "no-store"),
        ("Private", "Private"),
        (None, "no-store"),
    ],
)
@pytest.mark.spec("RFC 9111", "3.5", "MUST NOT")
async def test_no_shared_cache_keeps_an_answer_that_is_not_said_to_be_public(
    provider: Provider, clock: Clock, theirs: str | None, ours: str
) -> None:
    headers = {} if theirs is None else {"cache-control": theirs}
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(200, stream=httpx2.ByteStream(b"x"), headers=headers)
    )
    app, backend = build(provider, clock, upstream_transport=transport)
    async with backend.lifespan(app):
        browser = Browser(app)
        await browser.sign_in(provider)
        assert (await browser.get("/api/x")).headers["cache-control"] == ours


async def test_a_redirect_of_a_service_is_not_followed(browser: Browser) -> None:
    assert (await browser.get("/api/moved")).status_code == 502


async def test_a_body_over_the_limit_is_refused(provider: Provider, clock: Clock) -> None:
    async def chunks() -> Any:
        for _ in range(5):
            yield b"x" * 100

    app, backend = build(provider, clock, body_limit=300)
    async with backend.lifespan(app):
        browser = Browser(app)
        await browser.sign_in(provider)
        assert (await browser.post("/api/x", content=b"x" * 301)).status_code == 413
        assert (await browser.post("/api/x", content=chunks())).status_code == 413


async def test_the_answer_streams(provider: Provider, clock: Clock) -> None:
    second = asyncio.Event()

    class Slow(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            yield b"first"
            await second.wait()
            yield b"second"

    app, backend = build(
        provider, clock, upstream_transport=httpx2.MockTransport(lambda request: httpx2.Response(200, stream=Slow()))
    )
    async with backend.lifespan(app):
        browser = Browser(app)
        await browser.sign_in(provider)
        received = []
        async with asyncio.timeout(PATIENCE):
            async for message in _asked(app, browser, "/api/x"):
                if message.get("body"):
                    received.append(message["body"])
                    second.set()
    assert received == [b"first", b"second"]


async def _asked(app: Any, browser: Browser, path: str) -> AsyncIterator[Any]:
    """Ask past the client, which would tidy the path up and wait for the end of the answer."""
    messages: asyncio.Queue[Any] = asyncio.Queue()
    cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.client.cookies.jar)
    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"shop.test"), (b"cookie", cookie.encode())],
        "server": ("shop.test", 443),
        "scheme": "https",
    }

    async def receive() -> Any:
        await asyncio.Event().wait()

    answering = asyncio.ensure_future(app(scope, receive, messages.put))
    while True:
        message = await messages.get()
        yield message
        if message["type"] == "http.response.body" and not message.get("more_body"):
            break
    await answering


async def test_the_browser_module_is_served(backend: Any) -> None:
    script = await Browser(backend[0]).client.get("/auth/carnet.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "export class Carnet" in script.text
    assert (await Browser(backend[0]).client.get("/auth/carnet.d.ts")).status_code == 200


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "http://shop.test"},
        {"url": "https://shop.test/path"},
        {"url": "ftp://shop.test"},
        {"issuer": "http://issuer.test"},
        {"secret": b"short"},
        {"upstreams": {"api": "http://service.test"}},
        {"upstreams": {"/api/": "http://service.test"}},
        {"upstreams": {"/api": "file:///etc/passwd"}},
    ],
)
def test_settings_that_cannot_be_safe_are_refused(provider: Provider, clock: Clock, settings: dict[str, Any]) -> None:
    with pytest.raises((MetadataError, ValueError)):
        build(provider, clock, **settings)


def test_an_upstream_with_credentials_in_its_url_is_refused() -> None:
    with pytest.raises(MetadataError):
        Upstream("/api", "http://user:secret@service.test")


async def test_forgotten_middleware_and_lifespan_are_named(provider: Provider, clock: Clock) -> None:
    app, backend = build(provider, clock)
    with pytest.raises(RuntimeError, match="lifespan"):
        await Browser(app).get("/api/x")
    app.user_middleware.clear()
    app.middleware_stack = None
    async with backend.lifespan(app):
        with pytest.raises(LookupError, match="middleware"):
            await Browser(app).get("/change")
