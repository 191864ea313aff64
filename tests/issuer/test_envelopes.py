"""OpenID Connect Core sections 2, 5.3.2 and 10, RFC 9701, JARM: answers signed and encrypted as their client is registered."""

import json
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from carnet.issuer.client_keys import ClientKeys
from carnet.issuer.clients import ClientError, Registration, register
from carnet.issuer.envelope import ENCS
from carnet.jose import JwtVerifier, KeySet, SigningKey, base64url, sign_jwt
from carnet.jose.encryption_keys import DecryptionKey, EncryptionKey
from carnet.jose.jwe import decrypt_compact, encrypt_compact
from carnet.jose.key_set import MAX_KEYS
from carnet.jose.nested_jwt import decrypt_then_verify, sign_then_encrypt
from carnet.oauth.id_token import at_hash

from .test_egress import Net, answering
from .test_pushed_requests import page

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"
KEY = DecryptionKey.generate("ECDH-ES+A256KW", kid="mine")
SIGNS = SigningKey.generate("ES256", kid="signs")
JWKS = {"keys": [SIGNS.public().to_jwk(), KEY.public().to_jwk()]}


@pytest.fixture
async def ann(issuer):
    return await issuer.sign_in()


@pytest.fixture
def net(issuer) -> Net:
    """What the issuer reaches when it goes out."""
    net = Net()
    egress = net.egress()
    keys = ClientKeys(egress, issuer.clock.ambient)
    issuer.app.state.desk = replace(issuer.desk, egress=egress, client_keys=keys)
    return net


async def verifier(issuer, alg: str, audience: str, typ: str = "JWT") -> JwtVerifier:
    keys = KeySet.from_jwks((await issuer.direct.get("/jwks")).content, algorithms=(alg,))
    return JwtVerifier(
        keys=keys, algorithms=(alg,), issuer=ISSUER, audience=audience, typ=typ, required=(), cache_size=0
    )


async def signed(app, token: str, alg: str, typ: str = "JWT") -> Any:
    """What a JWT says, verified as its client does it."""
    checking = await verifier(app.issuer, alg, app.client_id, typ)
    return checking.verify(token, at=app.issuer.clock.now()).claims


async def nested(
    app, token: str, alg: str = "ES256", enc: str = ENCS[0], key: DecryptionKey = KEY, typ: str = "JWT"
) -> Any:
    checking = await verifier(app.issuer, alg, app.client_id, typ)
    return decrypt_then_verify(token, [key], enc=(enc,), verifier=checking, at=app.issuer.clock.now()).claims


class TestIdTokens:
    @pytest.mark.spec("OpenID Connect Core", "15.1", "MUST")
    async def test_a_client_that_wants_rs256_gets_it_from_an_issuer_that_signs_with_another_algorithm(
        self, issuer, ann, claims
    ):
        app = await issuer.register(id_token_signed_response_alg="RS256")
        tokens = await app.tokens()
        said = await signed(app, tokens["id_token"], "RS256")
        assert said["sub"] == ann.subject
        assert said["at_hash"] == at_hash(tokens["access_token"], "RS256")
        header = json.loads(base64url.decode(tokens["access_token"].split(".")[0].encode()))
        assert header["alg"] == "ES256"

    @pytest.mark.spec("OpenID Connect Core", "3.1.3.6", "MUST")
    async def test_the_hash_of_the_access_token_is_made_as_the_id_token_is_signed(self, issuer, ann):
        app = await issuer.register(id_token_signed_response_alg="ES512")
        tokens = await app.tokens()
        said = await signed(app, tokens["id_token"], "ES512")
        assert said["at_hash"] == at_hash(tokens["access_token"], "ES512")
        assert len(base64url.decode(said["at_hash"].encode())) == 32

    async def test_the_key_of_another_algorithm_is_published_once_the_client_is_registered(self, issuer):
        await issuer.register(id_token_signed_response_alg="RS256")
        published = (await issuer.direct.get("/jwks")).json()["keys"]
        assert {key["alg"] for key in published} == {"ES256", "RS256"}

    @pytest.mark.spec("OpenID Connect Core", "10.2", "MUST")
    async def test_an_encrypted_id_token_is_signed_first(self, issuer, ann):
        app = await issuer.register(
            jwks=JWKS, id_token_encrypted_response_alg="ECDH-ES+A256KW", id_token_encrypted_response_enc="A256GCM"
        )
        tokens = await app.tokens()
        said = await nested(app, tokens["id_token"], enc="A256GCM")
        assert (said["sub"], said["nonce"]) == (ann.subject, "a nonce")
        fresh = (await app.refresh(tokens["refresh_token"])).json()
        assert (await nested(app, fresh["id_token"], enc="A256GCM"))["sub"] == ann.subject

    @pytest.mark.spec("OpenID Connect Registration", "2", "MUST")
    @pytest.mark.parametrize("alg", ["RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"])
    async def test_each_algorithm_encrypts_and_the_usual_content_encryption_is_cbc(self, issuer, ann, alg):
        key = DecryptionKey.generate(alg)
        app = await issuer.register(jwks={"keys": [key.public().to_jwk()]}, id_token_encrypted_response_alg=alg)
        said = await nested(app, (await app.tokens())["id_token"], enc="A128CBC-HS256", key=key)
        assert said["sub"] == ann.subject

    @pytest.mark.spec("RFC 7517", "4.2", "MAY")
    async def test_a_key_that_says_that_it_is_for_encryption_comes_before_one_that_does_not_say(self, issuer, ann):
        other = DecryptionKey.generate("ECDH-ES", kid="other")
        vague = {name: value for name, value in other.public().to_jwk().items() if name not in {"use", "alg"}}
        chosen = DecryptionKey.generate("ECDH-ES", kid="chosen")
        app = await issuer.register(
            jwks={"keys": [vague, chosen.public().to_jwk()]}, id_token_encrypted_response_alg="ECDH-ES"
        )
        assert (await nested(app, (await app.tokens())["id_token"], key=chosen))["sub"] == ann.subject

    @pytest.mark.spec("OpenID Connect Core", "10.2.1", "SHOULD")
    async def test_keys_at_a_url_are_fetched_and_followed_when_they_change(self, issuer, ann, net):
        net.answer = answering(content=json.dumps({"keys": [SIGNS.public().to_jwk()]}).encode())
        app = await issuer.register(
            jwks_uri="https://app.example/jwks", id_token_encrypted_response_alg="ECDH-ES+A256KW"
        )
        code = await app.code()
        without = await app.redeem(code)
        assert (without.status_code, without.json()["error"]) == (400, "invalid_request")
        net.answer = answering(content=json.dumps(JWKS).encode())
        issuer.clock.advance(11)
        redeemed = await app.redeem(code)
        assert redeemed.status_code == 200, "what could not be written has not cost the code"
        assert (await nested(app, redeemed.json()["id_token"]))["sub"] == ann.subject

    async def test_keys_that_cannot_be_fetched_are_a_failure_of_the_moment(self, issuer, ann, net):
        net.names.clear()
        app = await issuer.register(
            jwks_uri="https://app.example/jwks", id_token_encrypted_response_alg="ECDH-ES+A256KW"
        )
        answer = await app.redeem(await app.code())
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")

    async def test_more_keys_than_any_client_has_are_not_tried_one_by_one(self, issuer, ann, net):
        document = {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}] * MAX_KEYS + JWKS["keys"]}
        net.answer = answering(content=json.dumps(document).encode())
        app = await issuer.register(
            jwks_uri="https://app.example/jwks", id_token_encrypted_response_alg="ECDH-ES+A256KW"
        )
        code = await app.code()
        assert (await app.redeem(code)).status_code == 503
        issuer.clock.advance(11)
        net.answer = answering(content=json.dumps({"keys": document["keys"][2:]}).encode())
        assert (await app.redeem(code)).status_code == 200

    @pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "MUST")
    async def test_an_encrypted_id_token_is_a_hint_once_its_client_has_decrypted_it(self, issuer, ann):
        app = await issuer.register(jwks=JWKS, id_token_encrypted_response_alg="ECDH-ES+A256KW")
        token = (await app.tokens())["id_token"]
        inner = decrypt_compact(token, [KEY], enc=ENCS).plaintext.decode()
        assert "code" in app.query(await app.authorize(prompt="none", id_token_hint=inner))
        refused = await app.authorize(prompt="none", id_token_hint=token)
        assert app.query(refused)["error"] == "invalid_request"


class TestUserinfo:
    @pytest.mark.spec("OpenID Connect Core", "5.3.2", "MUST")
    async def test_it_is_signed_for_a_client_that_is_registered_for_that(self, issuer, ann):
        app = await issuer.register(userinfo_signed_response_alg="RS256")
        answer = await app.userinfo((await app.tokens())["access_token"])
        assert answer.headers["content-type"] == "application/jwt"
        assert answer.headers["cache-control"] == "no-store"
        said = await signed(app, answer.text, "RS256")
        assert (said["sub"], said["email"], said["iss"], said["aud"]) == (
            ann.subject,
            "ann@example.com",
            ISSUER,
            app.client_id,
        )

    @pytest.mark.spec("OpenID Connect Core", "5.3.2", "MUST")
    async def test_it_is_signed_and_then_encrypted_where_both_are_wanted(self, issuer, ann):
        app = await issuer.register(
            jwks=JWKS, userinfo_signed_response_alg="ES256", userinfo_encrypted_response_alg="ECDH-ES+A256KW"
        )
        answer = await app.userinfo((await app.tokens())["access_token"])
        assert answer.headers["content-type"] == "application/jwt"
        assert (await nested(app, answer.text))["sub"] == ann.subject

    @pytest.mark.spec("OpenID Connect Core", "5.3.2", "MAY")
    async def test_it_is_encrypted_alone_where_nothing_else_is_wanted(self, issuer, ann):
        app = await issuer.register(jwks=JWKS, userinfo_encrypted_response_alg="ECDH-ES+A256KW")
        answer = await app.userinfo((await app.tokens())["access_token"])
        opened = decrypt_compact(answer.text, [KEY], enc=("A128CBC-HS256",))
        assert json.loads(opened.plaintext)["sub"] == ann.subject

    async def test_others_get_json(self, issuer, ann):
        app = await issuer.register(jwks=JWKS, id_token_encrypted_response_alg="ECDH-ES+A256KW")
        answer = await app.userinfo((await app.tokens())["access_token"])
        assert answer.json()["sub"] == ann.subject


class TestIntrospection:
    @pytest.mark.spec("RFC 9701", "6", "MUST")
    async def test_an_answer_is_signed_and_encrypted_as_its_client_is_registered(self, issuer, ann):
        app = await issuer.register(
            jwks=JWKS, introspection_signed_response_alg="RS256", introspection_encrypted_response_alg="ECDH-ES+A256KW"
        )
        token = (await app.tokens())["access_token"]
        answer = await issuer.direct.post(
            "/introspect",
            data={"token": token},
            auth=app.auth,
            headers={"Accept": "application/token-introspection+jwt"},
        )
        assert answer.headers["content-type"] == "application/token-introspection+jwt"
        said = await nested(app, answer.text, alg="RS256", typ="token-introspection+jwt")
        assert said["token_introspection"]["sub"] == ann.subject


class TestAuthorizationResponses:
    @pytest.mark.spec("JARM", "2.2", "MUST")
    @pytest.mark.parametrize("mode", ["jwt", "query.jwt", "form_post.jwt"])
    async def test_they_are_signed_and_encrypted_as_their_client_is_registered(self, issuer, ann, mode):
        app = await issuer.register(
            jwks=JWKS, authorization_signed_response_alg="PS256", authorization_encrypted_response_alg="ECDH-ES+A256KW"
        )
        answer = await app.authorize(response_mode=mode)
        response = issuer.fields(answer)["response"] if mode == "form_post.jwt" else app.query(answer)["response"]
        said = await nested(app, response, alg="PS256")
        assert (said["state"], said["iss"]) == ("a state", ISSUER)
        assert (await app.redeem(said["code"])).status_code == 200

    async def test_where_nothing_can_be_encrypted_nothing_is_sent_back(self, issuer, ann, net):
        net.names.clear()
        app = await issuer.register(
            jwks_uri="https://app.example/jwks", authorization_encrypted_response_alg="ECDH-ES+A256KW"
        )
        assert page(await app.authorize(response_mode="jwt"), "bad_request")
        assert "code" in app.query(await app.authorize())


class TestRequests:
    """RFC 9101 section 6.1: request objects that are encrypted to the issuer."""

    @pytest.fixture
    def config(self, config):
        return structs.replace(config, encryption_algorithms=("ECDH-ES+A256KW", "RSA-OAEP-256"))

    @pytest.fixture
    async def app(self, issuer, ann):
        return await issuer.register(jwks=JWKS, request_object_encryption_alg="ECDH-ES+A256KW")

    async def key_to(self, issuer, alg: str = "ECDH-ES+A256KW") -> EncryptionKey:
        """As a client finds it: by discovery, in the key set."""
        document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
        assert alg in document["request_object_encryption_alg_values_supported"]
        published = (await issuer.direct.get("/jwks")).json()["keys"]
        [found] = [key for key in published if (key["use"], key["alg"]) == ("enc", alg)]
        return EncryptionKey.from_jwk(found, alg=alg)

    def members(self, app, **changes) -> dict[str, Any]:
        return app.request() | {"iss": app.client_id, "aud": ISSUER, "exp": app.issuer.clock.now() + 60} | changes

    async def ask(self, app, request: str, **outside: str):
        return await app.issuer.http.get(
            "/authorize", params={"client_id": app.client_id, "request": request} | outside
        )

    @pytest.mark.spec("RFC 9101", "6.1", "MUST")
    @pytest.mark.parametrize("alg", ["ECDH-ES+A256KW", "RSA-OAEP-256"])
    async def test_a_request_that_is_signed_and_then_encrypted_is_answered(self, issuer, app, alg):
        key = await self.key_to(issuer, alg)
        sealed = sign_then_encrypt(self.members(app), SIGNS, key, typ="oauth-authz-req+jwt", enc="A256GCM")
        answer = await self.ask(app, sealed)
        assert app.query(answer)["state"] == "a state"

    @pytest.mark.spec("RFC 9101", "6.3", "MUST")
    async def test_a_request_that_is_only_encrypted_is_refused(self, issuer, app):
        key = await self.key_to(issuer)
        claims = json.dumps(self.members(app)).encode()
        for content, headers in ((claims, {}), (claims, {"cty": "JWT"}), (b"a.b.c", {"cty": "json"}), (b"\xff", {})):
            sealed = encrypt_compact(content, key, enc="A256GCM", headers=headers)
            refused = await self.ask(app, sealed, redirect_uri=app.redirect_uri)
            assert app.query(refused)["error"] == "invalid_request_object"

    async def test_a_request_that_somebody_else_could_read_only_is_refused(self, app):
        other = DecryptionKey.generate("ECDH-ES+A256KW")
        sealed = sign_then_encrypt(self.members(app), SIGNS, other.public(), typ="oauth-authz-req+jwt", enc="A256GCM")
        assert (
            app.query(await self.ask(app, sealed, redirect_uri=app.redirect_uri))["error"] == "invalid_request_object"
        )

    async def test_the_key_before_a_rotation_opens_what_was_on_its_way(self, issuer, app):
        key = await self.key_to(issuer)
        await issuer.desk.keyring.rotate_others()
        issuer.clock.advance(issuer.desk.config.lifetimes.key_publication)
        sealed = sign_then_encrypt(self.members(app), SIGNS, key, typ="oauth-authz-req+jwt", enc="A256GCM")
        assert "code" in app.query(await self.ask(app, sealed))

    @pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "MAY")
    async def test_an_id_token_hint_may_be_encrypted_to_the_issuer(self, issuer, app):
        token = (await app.tokens())["id_token"]
        hint = encrypt_compact(token.encode(), await self.key_to(issuer), enc="A256GCM", headers={"cty": "JWT"})
        assert "code" in app.query(await app.authorize(prompt="none", id_token_hint=hint))


class TestRegistration:
    @pytest.mark.spec("OpenID Connect Registration", "2", "MUST NOT")
    @pytest.mark.parametrize(
        "metadata",
        [
            {"id_token_signed_response_alg": "none"},
            {"id_token_signed_response_alg": "HS256"},
            {"userinfo_signed_response_alg": "none"},
            {"id_token_encrypted_response_alg": "RSA1_5", "jwks": JWKS},
            {"id_token_encrypted_response_alg": "dir", "jwks": JWKS},
            {"id_token_encrypted_response_alg": "A128KW", "jwks": JWKS},
            {"id_token_encrypted_response_alg": "ECDH-ES+A256KW"},
            {"id_token_encrypted_response_alg": "RSA-OAEP", "jwks": JWKS},
            {"id_token_encrypted_response_enc": "A256GCM", "jwks": JWKS},
            {
                "id_token_encrypted_response_alg": "ECDH-ES+A256KW",
                "id_token_encrypted_response_enc": "A256",
                "jwks": JWKS,
            },
            {"request_object_encryption_alg": "RSA1_5"},
            {"request_object_encryption_enc": "A256GCM"},
            {"request_object_encryption_alg": "ECDH-ES", "request_object_encryption_enc": "x"},
        ],
    )
    async def test_what_could_not_be_done_is_refused(self, issuer, metadata):
        asked = Registration(client_name="App", redirect_uris=("https://app.example/callback",), **metadata)
        with pytest.raises(ClientError):
            await register(issuer.desk, asked, actor="test")

    @pytest.mark.spec("OpenID Connect Discovery", "3", "MUST")
    async def test_discovery_names_what_can_be_had(self, issuer):
        document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
        for content in ("id_token", "userinfo", "introspection", "authorization"):
            signing = document[f"{content}_signing_alg_values_supported"]
            assert signing[0] == "ES256"
            assert "RS256" in signing
            assert not {"none", "HS256"} & set(signing)
            assert "RSA1_5" not in document[f"{content}_encryption_alg_values_supported"]
            assert document[f"{content}_encryption_enc_values_supported"][0] == "A128CBC-HS256"
        assert "request_object_encryption_alg_values_supported" not in document

    @pytest.mark.spec("OpenID Connect Registration", "2", "MUST")
    async def test_a_request_that_is_encrypted_to_an_issuer_without_such_keys_is_refused(self, issuer, ann):
        app = await issuer.register(jwks=JWKS)
        inner = sign_jwt({"client_id": app.client_id}, SIGNS, typ="oauth-authz-req+jwt")
        sealed = encrypt_compact(inner.encode(), KEY.public(), enc="A256GCM", headers={"cty": "JWT"})
        answer = await app.authorize(request=sealed)
        assert app.query(answer)["error"] == "invalid_request_object"
