"""RFC 9449 section 7: services that receive tokens which are bound to a key."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from carnet.guard import Checkpoint, RefusedRequestError, asgi, wsgi
from carnet.guard.dpop import ProofMemory
from carnet.guard.possession import Possession
from carnet.jose import SigningKey, sign_jwt
from carnet.oauth.dpop import LEEWAY, MAX_AGE, token_hash
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer

pytestmark = pytest.mark.anyio

KEY, OTHER = SigningKey.generate("ES256"), SigningKey.generate("ES256")
URL = "http://service.test/orders"


class Caller:
    """A client that holds a key."""

    def __init__(self, issuer: FakeIssuer, clock: Clock) -> None:
        self.issuer, self.clock = issuer, clock
        self.made = 0

    def token(self, **claims: Any) -> str:
        return self.issuer.token(**({"cnf": {"jkt": KEY.public().thumbprint()}} | claims))

    def proof(self, token: str, *, key: SigningKey = KEY, typ: str = "dpop+jwt", **changes: Any) -> str:
        self.made += 1
        claims = {"jti": f"{self.made}", "htm": "GET", "htu": URL, "iat": self.clock.now(), "ath": token_hash(token)}
        claims = {name: value for name, value in (claims | changes).items() if value is not None}
        return sign_jwt(claims, key, typ=typ, headers={"jwk": key.public().to_jwk()})

    def headers(self, token: str | None = None, *, scheme: str = "DPoP", **changes: Any) -> dict[str, str]:
        token = self.token() if token is None else token
        return {"authorization": f"{scheme} {token}", "dpop": self.proof(token, **changes)}


@pytest.fixture
def caller(issuer: FakeIssuer, clock: Clock) -> Caller:
    return Caller(issuer, clock)


class Threaded(httpx2.AsyncBaseTransport):
    """A WSGI application, asked as the asynchronous ones are; what comes twice is joined, as servers do it."""

    def __init__(self, application: Any) -> None:
        self._transport = httpx2.WSGITransport(application)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        joined = {name: request.headers[name] for name in request.headers}
        answer = self._transport.handle_request(httpx2.Request(request.method, request.url, headers=joined))
        return httpx2.Response(answer.status_code, headers=answer.headers, content=b"".join(answer.stream))


@pytest.fixture(params=["asgi", "wsgi"])
async def client(request: pytest.FixtureRequest, issuer: FakeIssuer, clock: Clock) -> AsyncIterator[httpx2.AsyncClient]:
    settings = {"issuer": issuer.issuer, "audience": "orders", "ambient": clock.ambient, "transport": issuer.transport}
    guard: Any
    transport: httpx2.AsyncBaseTransport
    if request.param == "asgi":
        guard = asgi.Guard(**settings)

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": asgi.principal_in(scope).subject.encode()})

        transport = httpx2.ASGITransport(guard.protect(application))
    else:
        guard = wsgi.Guard(**settings)

        def blocking(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [])
            return [wsgi.principal_in(environ).subject.encode()]

        transport = Threaded(guard.protect(blocking))
    async with httpx2.AsyncClient(transport=transport, base_url="http://service.test") as client:
        yield client
    if request.param == "asgi":
        await guard.checkpoint.stop()
    else:
        guard.checkpoint.stop()


def refused(answer: httpx2.Response, error: str, scheme: str = "DPoP") -> bool:
    challenge = answer.headers["www-authenticate"]
    return (
        (answer.status_code, answer.json()["error"]) == (401, error)
        and challenge.startswith(f"{scheme} ")
        and f'error="{error}"' in challenge
        and ('algs="ES256 ' in challenge) == (scheme == "DPoP")
    )


@pytest.mark.spec("RFC 9449", "7.1", "MUST")
async def test_a_bound_token_is_let_through_with_its_proof(client: httpx2.AsyncClient, caller: Caller) -> None:
    answer = await client.get("/orders", headers=caller.headers())
    assert (answer.status_code, answer.text) == (200, "alice")
    answer = await client.get("/orders?page=2", headers=caller.headers(scheme="dpop"))
    assert answer.status_code == 200


@pytest.mark.spec("RFC 9449", "7.2", "MUST")
async def test_a_bound_token_is_no_bearer_token(client: httpx2.AsyncClient, caller: Caller) -> None:
    assert refused(await client.get("/orders", headers=caller.headers(scheme="Bearer")), "invalid_token", "Bearer")
    for cnf in ({"x5t#S256": "x"}, {}, "x"):
        headers = {"authorization": f"Bearer {caller.token(cnf=cnf)}"}
        assert refused(await client.get("/orders", headers=headers), "invalid_token", "Bearer")


async def test_a_bearer_token_is_no_bound_token(client: httpx2.AsyncClient, caller: Caller) -> None:
    assert refused(await client.get("/orders", headers=caller.headers(caller.token(cnf=None))), "invalid_token")


@pytest.mark.parametrize(
    "cnf", [{}, "x", {"jkt": 1}, {"x5t#S256": "x"}, {"jkt": KEY.public().thumbprint(), "x5t#S256": "x"}]
)
async def test_a_token_that_is_bound_to_more_than_the_proofs_key_is_refused(
    client: httpx2.AsyncClient, caller: Caller, cnf: Any
) -> None:
    assert refused(await client.get("/orders", headers=caller.headers(caller.token(cnf=cnf))), "invalid_token")


@pytest.mark.spec("RFC 9449", "7.1", "MUST")
async def test_a_proof_by_another_key_is_refused(client: httpx2.AsyncClient, caller: Caller) -> None:
    assert refused(await client.get("/orders", headers=caller.headers(key=OTHER)), "invalid_token")


@pytest.mark.spec("RFC 9449", "4.3", "MUST")
@pytest.mark.parametrize(
    "changes",
    [
        {"htm": "POST"},
        {"htu": "http://service.test/payments"},
        {"htu": "http://other.test/orders"},
        {"htu": "https://service.test/orders"},
        {"htu": "http://service.test:8080/orders"},
        {"ath": None},
        {"ath": token_hash("another")},
        {"ath": "ä"},
        {"iat": None},
        {"jti": None},
        {"typ": "JWT"},
    ],
)
async def test_a_proof_for_something_else_is_refused(
    client: httpx2.AsyncClient, caller: Caller, changes: dict[str, Any]
) -> None:
    assert refused(await client.get("/orders", headers=caller.headers(**changes)), "invalid_dpop_proof")


async def test_a_proof_is_of_now(client: httpx2.AsyncClient, caller: Caller, clock: Clock) -> None:
    for iat in (clock.now() - MAX_AGE - LEEWAY, clock.now() + LEEWAY + 1):
        assert refused(await client.get("/orders", headers=caller.headers(iat=iat)), "invalid_dpop_proof")
    for iat in (clock.now() - MAX_AGE - LEEWAY + 1, clock.now() + LEEWAY):
        assert (await client.get("/orders", headers=caller.headers(iat=iat))).status_code == 200


@pytest.mark.spec("RFC 9449", "11.1", "MUST")
async def test_a_proof_is_accepted_once(client: httpx2.AsyncClient, caller: Caller, clock: Clock) -> None:
    headers = caller.headers(caller.token(expires_in=600))
    assert (await client.get("/orders", headers=headers)).status_code == 200
    assert refused(await client.get("/orders", headers=headers), "invalid_dpop_proof")
    clock.advance(MAX_AGE + LEEWAY - 1)
    assert refused(await client.get("/orders", headers=headers), "invalid_dpop_proof")


async def test_a_token_comes_with_one_proof(client: httpx2.AsyncClient, caller: Caller) -> None:
    token = caller.token()
    assert refused(await client.get("/orders", headers={"authorization": f"DPoP {token}"}), "invalid_dpop_proof")
    two = [("authorization", f"DPoP {token}"), ("dpop", caller.proof(token)), ("dpop", caller.proof(token))]
    assert refused(await client.get("/orders", headers=two), "invalid_dpop_proof")


async def test_what_is_wrong_with_the_token_itself_is_said_with_the_scheme_that_it_came_with(
    client: httpx2.AsyncClient, caller: Caller
) -> None:
    assert refused(await client.get("/orders", headers=caller.headers(caller.token(expires_in=-100))), "invalid_token")


async def test_urls_that_mean_the_same_are_the_same(client: httpx2.AsyncClient, caller: Caller) -> None:
    for path, htu in (
        ("/orders", "HTTP://SERVICE.test:80/orders?x=1#y"),
        ("/or%64ers", URL),
        ("/a%20b", "http://service.test/a%20b"),
        ("/", "http://service.test"),
    ):
        answer = await client.get(path, headers=caller.headers(htu=htu))
        assert answer.status_code == 200, (path, htu, answer.text)


async def test_behind_a_proxy_the_origin_is_set(issuer: FakeIssuer, clock: Clock, caller: Caller) -> None:
    guard = asgi.Guard(
        issuer=issuer.issuer,
        audience="orders",
        origin="https://orders.example",
        ambient=clock.ambient,
        transport=issuer.transport,
    )
    headers = caller.headers(htu="https://orders.example/orders")
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/orders",
        "headers": [*encoded, (b"host", b"10.0.0.1")],
    }
    assert (await guard.admit(scope)).subject == "alice"
    handshake = caller.headers(htu="https://orders.example/live")
    encoded = [(name.encode(), value.encode()) for name, value in handshake.items()]
    assert (
        await guard.admit({"type": "websocket", "scheme": "ws", "path": "/live", "headers": encoded})
    ).subject == "alice"
    await guard.checkpoint.stop()


async def test_where_the_request_does_not_say_what_it_is_for_no_proof_is_right(
    issuer: FakeIssuer, clock: Clock, caller: Caller
) -> None:
    checkpoint = Checkpoint(issuer=issuer.issuer, audience="orders", ambient=clock.ambient, transport=issuer.transport)
    token = caller.token()
    possession = Possession("GET", "http:///orders", (caller.proof(token, htu="no URL").encode(),))
    with pytest.raises(RefusedRequestError) as caught:
        await checkpoint.admit([f"DPoP {token}".encode()], possession=possession)
    assert caught.value.refused.code == "invalid_proof"
    await checkpoint.stop()


async def test_a_checkpoint_that_does_not_learn_the_url_lets_no_bound_token_through(
    issuer: FakeIssuer, clock: Clock, caller: Caller
) -> None:
    checkpoint = Checkpoint(issuer=issuer.issuer, audience="orders", ambient=clock.ambient, transport=issuer.transport)
    token = caller.token()
    authorizations = [f"DPoP {token}".encode()]
    with pytest.raises(RefusedRequestError) as caught:
        await checkpoint.admit(authorizations)
    assert (caught.value.refused.code, caught.value.refused.scheme) == ("unprovable", "DPoP")
    possession = Possession("GET", URL, (caller.proof(token).encode(),))
    assert (await checkpoint.admit(authorizations, possession=possession)).subject == "alice"
    await checkpoint.stop()


def test_the_memory_of_proofs_is_bounded_and_forgets_what_is_refused_anyhow() -> None:
    memory = ProofMemory(most=2)
    assert memory.accept("key", "a", at=0, until=100) is True
    assert memory.accept("key", "a", at=0, until=100) is False
    assert memory.accept("other", "a", at=0, until=150) is True
    assert memory.accept("key", "c", at=99, until=200) is None
    assert memory.accept("key", "c", at=100, until=200) is True
    assert memory.accept("key", "a", at=150, until=250) is True
