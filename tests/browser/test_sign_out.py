"""OpenID Connect Front-Channel and RP-Initiated Logout, in a browser and with a relying party that is a server of its own."""

import threading
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from carnet.oauth import pkce

from .app_server import AppServer, Quiet
from .conftest import PASSWORD

VERIFIER = "v" * 43


class RelyingParty(AppServer):
    """Takes codes at `/callback`, and hears of sign-outs at `/out` in a frame; `/bye` is where people end."""

    def __init__(self) -> None:
        party = self
        self.asked: dict[str, list[dict[str, list[str]]]] = {}
        self.signed_out = threading.Event()

        class Handler(Quiet):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                party.asked.setdefault(parts.path, []).append(parse_qs(parts.query))
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(f"<title>{parts.path}</title>".encode())
                if parts.path == "/out":
                    party.signed_out.set()

        super().__init__(Handler)


@pytest.fixture
def party() -> Iterator[RelyingParty]:
    with closing(RelyingParty()) as party:
        yield party


def test_an_app_hears_of_the_sign_out_in_its_frame_and_the_person_goes_on_to_another(chromium: Browser, issuer, party):
    heard = issuer.command(
        "client", "create", "Heard", "--first-party", "--redirect-uri", f"{party.url}/callback",
        "--frontchannel-logout-uri", f"{party.url}/out", "--post-logout-redirect-uri", f"{party.url}/bye", "--json",
    )  # fmt: skip
    request = {
        "response_type": "code",
        "client_id": heard["client_id"],
        "redirect_uri": f"{party.url}/callback",
        "scope": "openid",
        "code_challenge": pkce.challenge(VERIFIER),
        "code_challenge_method": "S256",
    }
    context = chromium.new_context(java_script_enabled=False)
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.goto(f"{issuer.url}/authorize?{urlencode(request)}")
    page.get_by_label("Email address").fill("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_title("/callback")
    [came] = party.asked["/callback"]
    tokens = httpx2.post(
        f"{issuer.url}/token",
        data={"grant_type": "authorization_code", "code": came["code"][0], "code_verifier": VERIFIER},
        auth=(heard["client_id"], heard["client_secret"]),
    ).json()
    page.goto(
        f"{issuer.url}/end_session?"
        + urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": f"{party.url}/bye", "state": "s"})
    )
    assert party.signed_out.wait(20)
    [out] = party.asked["/out"]
    assert out["iss"] == [issuer.url]
    assert len(out["sid"][0]) == 22
    expect(page).to_have_title("/bye")
    assert party.asked["/bye"] == [{"state": ["s"]}]
    page.goto(f"{issuer.url}/account")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    context.close()
