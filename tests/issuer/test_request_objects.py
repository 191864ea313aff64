"""RFC 9101: authorization requests that their client has signed."""

import json

import pytest

from carnet.issuer.clients import ClientError, Registration, register
from carnet.issuer.request_objects import LEEWAY, LONGEST_LIFE
from carnet.jose import SigningKey, base64url, sign_jwt

from .test_pushed_requests import bring, page, pushed, refused

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"
KEY, OTHER = SigningKey.generate("ES256", kid="one"), SigningKey.generate("ES256", kid="one")
JWKS = {"keys": [KEY.public().to_jwk()]}


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register(audiences=("orders", "stock"), jwks=JWKS)


def signed(app, *, key=KEY, typ="oauth-authz-req+jwt", headers=None, **changes) -> str:
    now = app.issuer.clock.now()
    members = app.request() | {"iss": app.client_id, "aud": ISSUER, "nbf": now, "exp": now + 60} | changes
    members = {name: value for name, value in members.items() if value is not None}
    return sign_jwt(members, key, typ=typ, headers=headers)


def segment(part: dict) -> str:
    return base64url.text(json.dumps(part).encode())


async def ask(app, request: str | None = None, **parameters: str):
    """A request that is nothing but a signed one, unless more is said beside it."""
    given = {"client_id": app.client_id, "request": signed(app) if request is None else request} | parameters
    return await app.issuer.http.get("/authorize", params={name: value for name, value in given.items() if value})


async def error(app, request: str) -> str:
    """What the client is told, if its address stands outside too."""
    assert page(await ask(app, request), "bad_request")
    answer = await ask(app, request, redirect_uri=app.redirect_uri, state="outer")
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith(app.redirect_uri)
    assert app.query(answer)["state"] == "outer"
    return app.query(answer)["error"]


@pytest.mark.spec("RFC 9101", "6", "MUST")
async def test_a_signed_request_is_answered(app):
    answer = await ask(app)
    assert app.query(answer)["state"] == "a state"
    tokens = await app.redeem(app.query(answer)["code"])
    assert tokens.status_code == 200


@pytest.mark.spec("RFC 9101", "6.3", "MUST")
async def test_only_what_is_signed_counts(app):
    answer = await ask(
        app,
        signed(app, scope="openid", state=None),
        scope="openid email",
        state="outer",
        redirect_uri="https://evil.example/",
        prompt="none",
    )
    assert answer.headers["location"].startswith(app.redirect_uri)
    assert "state" not in app.query(answer)
    assert (await app.redeem(app.query(answer)["code"])).json()["scope"] == "openid"


async def test_members_become_parameters(app, claims):
    answer = await ask(app, signed(app, scope="profile", max_age=600, resource=["orders", "stock"]))
    tokens = await app.redeem(app.query(answer)["code"])
    assert set(claims(tokens.json()["access_token"])["aud"]) == {"orders", "stock"}


async def test_a_sign_in_that_outlasts_the_signature_does_not_break_it(issuer):
    await issuer.person()
    app = await issuer.register(jwks=JWKS, require_signed_request_object=True)
    to_page = await ask(app)
    issuer.clock.advance(600)
    answer = await issuer.follow(await issuer.enter(to_page))
    assert "code" in app.query(answer)


@pytest.mark.spec("RFC 9101", "6.2", "MUST")
@pytest.mark.parametrize(
    "changes",
    [
        {"key": OTHER},
        {"key": SigningKey.generate("ES256", kid="two")},
        {"key": SigningKey.from_secret(b"s" * 43, alg="HS256", kid="one")},
        {"iss": None},
        {"iss": "somebody"},
        {"aud": None},
        {"aud": "https://elsewhere.example"},
        {"aud": f"{ISSUER}/authorize"},
        {"client_id": None},
        {"client_id": "somebody"},
        {"response_type": None},
        {"typ": "at+jwt"},
        {"typ": "client-authentication+jwt"},
        {"sub": "somebody"},
        {"events": {}},
        {"request": "x"},
        {"request_uri": "urn:x"},
        {"max_age": 1.5},
        {"max_age": True},
        {"scope": ["openid"]},
        {"resource": [1]},
        {"state": {"a": 1}},
        {"state": ["a", "b"]},
    ],
)
async def test_an_object_that_is_not_right_is_refused(app, changes):
    assert await error(app, signed(app, **changes)) == "invalid_request_object"


@pytest.mark.spec("OpenID Connect Core", "6.1", "MUST")
@pytest.mark.parametrize("header", [{"alg": "ES256", "kid": "one"}, {"alg": "ES256", "kid": "one", "typ": "JWT"}])
async def test_an_object_as_openid_connect_has_it_has_no_type_and_need_not_expire(app, header):
    now = app.issuer.clock.now()
    members = app.request() | {"iss": app.client_id, "aud": ISSUER}
    for claims in (members, members | {"iat": now, "exp": now + 60}):
        text = f"{segment(header)}.{segment(claims)}"
        token = f"{text}.{base64url.text(KEY.sign(text.encode()))}"
        assert "code" in app.query(await ask(app, token))


@pytest.mark.spec("RFC 9101", "4", "OPTIONAL")
async def test_the_type_is_a_media_type_and_known_in_whatever_letters(app):
    assert "code" in app.query(await ask(app, signed(app, typ="OautH-auThZ-REQ+jWt")))


async def test_an_object_has_its_time(app):
    now = app.issuer.clock.now()
    for members in (
        {"exp": now - LEEWAY},
        {"exp": now + LONGEST_LIFE + LEEWAY + 1},
        {"nbf": now + LEEWAY + 1},
        {"iat": now + LEEWAY + 1},
    ):
        assert await error(app, signed(app, **members)) == "invalid_request_object"
    assert "code" in app.query(await ask(app, signed(app, nbf=now + LEEWAY, iat=now, exp=now + LONGEST_LIFE)))


@pytest.mark.parametrize("request_", ["x", "a.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", "ä.b.c", "a.b.c.d.e"])
async def test_what_is_no_signed_object_is_refused(app, request_):
    assert await error(app, request_) == "invalid_request_object"


async def test_another_clients_object_is_refused(issuer, app):
    other = await issuer.register(jwks={"keys": [SigningKey.generate("ES256", kid="two").public().to_jwk()]})
    assert page(await ask(app, signed(other)), "bad_request")
    assert page(await ask(other, signed(app)), "bad_request")
    assert page(await ask(app, client_id="nobody"), "bad_request")
    assert page(await ask(app, client_id=""), "bad_request")


async def test_a_client_without_keys_signs_nothing(issuer):
    await issuer.sign_in()
    app = await issuer.register()
    assert await error(app, signed(app)) == "invalid_request_object"


async def test_errors_of_a_signed_request_go_to_the_signed_address(app):
    answer = await ask(app, signed(app, scope="openid admin"), redirect_uri="https://evil.example/")
    assert answer.headers["location"].startswith(app.redirect_uri)
    assert app.query(answer)["error"] == "invalid_scope"


async def test_a_signed_address_must_be_the_clients_too(app):
    assert page(await ask(app, signed(app, redirect_uri="https://evil.example/")), "foreign_redirect_uri")


async def test_request_and_request_uri_do_not_go_together(app):
    answer = await bring(app, await pushed(app), request=signed(app), redirect_uri=app.redirect_uri)
    assert app.query(answer)["error"] == "invalid_request"


@pytest.mark.spec("RFC 9101", "10.5", "MUST")
async def test_a_client_that_is_registered_to_sign_must(issuer):
    await issuer.sign_in()
    app = await issuer.register(jwks=JWKS, require_signed_request_object=True)
    assert app.query(await app.authorize())["error"] == "invalid_request"
    assert refused(await app.post("/par", **app.request()), "invalid_request")
    assert "code" in app.query(await ask(app))


@pytest.mark.spec("RFC 9126", "3", "MUST")
async def test_a_signed_request_may_be_pushed(issuer):
    await issuer.sign_in()
    app = await issuer.register(
        jwks=JWKS, require_signed_request_object=True, require_pushed_authorization_requests=True
    )
    answer = await app.post("/par", request=signed(app, state="signed"))
    assert answer.status_code == 201, answer.text
    got = app.query(await bring(app, answer.json()["request_uri"]))
    assert got["state"] == "signed"
    assert (await app.redeem(got["code"])).status_code == 200
    assert app.query(await ask(app))["error"] == "invalid_request"
    assert refused(await app.post("/par", request=signed(app, key=OTHER)), "invalid_request_object")


async def test_a_registered_algorithm_is_the_only_one(issuer):
    await issuer.sign_in()
    edwards = SigningKey.generate("Ed25519", kid="two")
    app = await issuer.register(
        jwks={"keys": [KEY.public().to_jwk(), edwards.public().to_jwk()]}, request_object_signing_alg="Ed25519"
    )
    assert await error(app, signed(app)) == "invalid_request_object"
    assert "code" in app.query(await ask(app, signed(app, key=edwards)))


@pytest.mark.parametrize(
    "metadata",
    [{"require_signed_request_object": True}, {"request_object_signing_alg": "HS256", "jwks": JWKS}],
)
async def test_a_registration_that_makes_no_sense_is_refused(issuer, metadata):
    asked = Registration(client_name="App", redirect_uris=("https://app.example/",), **metadata)
    with pytest.raises(ClientError):
        await register(issuer.desk, asked, actor="test")


async def test_discovery_says_so(issuer):
    document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    assert document["request_parameter_supported"] is True
    assert document["request_uri_parameter_supported"] is True
    assert document["require_request_uri_registration"] is True
    assert "ES256" in document["request_object_signing_alg_values_supported"]
    assert not {"none", "HS256"} & set(document["request_object_signing_alg_values_supported"])
