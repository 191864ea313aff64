"""The demo as processes of its own, an app that signs people in there, and the issuer's own key for tokens that are nearly right."""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import msgspec
import pytest

from carnet.ambient import SYSTEM
from carnet.issuer.app import open_desk
from carnet.issuer.config import Config
from carnet.jose import SigningKey
from carnet.testing.http_browser import HttpBrowser
from carnet.testing.running import RunningDemo, carnet, running_demo

REDIRECT_URI = "http://127.0.0.1:1/callback"
"""Nothing listens there: the test reads the redirect's query."""
DEVICE = "carnet_device"
SCOPE = "openid offline_access stock:read stock:write orders:read orders:write invoices:read notifications:read"


@pytest.fixture(scope="package")
def demo(tmp_path_factory) -> Iterator[RunningDemo]:
    """Its issuer publishes two keys from the beginning: ES256, which signs, and RS256, which would in ten minutes."""
    data = tmp_path_factory.mktemp("demo")
    for algorithm, *command in (("ES256", "list"), ("RS256", "rotate", "--no-wait")):
        settings = data / f"{algorithm}.toml"
        settings.write_text(f'data = "issuer"\nsigning_algorithm = "{algorithm}"\n')
        carnet("key", *command, "--config", str(settings))
    with running_demo(data) as demo:
        yield demo


@dataclass(frozen=True, slots=True)
class App:
    """A confidential client that its test drives step by step."""

    demo: RunningDemo
    client_id: str
    client_secret: str
    known: dict[str, str] = field(default_factory=dict)
    """By email: the cookie by which the issuer knows the person's own browser, which is not slowed down like a stranger's."""

    @property
    def issuer(self) -> str:
        return self.demo.urls["issuer"]

    def authorization_url(self, code_challenge: str | None, **other: str | None) -> str:
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": REDIRECT_URI,
            "scope": SCOPE,
            "state": "state-of-the-test",
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        } | other
        kept = {name: value for name, value in parameters.items() if value is not None}
        return f"{self.issuer}/authorize?{urlencode(kept)}"

    def code(self, challenge: str, *, admin: bool = False) -> str:
        """Sign in on the issuer's page; the answer is the code of the redirect."""
        account = self.demo.account(admin=admin)
        own = {DEVICE: self.known[account["email"]]} if account["email"] in self.known else None
        with HttpBrowser(stop=lambda url: url.startswith(REDIRECT_URI), cookies=own) as browser:
            browser.open(self.authorization_url(challenge))
            browser.submit(to="/login", email=account["email"], password=account["password"])
            assert browser.stopped_at, browser.page.text
            answered = parse_qs(urlsplit(browser.stopped_at).query)
            self.known[account["email"]] = next(cookie.value for cookie in browser.cookies.jar if cookie.name == DEVICE)
        assert answered["state"] == ["state-of-the-test"]
        assert answered["iss"] == [self.issuer]
        return answered["code"][0]

    def token_request(self, **parameters: str) -> httpx2.Response:
        credentials = (self.client_id, self.client_secret)
        return httpx2.post(f"{self.issuer}/token", data=parameters, auth=credentials, trust_env=False)

    def redeem(self, code: str, **other: str) -> httpx2.Response:
        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI} | other
        return self.token_request(**asked)

    def refresh(self, refresh_token: str) -> httpx2.Response:
        return self.token_request(grant_type="refresh_token", refresh_token=refresh_token)

    def sign_in(self, *, admin: bool = False) -> dict[str, Any]:
        """The tokens of a person."""
        verifier, challenge = pkce()
        response = self.redeem(self.code(challenge, admin=admin), code_verifier=verifier)
        assert response.status_code == 200, response.text
        return response.json()


def pkce() -> tuple[str, str]:
    """RFC 7636: a verifier and its S256 challenge."""
    verifier = secrets.token_urlsafe(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.fixture(scope="package")
def new_pkce() -> Callable[[], tuple[str, str]]:
    return pkce


@pytest.fixture(scope="package")
def app(demo) -> App:
    made = demo.command(
        *("client", "create", "Test bench", "--first-party", "--redirect-uri", REDIRECT_URI),
        *(word for scope in SCOPE.split() for word in ("--scope", scope)),
        *(word for name in ("warehouse", "orders", "invoices", "notifications") for word in ("--audience", name)),
    )
    return App(demo, made["client_id"], made["client_secret"])


@pytest.fixture(scope="package")
def user_tokens(app) -> dict[str, Any]:
    return app.sign_in()


@pytest.fixture(scope="package")
def admin_tokens(app) -> dict[str, Any]:
    return app.sign_in(admin=True)


@pytest.fixture(scope="package")
def issuer_keys(demo) -> dict[str, SigningKey]:
    """The demo issuer's very own keys by their algorithm, out of its database."""
    config = msgspec.toml.decode((demo.data / "carnet.toml").read_bytes())
    settings = Config(issuer=config["issuer"], port=config["port"], data=demo.data / config["data"])

    async def read() -> dict[str, SigningKey]:
        desk = await open_desk(settings, SYSTEM, secret=None)
        try:
            return {record.alg: desk.keyring._open(record) for record in await desk.store.signing_keys.list()}
        finally:
            await desk.store.close()

    return asyncio.run(read())


@pytest.fixture(scope="package")
def issuer_key(issuer_keys) -> SigningKey:
    """What it signs differs from a real token in nothing but its claims."""
    return issuer_keys["ES256"]
