"""`carnet.js` in a real browser, against a back end that is really served."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server
from playwright.async_api import Error, Page, async_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from carnet.testing import Clock
from carnet.testing.ports import free_port
from carnet.testing.programs import PATIENCE

from .conftest import Provider, build, service

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

PAGE = """<!doctype html><title>front end</title><script type="module">
import { Carnet } from "/auth/carnet.js";
window.carnet = new Carnet();
window.events = [];
for (const name of ["session-changed", "sign-in-required", "session-ended", "step-up-required"]) {
  window.carnet.addEventListener(name, (event) => window.events.push([name, event.detail]));
}
document.title = "ready";
</script>"""


async def _page(_: Request) -> Response:
    return HTMLResponse(PAGE)


async def _payments(_: Request) -> Response:
    challenge = 'Bearer error="insufficient_user_authentication", acr_values="gold", max_age="60"'
    return Response(status_code=401, headers={"www-authenticate": challenge})


@pytest.fixture
async def served(provider: Provider, clock: Clock) -> AsyncIterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    provider.endpoints = {
        "authorization_endpoint": f"http://localhost:{port}/issuer/authorize",
        "end_session_endpoint": f"http://localhost:{port}/issuer/end_session",
    }

    async def authorize(request: Request) -> Response:
        return RedirectResponse(provider.authorize(str(request.url)), 303)

    service.router.routes.insert(0, Route("/base/payments", _payments, methods=["POST"]))
    _, backend = build(provider, clock, url=url)
    app = Starlette(
        routes=[
            *backend.routes,
            Route("/", _page),
            Route("/issuer/authorize", authorize),
            Route("/issuer/end_session", _page),
        ],
        middleware=backend.middleware,
        lifespan=backend.lifespan,
    )
    server = Server(app, port=port, interface=Interfaces.ASGI, log_level=LogLevels.error)
    serving = asyncio.ensure_future(server.serve())
    async with asyncio.timeout(PATIENCE):
        while not serving.done():
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.01)
        else:
            await serving  # says why it does not serve
    yield url
    server.stop()
    await serving
    del service.router.routes[0]


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = await browser.new_context()
        yield await context.new_page()
        await browser.close()


async def _ready(page: Page) -> None:
    await page.wait_for_function("document.title === 'ready'")


async def _ask(page: Page, path: str, method: str = "GET") -> Any:
    script = "([path, method]) => carnet.fetch(path, {method}).then(async (r) => [r.status, await r.text()])"
    return await page.evaluate(script, [path, method])


async def _events(page: Page) -> list[str]:
    return [name for name, _ in await page.evaluate("window.events.splice(0)")]


async def test_a_front_end_signs_in_changes_something_and_signs_out(
    page: Page, served: str, provider: Provider, clock: Clock
) -> None:
    await page.goto(served)
    await _ready(page)
    assert (await page.evaluate("carnet.session()"))["signed_in"] is False
    status, _ = await _ask(page, "/api/x")
    assert status == 401
    assert await _events(page) == ["session-changed", "sign-in-required"]

    await page.evaluate("carnet.signIn()")
    await page.wait_for_url(served + "/")
    await _ready(page)
    session = await page.evaluate("carnet.session()")
    assert (session["subject"], session["claims"]["name"]) == ("alice", "Alice")
    assert await page.evaluate("document.cookie") == ""
    assert (await _ask(page, "/api/x", "POST"))[0] == 200

    another = await page.context.new_page()
    await another.goto(f"{served}/auth/login")
    assert (await _ask(page, "/api/x", "POST"))[0] == 200, "its CSRF token is renewed after a sign-in in another tab"

    await _events(page)
    assert (await _ask(page, "/api/payments", "POST"))[0] == 401
    assert await page.evaluate("window.events") == [["step-up-required", {"acrValues": "gold", "maxAge": 60}]]
    await _events(page)

    async with page.expect_request("**/auth/login?**") as going:
        await page.evaluate("carnet.stepUp()")
    asked = dict(parse_qsl(urlsplit((await going.value).url).query))
    assert asked == {"acr_values": "gold", "max_age": "60", "return_to": "/"}
    await page.wait_for_url(served + "/")
    await _ready(page)
    with pytest.raises(Error, match="No service has asked"):
        await page.evaluate("carnet.stepUp()")
    await page.evaluate("carnet.session()")
    await _events(page)

    await page.evaluate("carnet.signOut()")
    await page.wait_for_url("**/issuer/end_session?**")
    assert not await page.context.cookies(served)


async def test_a_session_that_has_ended_is_told(page: Page, served: str, provider: Provider, clock: Clock) -> None:
    await page.goto(f"{served}/auth/login")
    await _ready(page)
    await page.evaluate("carnet.session()")
    await _events(page)
    provider.live.clear()
    clock.advance(280)
    assert (await _ask(page, "/api/x"))[0] == 401
    assert await _events(page) == ["session-changed", "session-ended"]


async def test_another_origin_gets_nothing(page: Page, served: str) -> None:
    await page.goto(f"{served}/auth/login")
    await _ready(page)
    await page.route(
        "http://localhost:1/**", lambda route: route.fulfill(body="<title>evil</title>", content_type="text/html")
    )
    await page.goto("http://localhost:1/")
    read = "(url) => fetch(url, {credentials: 'include'}).then(() => 'read', () => 'refused')"
    assert await page.evaluate(read, f"{served}/auth/session") == "refused"
    blind = "(url) => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include'}).catch(() => null)"
    await page.evaluate(blind, f"{served}/auth/logout")
    await page.goto(served)
    await _ready(page)
    assert (await page.evaluate("carnet.session()"))["signed_in"] is True
