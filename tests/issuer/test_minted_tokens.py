"""RFC 9068 section 2, OpenID Connect Core section 2: what tokens say, and that anybody can check it with public keys alone."""

import pytest

from carnet.issuer.accounts import people
from carnet.jose import JoseError, JwtVerifier, KeySet
from carnet.oauth.acr import ONE_FACTOR
from carnet.oauth.id_token import at_hash

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register(audiences=("orders", "invoices"), scope="openid profile email orders:read")


async def verifier(issuer, *, audience: str, typ: str, required: tuple[str, ...]) -> JwtVerifier:
    published = (await issuer.direct.get("/jwks")).content
    keys = KeySet.from_jwks(published, algorithms=("ES256",))
    return JwtVerifier(keys=keys, algorithms=("ES256",), issuer=ISSUER, audience=audience, typ=typ, required=required)


@pytest.mark.spec("RFC 9068", "2.2", "MUST")
async def test_an_access_token_is_an_at_jwt_with_all_the_claims_of_the_profile(issuer, app):
    await people.set_roles(issuer.desk, issuer.accounts["ann@example.com"].subject, ["ADMIN", "USER"], by=people.CLI)
    tokens = await app.tokens(scope="openid orders:read")
    checking = await verifier(
        issuer, audience="orders", typ="at+jwt", required=("iss", "exp", "aud", "sub", "client_id", "iat", "jti")
    )
    claims = checking.verify(tokens["access_token"], at=issuer.clock.now()).claims
    account = await issuer.desk.store.accounts.get(issuer.accounts["ann@example.com"].subject)
    [session] = await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.now())
    assert dict(claims) == {
        "iss": ISSUER,
        "sub": account.subject,
        "aud": ("orders", "invoices", ISSUER),
        "iat": issuer.clock.now(),
        "exp": issuer.clock.now() + 300,
        "jti": claims["jti"],
        "client_id": app.client_id,
        "scope": "openid orders:read",
        "auth_time": session.auth_time,
        "amr": ("pwd",),
        "acr": ONE_FACTOR,
        "sid": session.sid,
        "sep": account.epoch,
        "roles": ("ADMIN", "USER"),
    }


async def test_tokens_of_one_authorization_share_the_family_in_their_jti(app, claims):
    tokens = await app.tokens()
    refreshed = (await app.refresh(tokens["refresh_token"])).json()
    first, second = (claims(one["access_token"])["jti"].partition(".") for one in (tokens, refreshed))
    assert first[0] == second[0] != ""
    assert first[2] != second[2] != ""
    another = claims((await app.tokens())["access_token"])["jti"].partition(".")[0]
    assert another != first[0]


async def test_a_token_for_no_resource_is_for_the_issuer_alone(issuer, app, claims):
    plain = await issuer.register(audiences=())
    assert claims((await plain.tokens(scope="profile"))["access_token"])["aud"] == ISSUER


async def test_a_token_without_openid_does_not_open_the_issuer(app, claims):
    assert claims((await app.tokens(scope="orders:read"))["access_token"])["aud"] == ("orders", "invoices")


@pytest.mark.spec("OpenID Connect Core", "2", "MUST")
async def test_an_id_token_is_for_the_app_alone_and_belongs_to_its_access_token(issuer, app):
    tokens = await app.tokens(scope="openid", nonce="n-0S6_WzA2Mj")
    checking = await verifier(issuer, audience=app.client_id, typ="JWT", required=("sub", "exp", "iat"))
    claims = checking.verify(tokens["id_token"], at=issuer.clock.now()).claims
    account = issuer.accounts["ann@example.com"]
    [session] = await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.now())
    assert dict(claims) == {
        "iss": ISSUER,
        "sub": account.subject,
        "aud": app.client_id,
        "iat": issuer.clock.now(),
        "exp": issuer.clock.now() + 300,
        "auth_time": session.auth_time,
        "amr": ("pwd",),
        "acr": ONE_FACTOR,
        "sid": session.sid,
        "nonce": "n-0S6_WzA2Mj",
        "at_hash": at_hash(tokens["access_token"], "ES256"),
    }


async def test_an_id_token_without_a_nonce_in_the_request_has_none(app, claims):
    assert "nonce" not in claims((await app.tokens(nonce=None))["id_token"])


@pytest.mark.spec("RFC 8725", "3.12", "MUST")
async def test_no_kind_of_token_passes_for_another(issuer, app):
    tokens = await app.tokens(scope="openid")
    as_id = await verifier(issuer, audience=ISSUER, typ="JWT", required=("sub",))
    as_access = await verifier(issuer, audience=app.client_id, typ="at+jwt", required=("sub",))
    with pytest.raises(JoseError):
        as_id.verify(tokens["access_token"], at=issuer.clock.now())
    with pytest.raises(JoseError):
        as_access.verify(tokens["id_token"], at=issuer.clock.now())


async def test_a_client_may_have_shorter_tokens(issuer, app):
    brief = await issuer.register(access_token_lifetime=30)
    assert (await brief.tokens())["expires_in"] == 30


async def test_secrets_do_not_print(app):
    assert app.secret not in repr(app.registered)
    assert app.secret not in repr(app.registered.secret)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "Ed25519", "ES384", "ES512"])
async def test_each_signing_algorithm_signs_what_its_published_key_verifies(tmp_path, algorithm):
    from carnet.issuer.app import open_desk
    from carnet.issuer.config import Config
    from carnet.jose import sign_jwt
    from carnet.testing import Clock

    clock = Clock()
    config = Config(issuer=ISSUER, data=tmp_path, signing_algorithm=algorithm)
    desk = await open_desk(config, clock.ambient, secret=b"s" * 43)
    try:
        key = await desk.keyring.signing_key()
        claims = {"iss": ISSUER, "aud": "a", "sub": "s", "iat": clock.now(), "exp": clock.now() + 1}
        token = sign_jwt(claims, key, typ="at+jwt")
        published = KeySet.from_jwks(await desk.keyring.jwks(), algorithms=(algorithm,))
        checking = JwtVerifier(keys=published, algorithms=(algorithm,), issuer=ISSUER, audience="a", typ="at+jwt")
        assert checking.verify(token, at=clock.now()).claims["sub"] == "s"
        assert at_hash(token, algorithm)
        assert desk.metadata["id_token_signing_alg_values_supported"][0] == algorithm
    finally:
        desk.passwords.close()
        await desk.store.close()
