"""OpenID Connect Session Management, and the choice of an account, with a relying party that is a server of its own."""

from collections.abc import Iterator
from contextlib import closing
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from playwright.sync_api import Page, expect

from carnet.oauth import pkce
from carnet.testing.running import RunningIssuer, running_issuer

from .app_server import AppServer, Quiet
from .conftest import PASSWORD

VERIFIER = "v" * 43

WATCHING = """<!doctype html><title>Watching</title>
<iframe id="op" src="{frame}"></iframe><output id="said"></output>
<script>
  const frame = document.getElementById("op");
  addEventListener("message", (event) => {{
    if (event.source === frame.contentWindow && event.origin === "{issuer}") {{
      document.getElementById("said").value = event.data;
    }}
  }});
  const ask = () => frame.contentWindow.postMessage("{client_id} {session_state}", "{issuer}");
  frame.addEventListener("load", () => setInterval(ask, 100));
</script>"""
"""Section 3.1: the page of the relying party asks again and again."""


class RelyingParty(AppServer):
    """A server of its own, on another port: its callback shows the page that watches."""

    def __init__(self) -> None:
        party = self
        self.knows: dict[str, str] = {}

        class Handler(Quiet):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                answer = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                if "session_state" in answer:
                    self.wfile.write(WATCHING.format(**party.knows, session_state=answer["session_state"]).encode())

        super().__init__(Handler)


@pytest.fixture
def party() -> Iterator[RelyingParty]:
    with closing(RelyingParty()) as party:
        yield party


@pytest.fixture(scope="module")
def issuer(tmp_path_factory) -> Iterator[RunningIssuer]:
    folder = tmp_path_factory.mktemp("issuer")
    settings = folder / "carnet.toml"
    settings.write_text("session_management = true\n")
    with running_issuer(folder / "data", options=("--config", str(settings))) as running:
        running.command("user", "create", "ada@example.com", "--password-stdin", given=PASSWORD)
        yield running


def begin(page: Page, issuer: RunningIssuer, party: RelyingParty, **asked: str) -> None:
    """The relying party sends somebody to sign in."""
    client = issuer.command(
        "client", "create", "Watcher", "--public", "--first-party", "--redirect-uri", f"{party.url}/callback"
    )
    document = httpx2.get(f"{issuer.url}/.well-known/openid-configuration").json()
    party.knows = {
        "issuer": issuer.url,
        "frame": document["check_session_iframe"],
        "client_id": client["client_id"],
    }
    request = {
        "response_type": "code",
        "client_id": client["client_id"],
        "redirect_uri": f"{party.url}/callback",
        "scope": "openid",
        "code_challenge": pkce.challenge(VERIFIER),
        "code_challenge_method": "S256",
    }
    page.goto(f"{issuer.url}/authorize?{urlencode(request | asked)}")


def enter(page: Page) -> None:
    page.get_by_label("Email address").fill("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_title("Watching")


@pytest.mark.spec("OpenID Connect Session Management", "3.1", "MUST")
def test_a_page_that_watches_is_told_when_the_person_signs_out(page: Page, issuer, party):
    begin(page, issuer, party)
    enter(page)
    expect(page.locator("#said")).to_have_text("unchanged")
    other = page.context.new_page()
    other.goto(f"{issuer.url}/end_session")
    other.get_by_role("button", name="Sign out").click()
    expect(page.locator("#said")).to_have_text("changed")


def test_a_person_goes_on_with_the_account_that_they_choose(page: Page, issuer, party, photograph):
    begin(page, issuer, party)
    enter(page)
    begin(page, issuer, party, prompt="select_account")
    photograph(page, "issuer-account-choice")
    page.get_by_role("button", name="Go on as ada@example.com").click()
    expect(page).to_have_title("Watching")
    begin(page, issuer, party, prompt="select_account")
    page.get_by_role("button", name="Use another account").click()
    expect(page.get_by_label("Email address")).to_be_empty()
    enter(page)
