"""CSP Level 3 section 6.4.1: browsers hold an app's own redirects against the policy of our pages: they may go anywhere."""

import threading
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from carnet.oauth import pkce

from .app_server import AppServer, Quiet
from .conftest import PASSWORD


class App(AppServer):
    """An app whose callback, and whose pages of a sign-out, go on to a host of another name."""

    def __init__(self) -> None:
        heard = self.heard = threading.Event()
        asked: list[str] = []
        self.asked = asked

        class Handler(Quiet):
            def do_GET(self) -> None:
                asked.append(self.path)
                there = f"http://localhost:{self.server.server_port}/home{self.path.partition('?')[0]}"
                if self.path == "/home/out":
                    heard.set()
                onward = not self.path.startswith("/home")
                self.send_response(302 if onward else 200)
                self.send_header(*(("Location", there) if onward else ("Content-Type", "text/html")))
                self.end_headers()
                self.wfile.write(b"" if onward else b"<title>home</title>")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

        super().__init__(Handler)


@pytest.fixture
def app() -> Iterator[App]:
    with closing(App()) as app:
        yield app


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


def test_people_get_to_where_the_app_sends_them_on(page, issuer, app):
    client = issuer.command(
        "client", "create", "Printer", "--redirect-uri", f"{app.url}/callback", "--post-logout-redirect-uri", f"{app.url}/bye",
        "--frontchannel-logout-uri", f"{app.url}/out",
        "--scope", "openid", "--json",
    )  # fmt: skip
    request = {
        "response_type": "code",
        "client_id": client["client_id"],
        "redirect_uri": f"{app.url}/callback",
        "scope": "openid",
        "code_challenge": pkce.challenge("v" * 43),
        "code_challenge_method": "S256",
    }
    page.goto(f"{issuer.url}/authorize?{urlencode(request)}")
    page.get_by_label("Email address").fill("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Allow").click()
    expect(page).to_have_title("home")
    [code] = parse_qs(urlsplit(app.asked[0]).query)["code"]
    redemption = {"grant_type": "authorization_code", "code": code, "code_verifier": "v" * 43}
    tokens = httpx2.post(f"{issuer.url}/token", data=redemption, auth=(client["client_id"], client["client_secret"]))
    assert tokens.status_code == 200, "it takes part in the session now"
    page.goto(f"{issuer.url}/authorize?{urlencode(request | {'response_mode': 'form_post'})}")
    expect(page).to_have_title("home")
    leave = {"client_id": client["client_id"], "post_logout_redirect_uri": f"{app.url}/bye"}
    page.goto(f"{issuer.url}/end_session?{urlencode(leave)}")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("home")
    assert app.heard.is_set(), "in its frame"
