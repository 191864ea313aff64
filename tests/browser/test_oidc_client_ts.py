"""OpenID Connect Core, Browser-based apps: npm oidc-client-ts in Chromium, in a page that knows the issuer's URL and its client_id."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from carnet.testing.running import RunningIssuer, running_issuer

EMAIL, PASSWORD = "ada@example.com", "violet anvil harbour"
HERE = Path(__file__).parent
LIBRARY = HERE.parent / "node/node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js"


@dataclass
class App:
    """The page `app.html` on a port of its own, for the client that it is told of."""

    url: str
    settings: dict = field(default_factory=dict)

    def open(self, context: BrowserContext) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto(self.url)
        expect(page).to_have_title("Ready")
        return page


@pytest.fixture
def app() -> Iterator[App]:
    if not LIBRARY.is_file():
        pytest.skip("tests/node is not installed: run npm ci there")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            kind, content = "text/html", (HERE / "app.html").read_bytes()
            if path == "/oidc-client-ts.js":
                kind, content = "text/javascript", LIBRARY.read_bytes()
            elif path == "/settings":
                kind, content = "application/json", json.dumps(app.settings).encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        app = App(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield app
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def issuer(tmp_path_factory) -> Iterator[RunningIssuer]:
    with running_issuer(tmp_path_factory.mktemp("issuer")) as running:
        running.command("user", "create", EMAIL, "--name", "Ada", "--password-stdin", given=PASSWORD)
        yield running


@pytest.fixture
def context(chromium) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    context.set_default_timeout(15_000)
    yield context
    context.close()


def register(issuer: RunningIssuer, app: App, *options: str, bound: bool = False) -> None:
    client = issuer.command(
        "client", "create", "Single page", "--public", *options,
        "--redirect-uri", f"{app.url}/callback", "--redirect-uri", f"{app.url}/silent",
        "--post-logout-redirect-uri", f"{app.url}/bye",
    )  # fmt: skip
    # oidc-client-ts 3.5 asks for userinfo without a proof, so an app with bound tokens takes the ID token's claims.
    settings = {"authority": issuer.url, "client_id": client["client_id"], "scope": "openid profile email"}
    app.settings = {"settings": settings | {"loadUserInfo": not bound}, "bound": bound}


def sign_in(page: Page, *, consent: bool = True) -> dict:
    """Press the app's button, and be the person on the issuer's pages; what the app knows of them then."""
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Email address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    if consent:
        page.get_by_role("button", name="Allow").click()
    expect(page).to_have_title("Ready")
    return json.loads(page.locator("#who").inner_text())


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def said(page: Page) -> str:
    expect(page.locator("#said")).to_have_text(re.compile(r"\w{4}"))
    return page.locator("#said").inner_text()


def test_it_signs_in_reads_userinfo_refreshes_asks_silently_and_signs_out(issuer, app, context):
    register(issuer, app, "--first-party")
    page = app.open(context)
    who = sign_in(page, consent=False)
    assert (who["email"], who["name"]) == (EMAIL, "Ada")

    press(page, "Refresh")
    first = said(page)
    press(page, "Refresh")
    assert first.startswith("refreshed ")
    assert said(page) != first

    press(page, "Ask silently")
    assert said(page) == f"asked {who['sub']}"

    press(page, "Sign out")
    page.wait_for_url(f"{app.url}/bye**")
    expect(page).to_have_title("Ready")
    expect(page.locator("#who")).to_have_text("nobody")
    press(page, "Ask silently")
    assert said(page) == "ErrorResponse: login_required"


def hold_two(context: BrowserContext, url: str) -> None:
    """Let the first request to a URL wait for the second, so that both are made before either is answered."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)
        if len(held) == 2:
            held[0].continue_()
        if len(held) > 1:
            route.continue_()

    context.route(url, hold)


@pytest.mark.parametrize(
    "options", [("--refresh-retry-window", "10"), ("--dpop-bound",)], ids=["with a window", "bound"]
)
def test_two_tabs_that_refresh_at_the_same_moment_stay_signed_in(issuer, app, context, options):
    register(issuer, app, *options, bound="--dpop-bound" in options)
    one = app.open(context)
    sign_in(one)
    other = app.open(context)
    hold_two(context, f"{issuer.url}/token")
    for page in (one, other):
        press(page, "Refresh")
    assert {said(one)[:10], said(other)[:10]} == {"refreshed "}
    press(other, "Refresh")
    assert said(other).startswith("refreshed ")
