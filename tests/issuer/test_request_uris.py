"""RFC 9101 section 5.2, OpenID Connect Core section 6.2: signed requests at a URL that their client has registered."""

from dataclasses import replace

import pytest
from msgspec import structs

from carnet.issuer.clients import ClientError, Registration, register
from carnet.issuer.registration import asked_client
from carnet.issuer.request_uris import LONGEST, MOST, PER_ADDRESS, PER_MINUTE
from carnet.jose import SigningKey
from carnet.oauth.errors import InvalidClientMetadataError

from .conftest import REDIRECT_URI
from .test_egress import Net, answering
from .test_pushed_requests import bring, page, refused
from .test_request_objects import JWKS, signed

pytestmark = pytest.mark.anyio

URI = "https://app.example/requests/1"


@pytest.fixture
def net(issuer) -> Net:
    found = Net()
    issuer.app.state.desk = replace(issuer.desk, egress=found.egress())
    return found


@pytest.fixture
async def app(issuer, net):
    await issuer.sign_in()
    return await issuer.register(jwks=JWKS, request_uris=(URI,))


def stands(net: Net, content: str, status: int = 200) -> None:
    net.answer = answering(status, content.encode())


async def error(app, request_uri: str = URI) -> str:
    """What the client is told, if its address stands outside too."""
    assert page(await bring(app, request_uri), "bad_request")
    return app.query(await bring(app, request_uri, redirect_uri=app.redirect_uri))["error"]


@pytest.mark.spec("RFC 9101", "5.2", "MUST")
@pytest.mark.spec("OpenID Connect Core", "15.2", "MUST")
async def test_the_request_that_stands_there_is_answered_and_nothing_beside_it_counts(app, net):
    stands(net, signed(app, scope="openid") + "\n")
    answer = await bring(app, URI, scope="openid email", redirect_uri="https://evil.example/", state="outer")
    assert app.query(answer)["state"] == "a state"
    assert (await app.redeem(app.query(answer)["code"])).json()["scope"] == "openid"
    [request] = net.asked
    assert request.headers["accept"] == "application/oauth-authz-req+jwt, application/jwt"


@pytest.mark.spec("OpenID Connect Core", "6.2", "SHOULD")
async def test_it_is_fetched_each_time_whatever_the_fragment_says_of_it(issuer, net):
    await issuer.sign_in()
    app = await issuer.register(jwks=JWKS, request_uris=(f"{URI}#{'a' * 43}",))
    for state, fragment in (("one", ""), ("two", f"#{'a' * 43}"), ("three", f"#{'b' * 43}")):
        stands(net, signed(app, state=state))
        assert app.query(await bring(app, URI + fragment))["state"] == state
    assert {str(request.url).endswith("/requests/1") for request in net.asked} == {True}


@pytest.mark.spec("RFC 9101", "10.4", "SHOULD")
@pytest.mark.parametrize(
    "uri", ["https://app.example/requests/2", f"{URI}?x=1", f"{URI}/", "http://127.0.0.1/", "urn:x"]
)
async def test_what_is_not_registered_is_not_fetched(app, net, uri):
    assert await error(app, uri) == "invalid_request_uri"
    assert net.asked == []


@pytest.mark.spec("RFC 9101", "7", "MUST")
async def test_where_nothing_can_be_had_the_request_is_refused(app, net):
    for content, status in ((signed(app), 404), (signed(app), 302), ("x" * 70_000, 200)):
        stands(net, content, status)
        assert await error(app) == "invalid_request_uri"
    stands(net, "ä")
    assert await error(app) == "invalid_request_uri"
    net.names = {"app.example": ["10.0.0.1"]}
    assert await error(app) == "invalid_request_uri"


async def test_what_stands_there_is_signed_by_the_client(issuer, app, net):
    other = await issuer.register(jwks=JWKS)
    unsigned = "eyJhbGciOiJub25lIn0." + signed(app).split(".")[1] + "."
    for content in ("", "x", unsigned, signed(app, key=SigningKey.generate("ES256", kid="two")), signed(other)):
        stands(net, content)
        assert await error(app) == "invalid_request_object"


async def test_a_client_that_must_sign_may_do_it_there_and_one_that_must_push_may_not(issuer, net):
    await issuer.sign_in()
    signing = await issuer.register(jwks=JWKS, request_uris=(URI,), require_signed_request_object=True)
    stands(net, signed(signing))
    assert "code" in signing.query(await bring(signing, URI))
    pushing = await issuer.register(jwks=JWKS, request_uris=(URI,), require_pushed_authorization_requests=True)
    stands(net, signed(pushing))
    assert pushing.query(await bring(pushing, URI))["error"] == "invalid_request"


async def test_a_sign_in_on_the_way_fetches_nothing_again(issuer, net):
    await issuer.person()
    app = await issuer.register(jwks=JWKS, request_uris=(URI,))
    stands(net, signed(app))
    to_page = await bring(app, URI)
    stands(net, "gone", 404)
    assert "code" in app.query(await issuer.follow(await issuer.enter(to_page)))


async def test_it_is_not_pushed(app, net):
    stands(net, signed(app))
    assert refused(await app.post("/par", client_id=app.client_id, request_uri=URI), "invalid_request")
    assert net.asked == []


async def test_nobody_has_the_issuer_flood_a_clients_server(app, net):
    stands(net, signed(app))
    throttle, now = app.issuer.desk.store.throttle, app.issuer.clock.now()
    for _ in range(PER_MINUTE):
        await throttle.hit(f"request_uri/{app.client_id}", at=now, window=60)
    assert await error(app) == "temporarily_unavailable"
    assert net.asked == []
    app.issuer.clock.advance(61)
    stands(net, signed(app))
    assert "code" in app.query(await bring(app, URI))


async def test_nobody_uses_up_from_one_place_what_is_fetched_for_a_client(app, net):
    stands(net, signed(app))
    throttle, now = app.issuer.desk.store.throttle, app.issuer.clock.now()
    for _ in range(PER_ADDRESS - 1):
        await throttle.hit(f"request_uri/{app.client_id}/127.0.0.1", at=now, window=60)
    assert "code" in app.query(await bring(app, URI))
    assert await error(app) == "temporarily_unavailable"
    assert len(net.asked) == 1
    config = structs.replace(app.issuer.desk.config, trusted_proxies=("127.0.0.1/32",))
    app.issuer.app.state.desk = replace(app.issuer.app.state.desk, config=config)
    app.issuer.http.headers["X-Forwarded-For"] = "192.0.2.7"
    assert "code" in app.query(await bring(app, URI))


@pytest.mark.parametrize(
    "uris",
    [
        ("http://app.example/",),
        ("https:///x",),
        ("https://a@app.example/",),
        ("x",),
        (f"{URI}#a\x1b[2J",),
        (f"{URI}#ä",),
        (f"https://app.example/{'x' * LONGEST}",),
        tuple(f"https://app.example/{number}" for number in range(MOST + 1)),
    ],
)
async def test_what_could_not_be_fetched_is_not_registered(issuer, uris):
    asked = Registration(client_name="App", redirect_uris=(REDIRECT_URI,), request_uris=uris)
    with pytest.raises(ClientError, match="request_uris"):
        await register(issuer.desk, asked, actor="test")


class TestOfItself:
    @pytest.fixture
    def config(self, config):
        return structs.replace(config, issuer="https://id.example", trusted_proxies=("127.0.0.1/32",))

    @pytest.mark.parametrize(
        ("uri", "status"), [(f"{URI}#x", 201), ("https://10.0.0.1/", 400), ("https://db.internal/", 400)]
    )
    async def test_a_client_registers_public_ones(self, issuer, uri, status):
        given = {"redirect_uris": (REDIRECT_URI,), "request_uris": (uri,)}
        if status == 201:
            assert asked_client(given, issuer.desk).client.request_uris == (uri,)
        else:
            with pytest.raises(InvalidClientMetadataError, match="not a public host"):
                asked_client(given, issuer.desk)
