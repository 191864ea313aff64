"""RFC 9449 on the client's side: services and the browser back end with tokens that are bound to their key, at a real issuer."""

import json
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse

from carnet.guard import ServiceTokens, asgi, require
from carnet.guard.browser import BrowserBackend
from carnet.guard.issuer_client import GrantRefusedError, IssuerUnavailableError
from carnet.guard.proving import MOST_NONCES, Prover
from carnet.jose import SigningKey, base64url
from carnet.oauth.dpop import ALGORITHMS, check_proof, make_proof

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"
STOCK = "http://127.0.0.1:9001"
SHOP = "http://127.0.0.1:9000"
KEY = SigningKey.generate("ES256")


async def shown(scope: Any, receive: Any, send: Any) -> None:
    """A service that says who asked."""
    principal = asgi.principal_in(scope)
    answer = {"subject": principal.subject, "cnf": dict(principal.claims["cnf"]), "path": scope["path"]}
    await JSONResponse(answer)(scope, receive, send)


@pytest.fixture
async def service(issuer):
    """A service behind a guard of this issuer."""
    guard = asgi.Guard(
        issuer=ISSUER,
        audience="stock",
        revocation=None,
        ambient=issuer.clock.ambient,
        transport=httpx2.ASGITransport(issuer.app),
    )
    async with guard.lifespan():
        yield httpx2.ASGITransport(guard.protect(shown, require(scope="stock:read")))


def tokens(issuer, app, key=KEY, **settings: Any) -> ServiceTokens:
    return ServiceTokens(
        issuer=ISSUER,
        client_id=app.client_id,
        client_secret=app.secret,
        dpop=key,
        ambient=issuer.clock.ambient,
        transport=httpx2.ASGITransport(issuer.app),
        **settings,
    )


@pytest.fixture
async def orders(issuer):
    return await issuer.service(scope="stock:read", audiences=("stock",), dpop_bound_access_tokens=True)


@pytest.mark.spec("RFC 9449", "5", "MUST")
@pytest.mark.spec("RFC 9449", "8.2", "MUST")
async def test_a_service_calls_another_with_a_token_that_is_bound_to_its_key(issuer, orders, service):
    own = tokens(issuer, orders)
    async with httpx2.AsyncClient(transport=service, auth=own, base_url=STOCK) as client:
        for path in ("/goods?colour=red", "/goods/a%2Fb"):
            answer = await client.get(path)
            assert answer.status_code == 200, answer.text
            assert answer.json()["cnf"] == {"jkt": KEY.public().thumbprint()}
            assert answer.json()["subject"] == orders.client_id
        assert (await client.post("/goods", content=b"x" * 1_000)).status_code == 200


async def test_the_headers_for_another_http_client_prove_one_request(issuer, orders, service):
    headers = await tokens(issuer, orders).headers("GET", f"{STOCK}/goods")
    async with httpx2.AsyncClient(transport=service, base_url=STOCK) as client:
        assert (await client.get("/goods", headers=headers)).status_code == 200
        again = await client.get("/goods", headers=headers)
        assert 'error="invalid_dpop_proof"' in again.headers["www-authenticate"]
        bare = {"authorization": headers["authorization"]}
        assert (await client.get("/goods", headers=bare)).status_code == 401
        stolen = {"authorization": headers["authorization"].replace("DPoP", "Bearer")}
        assert (await client.get("/goods", headers=stolen)).status_code == 401


async def test_without_a_key_a_client_that_must_prove_gets_nothing(issuer, orders):
    with pytest.raises(GrantRefusedError, match="invalid_dpop_proof"):
        await tokens(issuer, orders, key=None).token()
    bearer = await issuer.service(scope="stock:read", audiences=("stock",))
    assert (await tokens(issuer, bearer, key=None).headers("GET", STOCK))["authorization"].startswith("Bearer ")


async def test_a_nonce_that_has_grown_old_is_renewed_at_once(issuer, orders):
    own = tokens(issuer, orders)
    first = await own.token()
    issuer.clock.advance(3_600)
    assert await own.token() != first


@pytest.mark.spec("RFC 9449", "9", "MUST")
async def test_a_service_that_wants_a_nonce_is_asked_once_more_with_the_one_that_it_gives(issuer, orders):
    seen: list[dict[str, Any]] = []
    nonces = ["one", "two"]

    async def picky(scope: Any, receive: Any, send: Any) -> None:
        proof = dict(scope["headers"])[b"dpop"].split(b".")[1]
        seen.append(json.loads(base64url.decode(proof)))
        wanted = nonces[0] if nonces else f"never-{len(seen)}"
        good = seen[-1].get("nonce") == wanted
        headers = {"DPoP-Nonce": wanted}
        if not good:
            headers["WWW-Authenticate"] = 'DPoP error="use_dpop_nonce"'
        await JSONResponse({}, 200 if good else 401, headers)(scope, receive, send)

    transport = httpx2.ASGITransport(picky)
    async with httpx2.AsyncClient(transport=transport, auth=tokens(issuer, orders), base_url=STOCK) as client:
        assert (await client.get("/a")).status_code == 200
        assert (await client.get("/b")).status_code == 200
        assert [one.get("nonce") for one in seen] == [None, "one", "one"]
        nonces.pop(0)
        assert (await client.get("/c")).status_code == 200
        assert [one.get("nonce") for one in seen[3:]] == ["one", "two"]
        assert len({one["jti"] for one in seen}) == 5
        seen.clear()
        del nonces[:]  # it wants another one each time: it is not asked for ever
        assert (await client.get("/d")).status_code == 401
        assert len(seen) == 2


async def test_a_bearer_token_is_not_taken_for_a_bound_one(issuer, orders):
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/token":
            return httpx2.Response(200, json={"access_token": "x", "token_type": "Bearer", "expires_in": 60})
        return httpx2.Response(
            200,
            json={"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks", "token_endpoint": f"{ISSUER}/token", "keys": []},
        )

    own = ServiceTokens(
        issuer=ISSUER,
        client_id="orders",
        client_secret="s",
        dpop=KEY,
        ambient=issuer.clock.ambient,
        transport=httpx2.MockTransport(answer),
    )
    with pytest.raises(IssuerUnavailableError, match="type dpop"):
        await own.token()


async def test_the_browser_back_end_calls_services_with_bound_tokens(issuer, service):
    client = await issuer.register(
        client_name="Shop",
        redirect_uris=(f"{SHOP}/auth/callback",),
        scope="openid profile stock:read",
        audiences=("stock",),
        dpop_bound_access_tokens=True,
    )
    backend = BrowserBackend(
        issuer=ISSUER,
        client_id=client.client_id,
        client_secret=client.secret,
        secret=b"s" * 32,
        url=SHOP,
        scope="openid profile stock:read",
        upstreams={"/api": f"{STOCK}/goods"},
        dpop=KEY,
        ambient=issuer.clock.ambient,
        transport=httpx2.ASGITransport(issuer.app),
        upstream_transport=service,
    )
    app = Starlette(routes=backend.routes, middleware=backend.middleware, lifespan=backend.lifespan)
    ann = await issuer.sign_in()
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=SHOP) as browser,
    ):
        begun = await browser.get("/auth/login")
        answer = await issuer.http.get(begun.headers["location"])
        landed = await browser.get(answer.headers["location"])
        assert landed.status_code in {302, 303}, landed.text
        asked = await browser.get("/api/red?x=1")
        assert asked.status_code == 200, asked.text
        assert asked.json() == {
            "subject": ann.subject, "cnf": {"jkt": KEY.public().thumbprint()}, "path": "/goods/red",
        }  # fmt: skip
        issuer.clock.advance(290)  # renewed, under the nonce that the issuer gives by now
        assert (await browser.get("/api/red")).status_code == 200


@pytest.mark.spec("RFC 9449", "4.2", "MUST")
@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_what_is_made_is_what_is_checked(issuer, alg):
    now = issuer.clock.ambient.now()
    key = SigningKey.generate(alg)
    proof = make_proof(
        key, method="GET", url=f"{STOCK}/a?x=1#y", at=now, identifier="1", access_token="token", nonce="n"
    )
    read = check_proof(proof, method="GET", url=f"{STOCK}/a", at=now, access_token="token")
    assert (read.thumbprint, read.identifier, read.nonce) == (key.public().thumbprint(), "1", "n")
    header = json.loads(base64url.decode(proof.split(".")[0].encode()))
    assert header["typ"] == "dpop+jwt"
    assert "d" not in header["jwk"]


async def test_a_secret_makes_no_proofs_and_nonces_have_bounds(issuer):
    with pytest.raises(ValueError, match="HS256"):
        Prover(SigningKey.from_secret(b"k" * 32, alg="HS256"), ambient=issuer.clock.ambient)
    prover = Prover(KEY, ambient=issuer.clock.ambient)
    for number in range(MOST_NONCES + 5):
        assert prover.learns(f"https://s{number}.example/a", {"dpop-nonce": "x"})
    assert not prover.learns(f"https://s{number}.example/b", {"dpop-nonce": "x"})
    assert not prover.learns("https://other.example/", {})
    assert len(prover._nonces) == MOST_NONCES
