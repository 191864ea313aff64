"""RFC 7662: who may ask, and what is said."""

import json

import pytest

from carnet.issuer.storage.records import TokenExchange
from carnet.issuer.token_policies import EXCHANGE
from carnet.jose import JwtVerifier

pytestmark = pytest.mark.anyio

INACTIVE = {"active": False}


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register(audiences=("orders",))


async def introspect(client, token: str):
    return await client.post("/introspect", token=token)


@pytest.mark.spec("RFC 7662", "2.2", "MUST")
async def test_an_access_token_is_described_to_the_service_that_it_is_for(issuer, app, claims):
    service = await issuer.service(receives=("orders",))
    token = (await app.tokens())["access_token"]
    answer = await introspect(service, token)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    said = dict(claims(token))
    said = {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}
    assert answer.json() == {"active": True, "token_type": "Bearer", **said}


@pytest.mark.spec("RFC 7662", "4", "SHOULD")
async def test_to_a_client_that_a_token_neither_is_for_nor_was_issued_to_it_might_be_any_string(issuer, app):
    token = (await app.tokens())["access_token"]
    assert (
        await introspect(await issuer.service(receives=("invoices", "order"), audiences=("orders",)), token)
    ).json() == INACTIVE
    assert (await introspect(await issuer.register(), token)).json() == INACTIVE
    assert await app.active(token)


async def test_a_service_is_known_by_its_client_id_and_by_what_it_receives_for_exchange(issuer, app):
    token = (await app.tokens())["access_token"]
    assert await (await issuer.service(client_id="orders")).active(token)
    exchanging = await issuer.service(
        grant_types=(EXCHANGE,), token_exchange=TokenExchange(kind="delegation", receives=("orders",))
    )
    assert await exchanging.active(token)


async def test_a_refresh_token_is_described_to_its_own_client_alone(issuer, app):
    tokens = await app.tokens(scope="openid email")
    own = (await introspect(app, tokens["refresh_token"])).json()
    assert own == {
        "active": True,
        "iss": "http://127.0.0.1:8080",
        "sub": issuer.accounts["ann@example.com"].subject,
        "client_id": app.client_id,
        "scope": "openid email",
        "iat": issuer.clock.now(),
        "exp": own["exp"],
        "auth_time": issuer.clock.now(),
    }
    other = await issuer.register()
    assert (await introspect(other, tokens["refresh_token"])).json() == INACTIVE


@pytest.mark.spec("RFC 7662", "2.1", "MUST")
async def test_a_public_client_may_not_ask(issuer, app):
    public = await issuer.public()
    answer = await introspect(public, (await app.tokens())["access_token"])
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_who_does_not_authenticate_is_refused_before_the_token_is_looked_at(issuer, app):
    token = (await app.tokens())["access_token"]
    answer = await issuer.direct.post("/introspect", data={"token": token})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.spec("RFC 7662", "2.2", "SHOULD NOT")
@pytest.mark.parametrize("token", ["x", "a.b.c", "A" * 43, "ü", "." * 100, "e30.e30.e30", "eyJ.eyJhdWQiOltdfQ.x"])
async def test_of_what_is_no_token_nothing_is_said_but_that(app, token):
    assert (await introspect(app, token)).json() == INACTIVE


async def test_a_token_is_required(app):
    answer = await app.post("/introspect", token_type_hint="access_token")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "unheard_of"])
async def test_a_wrong_hint_misleads_nobody(app, hint):
    tokens = await app.tokens()
    for kind in ("access_token", "refresh_token"):
        answer = await app.post("/introspect", token=tokens[kind], token_type_hint=hint)
        assert answer.json()["active"] is True


async def test_id_tokens_and_codes_are_not_active(app):
    assert not await app.active((await app.tokens())["id_token"])
    assert not await app.active(await app.code())


async def test_expired_tokens_are_not_active(issuer, app):
    tokens = await app.tokens()
    issuer.clock.advance(299)
    assert await app.active(tokens["access_token"])
    issuer.clock.advance(1)
    assert not await app.active(tokens["access_token"])
    assert await app.active(tokens["refresh_token"])
    issuer.clock.advance(issuer.desk.config.lifetimes.refresh_token_idle)
    assert not await app.active(tokens["refresh_token"])


async def test_a_spent_refresh_token_is_not_active(app):
    tokens = await app.tokens()
    await app.refresh(tokens["refresh_token"])
    assert not await app.active(tokens["refresh_token"])


async def test_a_token_signed_by_a_compromised_key_is_not_active(issuer, app):
    token = (await app.tokens())["access_token"]
    kid = (await issuer.desk.keyring.signing_key()).kid
    await issuer.desk.keyring.retire(kid, compromised=True)
    assert not await app.active(token)
    assert await app.active((await app.tokens())["access_token"])


async def test_a_token_of_another_issuer_with_our_key_is_not_active(issuer, app, claims):
    from carnet.jose import sign_jwt

    said = dict(claims((await app.tokens())["access_token"])) | {"iss": "http://127.0.0.1:8081"}
    forged = sign_jwt(said, await issuer.desk.keyring.signing_key(), typ="at+jwt")
    assert not await app.active(forged)


SIGNED = "application/token-introspection+jwt"


async def signed(app, token: str):
    return await app.issuer.direct.post("/introspect", data={"token": token}, auth=app.auth, headers={"Accept": SIGNED})


@pytest.mark.spec("RFC 9701", "5", "MUST")
async def test_an_answer_is_signed_for_whoever_asks_for_that(issuer):
    await issuer.sign_in()
    app, service = await issuer.register(audiences=("orders",)), await issuer.service(receives=("orders",))
    token = (await app.tokens())["access_token"]
    answer = await signed(service, token)
    assert answer.headers["content-type"] == SIGNED
    assert answer.headers["cache-control"] == "no-store"
    verifier = JwtVerifier(
        keys=await issuer.desk.keyring.key_set(),
        algorithms=("ES256",),
        issuer="http://127.0.0.1:8080",
        audience=service.client_id,
        typ="token-introspection+jwt",
        required=("iat", "token_introspection"),
        forbidden=("sub", "exp"),
    )
    said = verifier.verify(answer.text, at=issuer.clock.ambient.now()).claims["token_introspection"]
    plain = (await service.post("/introspect", token=token)).json()
    assert json.loads(json.dumps(said)) == plain
    assert plain["active"] is True


@pytest.mark.spec("RFC 9701", "5", "MUST")
async def test_a_signed_answer_about_what_is_not_active_says_nothing_else(issuer, claims):
    service = await issuer.service()
    assert claims((await signed(service, "x")).text)["token_introspection"] == {"active": False}


async def test_a_signed_answer_is_no_other_token(issuer):
    await issuer.sign_in()
    app = await issuer.register()
    text = (await signed(app, (await app.tokens())["access_token"])).text
    assert not await app.active(text)
    assert (await app.userinfo(text)).status_code == 401
