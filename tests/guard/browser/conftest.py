"""A whole issuer in memory, and a browser back end in front of a service that shows what reached it."""

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from carnet.guard.browser import BrowserBackend, ForgedError
from carnet.jose import sign_jwt
from carnet.oauth import pkce
from carnet.oauth.id_token import at_hash
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer

SECRET = b"s" * 32
APP = "https://shop.test"


class Provider:
    """Codes, rotated refresh tokens with reuse detection, userinfo and revocation, on top of the fake issuer's metadata and keys."""

    def __init__(self, fake: FakeIssuer, clock: Clock) -> None:
        self.fake = fake
        self.clock = clock
        self.codes: dict[str, dict[str, str]] = {}
        self.live: dict[str, int] = {}
        self.spent: set[str] = set()
        self.families_ended = 0
        self.number = 0
        self.refreshes = 0
        self.roles = ["USER"]
        self.expires_in = 300
        self.down = False
        self.down_paths: set[str] = set()
        self.gate: Any = None
        self.id_claims: dict[str, Any] = {}
        self.userinfo_subject = "alice"
        self.revoked: list[str] = []
        self.endpoints: dict[str, str | None] = {}
        self.with_hash = False

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        if self.down or request.url.path in self.down_paths:
            raise httpx2.ConnectError("down", request=request)
        route = request.url.path
        if route == "/token":
            return await self._token(request)
        if route == "/userinfo":
            return httpx2.Response(200, json={"sub": self.userinfo_subject, "name": "Alice", "roles": self.roles})
        if route == "/revoke":
            form = dict(parse_qsl(request.content.decode()))
            self.revoked.append(form["token"])
            self.live.pop(form["token"], None)
            return httpx2.Response(200)
        if route.startswith("/.well-known"):
            document = self.fake.metadata() | {
                "userinfo_endpoint": f"{self.fake.issuer}/userinfo",
                "revocation_endpoint": f"{self.fake.issuer}/revoke",
                "end_session_endpoint": f"{self.fake.issuer}/end_session",
                **self.endpoints,
            }
            return httpx2.Response(200, json={name: value for name, value in document.items() if value is not None})
        return self.fake.answer(request)

    def authorize(self, location: str, **changed: str) -> str:
        """What a browser is redirected to when the person has signed in."""
        asked = dict(parse_qsl(urlsplit(location).query))
        assert asked["code_challenge_method"] == "S256"
        self.number += 1
        code = f"code-{self.number}"
        self.codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.fake.issuer} | changed
        return f"{asked['redirect_uri']}?{httpx2.QueryParams({k: v for k, v in answer.items() if v})}"

    async def _token(self, request: httpx2.Request) -> httpx2.Response:
        if request.headers["authorization"] != f"Basic {b64encode(b'shop:s3cret').decode()}":
            return httpx2.Response(401, json={"error": "invalid_client"})
        form = dict(parse_qsl(request.content.decode()))
        nonce = None
        if form["grant_type"] == "authorization_code":
            asked = self.codes.pop(form["code"], None)
            if asked is None or not pkce.proves(form["code_verifier"], asked["code_challenge"]):
                return httpx2.Response(400, json={"error": "invalid_grant"})
            nonce = asked["nonce"]
        else:
            self.refreshes += 1
            if self.gate is not None:
                await self.gate.wait()
            token = form["refresh_token"]
            if token in self.spent:
                self.live.clear()
                self.families_ended += 1
            if token not in self.live:
                return httpx2.Response(400, json={"error": "invalid_grant"})
            del self.live[token]
            self.spent.add(token)
        return httpx2.Response(200, json=self._issued(nonce))

    def _issued(self, nonce: str | None) -> dict[str, Any]:
        self.number += 1
        refresh = f"refresh-{self.number}"
        self.live[refresh] = self.number
        now = self.clock.now()
        access_token = self.fake.token("alice", roles=self.roles, expires_in=self.expires_in)
        claims = {
            "iss": self.fake.issuer,
            "sub": "alice",
            "aud": "shop",
            "exp": now + 300,
            "iat": now,
            "sid": "sid-1",
            **({"nonce": nonce} if nonce else {}),
            **({"at_hash": at_hash(access_token, self.fake.key.alg)} if self.with_hash else {}),
            **self.id_claims,
        }
        return {
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "access_token": access_token,
            "refresh_token": refresh,
            "id_token": sign_jwt(claims, self.fake.key, typ="JWT"),
        }


async def _echo(request: Request) -> Response:
    body = await request.body()
    headers = dict(request.headers)
    return JSONResponse(
        {
            "path": request.scope["raw_path"].decode(),
            "method": request.method,
            "headers": headers,
            "body": body.decode(),
        },
        headers={"set-cookie": "evil=1", "access-control-allow-origin": "*", "x-secret": "1", "etag": '"1"'},
    )


async def _moved(request: Request) -> Response:
    return Response(status_code=302, headers={"location": "http://elsewhere.test/"})


service = Starlette(
    routes=[
        Route("/base/moved", _moved),
        Route("/base/{rest:path}", _echo, methods=["GET", "POST", "DELETE"]),
        Route("/base", _echo, methods=["GET"]),
    ]
)


class Browser:
    """Keeps cookies and sends what browsers send."""

    def __init__(self, app: Any, url: str = APP) -> None:
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=url)
        self.csrf: str | None = None

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.client.get(path, headers={"sec-fetch-site": "same-origin"} | headers)

    async def post(self, path: str, **options: Any) -> httpx2.Response:
        headers = {"origin": APP, "x-carnet-csrf": self.csrf} | options.pop("headers", {})
        headers = {name: value for name, value in headers.items() if value is not None}
        return await self.client.post(path, headers=headers, **options)

    async def sign_in(self, provider: Provider, path: str = "/auth/login?return_to=/orders") -> httpx2.Response:
        begun = await self.client.get(path)
        assert begun.status_code == 303
        done = await self.client.get(provider.authorize(begun.headers["location"]))
        shown = (await self.get("/auth/session")).json()
        self.csrf = shown.get("csrf")
        return done


@pytest.fixture
def provider(issuer: FakeIssuer, clock: Clock) -> Provider:
    return Provider(issuer, clock)


def build(provider: Provider, clock: Clock, **settings: Any) -> tuple[Starlette, BrowserBackend]:
    options: dict[str, Any] = {
        "issuer": provider.fake.issuer,
        "client_id": "shop",
        "client_secret": "s3cret",
        "secret": SECRET,
        "url": APP,
        "upstreams": {"/api": "http://service.test/base"},
        "ambient": clock.ambient,
        "transport": httpx2.MockTransport(provider.answer),
        "upstream_transport": httpx2.ASGITransport(service),
    }
    backend = BrowserBackend(**(options | settings))

    async def change(request: Request) -> Response:
        try:
            await backend.refuse_forged(request)
        except ForgedError:
            return PlainTextResponse("forged", 403)
        session = await backend.session(request)
        return PlainTextResponse(session.subject if session else "nobody")

    app = Starlette(
        routes=[*backend.routes, Route("/change", change, methods=["GET", "POST"])],
        middleware=backend.middleware,
        lifespan=backend.lifespan,
    )
    return app, backend


@pytest.fixture
async def backend(provider: Provider, clock: Clock) -> AsyncIterator[tuple[Starlette, BrowserBackend]]:
    app, backend = build(provider, clock)
    async with backend.lifespan(app):
        yield app, backend


@pytest.fixture
async def browser(backend: tuple[Starlette, BrowserBackend], provider: Provider) -> AsyncIterator[Browser]:
    browser = Browser(backend[0])
    async with browser.client:
        await browser.sign_in(provider)
        yield browser


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
