"""RFC 6750 over HTTP: FastAPI, Starlette and plain ASGI applications answer alike."""

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx2
import litestar
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from carnet.guard import Principal, asgi, require
from carnet.guard import fastapi as fastapi_guard
from carnet.guard import litestar as litestar_guard
from carnet.guard import starlette as starlette_guard
from carnet.jose import SigningKey, VerifyingKey, sign_jwt
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer

pytestmark = pytest.mark.anyio

Build = Callable[[FakeIssuer, Clock], tuple[Any, Any]]


def _shown(principal: Principal) -> dict[str, Any]:
    return {"subject": principal.subject, "roles": sorted(principal.roles), "client": principal.is_client}


def fastapi_app(issuer: FakeIssuer, clock: Clock) -> tuple[Any, Any]:
    guard = fastapi_guard.Guard(
        issuer=issuer.issuer, audience="orders", ambient=clock.ambient, transport=issuer.transport
    )
    app = FastAPI(lifespan=guard.lifespan)

    @app.get("/orders")
    async def orders(principal: Annotated[Principal, guard.require(scope="orders:read", role="USER")]) -> Any:
        return _shown(principal)

    @app.get("/payments", dependencies=[guard.require(max_age=300, acr="gold")])
    def payments() -> Any:
        return {"paid": True}

    return app, guard


def starlette_app(issuer: FakeIssuer, clock: Clock) -> tuple[Any, Any]:
    guard = starlette_guard.Guard(
        issuer=issuer.issuer, audience="orders", ambient=clock.ambient, transport=issuer.transport
    )

    @guard.require(scope="orders:read", role="USER")
    async def orders(request: Request) -> JSONResponse:
        return JSONResponse(_shown(guard.principal(request)))

    @guard.require(max_age=300, acr="gold")
    def payments(request: Request) -> JSONResponse:
        return JSONResponse({"paid": True})

    app = Starlette(routes=[Route("/orders", orders), Route("/payments", payments)], lifespan=guard.lifespan)
    return app, guard


def asgi_app(issuer: FakeIssuer, clock: Clock) -> tuple[Any, Any]:
    guard = asgi.Guard(issuer=issuer.issuer, audience="orders", ambient=clock.ambient, transport=issuer.transport)

    async def orders(scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse(_shown(asgi.principal_in(scope)))(scope, receive, send)

    read = guard.protect(orders, require(scope="orders:read", role="USER"))
    pay = guard.protect(orders, require(max_age=300, acr="gold"))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (pay if scope["path"] == "/payments" else read)(scope, receive, send)

    return app, guard


def litestar_app(issuer: FakeIssuer, clock: Clock) -> tuple[Any, Any]:
    guard = litestar_guard.Guard(
        issuer=issuer.issuer, audience="orders", ambient=clock.ambient, transport=issuer.transport
    )

    @litestar.get("/orders", guards=[guard.require(scope="orders:read", role="USER")])
    async def orders(request: litestar.Request[Any, Any, Any]) -> dict[str, Any]:
        return _shown(guard.principal(request))

    @litestar.get("/payments", guards=[guard.require(max_age=300, acr="gold")], sync_to_thread=False)
    def payments() -> dict[str, bool]:
        return {"paid": True}

    return litestar.Litestar([orders, payments], plugins=[guard], openapi_config=None, logging_config=None), guard


BUILDS = {"fastapi": fastapi_app, "starlette": starlette_app, "asgi": asgi_app, "litestar": litestar_app}


@pytest.fixture(params=BUILDS.values(), ids=BUILDS)
async def client(request: pytest.FixtureRequest, issuer: FakeIssuer, clock: Clock) -> AsyncIterator[httpx2.AsyncClient]:
    app, guard = request.param(issuer, clock)
    async with (
        guard.lifespan(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://service.test") as client,
    ):
        yield client


async def test_a_request_with_a_good_token_is_let_through_with_its_principal(
    client: httpx2.AsyncClient, issuer: FakeIssuer
) -> None:
    headers = issuer.headers("bob", scope="orders:read", roles=["USER"])
    answer = await client.get("/orders", headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"subject": "bob", "roles": ["USER"], "client": False})


@pytest.mark.spec("RFC 6750", "3.1", "SHOULD NOT")
async def test_a_request_without_a_token_gets_a_challenge_without_an_error(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/orders")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"error", "error_description"}


@pytest.mark.spec("RFC 6750", "3.1", "SHOULD")
async def test_a_token_without_the_scope_is_answered_with_the_scope_that_is_needed(
    client: httpx2.AsyncClient, issuer: FakeIssuer
) -> None:
    answer = await client.get("/orders", headers=issuer.headers(scope="orders:write", roles=["USER"]))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="orders:read"' in answer.headers["www-authenticate"]
    assert answer.json()["error"] == "insufficient_scope"


async def test_a_token_without_the_role_is_forbidden(client: httpx2.AsyncClient, issuer: FakeIssuer) -> None:
    answer = await client.get("/orders", headers=issuer.headers(scope="orders:read", roles=["GUEST"]))
    assert answer.status_code == 403
    assert "USER" not in answer.text


@pytest.mark.spec("RFC 9470", "3", "MUST")
async def test_too_weak_a_sign_in_is_answered_with_what_would_do(
    client: httpx2.AsyncClient, issuer: FakeIssuer, clock: Clock
) -> None:
    answer = await client.get("/payments", headers=issuer.headers(acr="silver", auth_time=clock.now() - 1000))
    assert answer.status_code == 401
    challenge = answer.headers["www-authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'acr_values="gold"' in challenge
    assert 'max_age="300"' in challenge
    good = issuer.headers(acr="gold", auth_time=clock.now() - 10)
    assert (await client.get("/payments", headers=good)).status_code == 200


def _forged(token: str, payload: dict[str, Any] | None = None, header: dict[str, Any] | None = None) -> str:
    parts = token.split(".")
    for index, new in ((0, header), (1, payload)):
        if new is not None:
            parts[index] = urlsafe_b64encode(json.dumps(new).encode()).rstrip(b"=").decode()
    return ".".join(parts)


def _unsigned(issuer: FakeIssuer, alg: str) -> str:
    return _forged(issuer.token(), header={"alg": alg, "typ": "at+jwt"}).rpartition(".")[0] + "."


def _confused(issuer: FakeIssuer) -> str:
    """RS256 to HS256: the public key, as everybody has it, as the secret."""
    pem = VerifyingKey.from_jwk(issuer.key.public().to_jwk(), alg=issuer.key.alg).to_pem()
    key = SigningKey.from_secret(pem, alg="HS256", kid=issuer.key.kid)
    return issuer.token(key=key, scope="orders:read", roles=["USER"])


GOOD = {"scope": "orders:read", "roles": ["USER"]}

ATTACKS: dict[str, Callable[[FakeIssuer], str]] = {
    "a payload edited from USER to ADMIN": lambda issuer: _forged(
        issuer.token(**GOOD), payload=issuer.claims(**GOOD) | {"roles": ["ADMIN", "USER"]}
    ),
    "alg none": lambda issuer: _unsigned(issuer, "none"),
    "alg None": lambda issuer: _unsigned(issuer, "None"),
    "alg NONE": lambda issuer: _unsigned(issuer, "NONE"),
    "alg nOnE": lambda issuer: _unsigned(issuer, "nOnE"),
    "the public key as an HMAC secret": _confused,
    "an expired token": lambda issuer: issuer.token(**GOOD, expires_in=-3600),
    "another audience": lambda issuer: issuer.token(**GOOD, audience="invoices"),
    "an audience of which ours is a part": lambda issuer: issuer.token(**GOOD, audience="orders2"),
    "another issuer": lambda issuer: issuer.token(**GOOD, iss="https://evil.test"),
    "no audience": lambda issuer: issuer.token(**GOOD, aud=None),
    "no expiry": lambda issuer: issuer.token(**GOOD, exp=None),
    "no subject": lambda issuer: issuer.token(**GOOD, sub=None),
    "no client": lambda issuer: issuer.token(**{**GOOD, "client_id": None}),
    "no jti": lambda issuer: issuer.token(**GOOD, jti=None),
    "no iat": lambda issuer: issuer.token(**GOOD, iat=None),
    "an ID token": lambda issuer: issuer.token(**GOOD, typ="JWT"),
    "a logout token": lambda issuer: issuer.token(**GOOD, typ="logout+jwt"),
    "a refresh token": lambda issuer: "q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6j7k8l9z0x1c",
    "a foreign key with a known kid": lambda issuer: issuer.token(
        **GOOD, key=SigningKey.generate("ES256", kid=issuer.key.kid)
    ),
    "a foreign key with a foreign kid": lambda issuer: issuer.token(**GOOD, key=SigningKey.generate("ES256")),
    "a token over the limit": lambda issuer: issuer.token(**GOOD, padding="x" * 9000),
    "roles that are no array": lambda issuer: sign_jwt(
        issuer.claims(**GOOD) | {"roles": "USER"}, issuer.key, typ="at+jwt"
    ),
    "one part": lambda issuer: "abc",
    "four parts": lambda issuer: issuer.token(**GOOD) + ".abc",
    "dots": lambda issuer: "." * 5000,
    "a signature cut short": lambda issuer: issuer.token(**GOOD)[:-2],
}


@pytest.mark.spec("RFC 6750", "3.1", "SHOULD")
@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_bad_token_is_refused_as_invalid_without_a_word_why(
    client: httpx2.AsyncClient, issuer: FakeIssuer, attack: str
) -> None:
    answer = await client.get("/orders", headers={"authorization": f"Bearer {ATTACKS[attack](issuer)}"})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert answer.json() == {"error": "invalid_token", "error_description": "The access token is not valid here."}


@pytest.mark.spec("RFC 6750", "3.1", "SHOULD")
@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", "Bearer a b")],
        [("authorization", "Bearer a,b")],
        [("authorization", 'Bearer token="abc"')],
        [("authorization", "Bearer aé".encode("latin-1").decode("latin-1"))],
        [("authorization", "Bearer abc"), ("authorization", "Bearer abc")],
    ],
)
async def test_what_is_not_one_bearer_token_is_a_malformed_request(
    client: httpx2.AsyncClient, headers: list[tuple[str, str]]
) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    answer = await client.get("/orders", headers=encoded)
    assert answer.status_code == 400
    assert 'error="invalid_request"' in answer.headers["www-authenticate"]


@pytest.mark.spec("RFC 6750", "2", "MUST NOT")
@pytest.mark.parametrize("name", ["access_token", "access%5Ftoken"])
async def test_a_token_in_header_and_query_is_a_malformed_request(
    client: httpx2.AsyncClient, issuer: FakeIssuer, name: str
) -> None:
    answer = await client.get(f"/orders?x=1&{name}=abc", headers=issuer.headers(**GOOD))
    assert answer.status_code == 400


@pytest.mark.spec("OAuth 2.1", "5.1", "MUST")
async def test_a_token_in_the_query_alone_is_not_looked_at(client: httpx2.AsyncClient, issuer: FakeIssuer) -> None:
    answer = await client.get(f"/orders?access_token={issuer.token(**GOOD)}")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_another_scheme_is_as_good_as_none(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/orders", headers={"authorization": "Basic YTpi"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_the_name_of_the_scheme_has_no_case(client: httpx2.AsyncClient, issuer: FakeIssuer) -> None:
    answer = await client.get("/orders", headers={"authorization": f"bEaReR {issuer.token(**GOOD)}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
async def test_before_the_first_key_set_the_answer_is_503_and_never_401(
    build: Build, issuer: FakeIssuer, clock: Clock
) -> None:
    token = issuer.token(**GOOD)
    issuer.answer = lambda request: httpx2.Response(500)  # type: ignore[method-assign]
    app, _ = build(issuer, clock)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://service.test") as client:
        answer = await client.get("/orders", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "www-authenticate" not in answer.headers


@asynccontextmanager
async def _running(app: Any, guard: Any) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        guard.lifespan(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://service.test") as client,
    ):
        yield client


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
async def test_a_guard_goes_on_when_the_issuer_has_stopped(build: Build, issuer: FakeIssuer, clock: Clock) -> None:
    async with _running(*build(issuer, clock)) as client:
        assert (await client.get("/orders", headers=issuer.headers(**GOOD))).status_code == 200
        asked = len(issuer.requests)

        def gone(request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ConnectError("gone", request=request)

        issuer.answer = gone  # type: ignore[method-assign]
        clock.advance(3600)
        for _ in range(20):
            assert (await client.get("/orders", headers=issuer.headers(**GOOD))).status_code == 200
        assert len(issuer.requests) == asked


async def test_the_openapi_description_names_the_scheme_and_the_scope(issuer: FakeIssuer, clock: Clock) -> None:
    app, _ = fastapi_app(issuer, clock)
    described = app.openapi()
    assert described["paths"]["/orders"]["get"]["security"] == [{"carnet": ["orders:read"]}]
    assert described["components"]["securitySchemes"]["carnet"] == {
        "type": "openIdConnect",
        "openIdConnectUrl": "https://issuer.test/.well-known/openid-configuration",
    }


async def test_a_protected_application_starts_and_stops_with_its_guard(issuer: FakeIssuer, clock: Clock) -> None:
    guard = asgi.Guard(issuer=issuer.issuer, audience="orders", ambient=clock.ambient, transport=issuer.transport)
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await guard.checkpoint.source.load()
        seen.append(f"{scope['type']} {guard.checkpoint.ready}")

    async def nothing(*_: Any) -> Any: ...

    await guard.protect(app)({"type": "lifespan"}, nothing, nothing)
    assert seen == ["lifespan True"]


async def test_an_endpoint_without_a_requirement_has_no_principal() -> None:
    guard = starlette_guard.Guard(issuer="https://issuer.test", audience="orders")
    with pytest.raises(LookupError, match="requirement"):
        guard.principal(Request({"type": "http"}))


# WebSocket


async def _connect(app: Any, headers: list[tuple[bytes, bytes]], *, extensions: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    received = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}])

    async def receive() -> Any:
        return next(received)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/live",
        "query_string": b"",
        "headers": headers,
        "subprotocols": [],
        "extensions": extensions,
    }
    await app(scope, receive, send)
    return sent


def _live(issuer: FakeIssuer, clock: Clock) -> dict[str, Any]:
    settings: Any = {
        "issuer": issuer.issuer,
        "audience": "orders",
        "ambient": clock.ambient,
        "transport": issuer.transport,
    }
    star = starlette_guard.Guard(**settings)
    fast = fastapi_guard.Guard(**settings)
    plain = asgi.Guard(**settings)

    @star.require(role="USER")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(star.principal(websocket).subject)

    fast_app = FastAPI()

    @fast_app.websocket("/live")
    async def live(websocket: WebSocket, principal: Annotated[Principal, fast.require(role="USER")]) -> None:
        await websocket.accept()
        await websocket.send_text(principal.subject)

    lite = litestar_guard.Guard(**settings)

    @litestar.websocket("/live", guards=[lite.require(role="USER")])
    async def lively(socket: litestar.WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        await socket.send_text(lite.principal(socket).subject)

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        await websocket.send_text(asgi.principal_in(scope).subject)

    return {
        "starlette": Starlette(routes=[WebSocketRoute("/live", endpoint)]),
        "fastapi": fast_app,
        "asgi": plain.protect(echo, require(role="USER")),
        "litestar": litestar.Litestar([lively], plugins=[lite], openapi_config=None, logging_config=None),
    }


@pytest.mark.parametrize("kind", ["starlette", "fastapi", "asgi", "litestar"])
async def test_a_websocket_is_guarded_at_its_handshake(issuer: FakeIssuer, clock: Clock, kind: str) -> None:
    app = _live(issuer, clock)[kind]
    good = [(b"authorization", f"Bearer {issuer.token(roles='USER')}".encode())]
    sent = await _connect(app, good, extensions={})
    assert [message["type"] for message in sent[:2]] == ["websocket.accept", "websocket.send"]
    assert sent[1]["text"] == "alice"
    for bad in ([], [(b"authorization", b"Bearer abc")], [(b"authorization", f"Bearer {issuer.token()}".encode())]):
        sent = await _connect(app, bad, extensions={})
        assert [message["type"] for message in sent] == ["websocket.close"]
        assert sent[0]["code"] == 1008


@pytest.mark.parametrize("kind", ["starlette", "fastapi", "asgi"])
async def test_where_the_server_can_a_refused_handshake_is_answered_as_http(
    issuer: FakeIssuer, clock: Clock, kind: str
) -> None:
    app = _live(issuer, clock)[kind]
    sent = await _connect(app, [], extensions={"websocket.http.response": {}})
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == 401
    assert (b"www-authenticate", b"Bearer") in sent[0]["headers"]
