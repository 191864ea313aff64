"""RFC 7523 section 3, OpenID Connect Core section 9: clients that authenticate by JWTs."""

import asyncio

import pytest

from carnet.issuer.client_auth.assertion import LEEWAY, LONGEST_LIFE, TYPE
from carnet.issuer.clients import ClientError, Registration, register, rotate_secret
from carnet.jose import SigningKey, sign_jwt

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"
KEY = SigningKey.generate("ES256", kid="one")
OTHER = SigningKey.generate("ES256", kid="one")


def jwks(*keys) -> dict:
    return {"keys": [key.public().to_jwk() for key in keys]}


class Client:
    """A client that signs, and the requests that it makes."""

    def __init__(self, issuer, app, key):
        self.issuer, self.app, self.key = issuer, app, key
        self.made = 0

    def claims(self, **changes):
        self.made += 1
        now = self.issuer.clock.now()
        client_id = self.app.client_id
        claims = {"iss": client_id, "sub": client_id, "aud": ISSUER, "iat": now, "exp": now + 60}
        claims |= {"jti": f"{self.made}"} | changes
        return {name: value for name, value in claims.items() if value is not None}

    def assertion(self, *, key=None, typ="client-authentication+jwt", **changes) -> str:
        return sign_jwt(self.claims(**changes), key or self.key, typ=typ)

    async def ask(self, assertion: str | None = None, path: str = "/token", **parameters: str):
        given = {
            "grant_type": "client_credentials",
            "client_assertion_type": TYPE,
            "client_assertion": self.assertion() if assertion is None else assertion,
        }
        given = {name: value for name, value in (given | parameters).items() if value}
        return await self.issuer.direct.post(path, data=given)


@pytest.fixture
async def signer(issuer):
    app = await issuer.service(token_endpoint_auth_method="private_key_jwt", jwks=jwks(KEY))
    return Client(issuer, app, KEY)


@pytest.fixture
async def secretive(issuer):
    app = await issuer.service(token_endpoint_auth_method="client_secret_jwt")
    return Client(issuer, app, SigningKey.from_secret(app.secret.encode(), alg="HS256"))


@pytest.fixture(params=["private_key_jwt", "client_secret_jwt"])
def client(request):
    return request.getfixturevalue("signer" if request.param == "private_key_jwt" else "secretive")


def refused(answer, error: str = "invalid_client", status: int = 401) -> bool:
    return (answer.status_code, answer.json()["error"], answer.headers["cache-control"]) == (status, error, "no-store")


@pytest.mark.spec("RFC 7523", "3", "MUST")
async def test_an_assertion_of_the_clients_own_lets_it_in(client):
    answer = await client.ask()
    assert answer.status_code == 200, answer.text
    assert (await client.ask(client_id=client.app.client_id)).status_code == 200


@pytest.mark.parametrize("typ", ["client-authentication+jwt", "JWT"])
async def test_assertions_from_before_the_revision_have_the_type_jwt(client, typ):
    assert (await client.ask(client.assertion(typ=typ))).status_code == 200


@pytest.mark.spec("RFC 7523", "3", "MUST")
@pytest.mark.parametrize(
    "audience",
    [
        None,
        "",
        f"{ISSUER}/token",
        f"{ISSUER}/",
        "https://elsewhere.example",
        [ISSUER, "https://elsewhere.example"],
        [],
        ISSUER.upper(),
    ],
)
async def test_an_assertion_is_for_the_issuer_alone(client, audience):
    assert refused(await client.ask(client.assertion(aud=audience)))


async def test_an_audience_may_be_an_array_of_one(client):
    assert (await client.ask(client.assertion(aud=[ISSUER]))).status_code == 200


@pytest.mark.spec("RFC 7523", "3", "MUST")
@pytest.mark.parametrize("claim", ["iss", "sub", "exp", "jti"])
async def test_an_assertion_has_all_of_its_claims(client, claim):
    assert refused(await client.ask(client.assertion(**{claim: None})))


async def test_issuer_and_subject_are_both_the_client(issuer, client):
    other = await issuer.service()
    assert refused(await client.ask(client.assertion(iss=other.client_id)))
    assert refused(await client.ask(client.assertion(sub=other.client_id)))
    assert refused(await client.ask(client.assertion(sub=other.client_id, iss=other.client_id)))


@pytest.mark.spec("RFC 7523", "3", "MUST")
async def test_an_assertion_has_its_time(issuer, client):
    now = issuer.clock.now()
    assert refused(await client.ask(client.assertion(exp=now - LEEWAY)))
    assert refused(await client.ask(client.assertion(exp=now + LONGEST_LIFE + LEEWAY + 1)))
    assert refused(await client.ask(client.assertion(iat=now + LEEWAY + 1)))
    assert refused(await client.ask(client.assertion(nbf=now + LEEWAY + 1)))
    assert (await client.ask(client.assertion(nbf=now + LEEWAY, iat=now + LEEWAY))).status_code == 200
    assert (await client.ask(client.assertion(exp=now + LONGEST_LIFE))).status_code == 200


@pytest.mark.spec("RFC 7523", "3", "MAY")
async def test_an_assertion_is_accepted_once(issuer, client):
    assertion = client.assertion()
    assert (await client.ask(assertion)).status_code == 200
    assert refused(await client.ask(assertion))
    issuer.clock.advance(60 + LEEWAY - 1)
    assert refused(await client.ask(assertion))


async def test_of_many_at_once_one_is_accepted(client):
    assertion = client.assertion()
    answers = await asyncio.gather(*(client.ask(assertion) for _ in range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 15


async def test_a_forged_assertion_spends_nothing(client):
    forged = client.assertion(jti="x", key=SigningKey.from_secret(b"s" * 43, alg="HS256"))
    assert refused(await client.ask(forged))
    assert (await client.ask(client.assertion(jti="x"))).status_code == 200


async def test_two_clients_may_use_one_jti(issuer, signer, secretive):
    assert (await signer.ask(signer.assertion(jti="x"))).status_code == 200
    assert (await secretive.ask(secretive.assertion(jti="x"))).status_code == 200


async def test_another_key_is_refused(signer, secretive):
    assert refused(await signer.ask(signer.assertion(key=OTHER)))
    assert refused(await secretive.ask(secretive.assertion(key=SigningKey.from_secret(b"s" * 43, alg="HS256"))))


async def test_a_key_that_is_not_named_is_refused_where_there_are_several(issuer):
    keys = [SigningKey.generate("ES256", kid=kid) for kid in ("one", "two")]
    app = await issuer.service(token_endpoint_auth_method="private_key_jwt", jwks=jwks(*keys))
    nameless = SigningKey.from_jwk({name: v for name, v in keys[0].to_jwk().items() if name != "kid"}, alg="ES256")
    client = Client(issuer, app, keys[1])
    assert (await client.ask()).status_code == 200
    unknown = SigningKey.from_jwk(keys[0].to_jwk() | {"kid": "three"}, alg="ES256")
    assert refused(await client.ask(client.assertion(key=unknown)))
    assert nameless.kid not in {"one", "two"}
    assert refused(await client.ask(client.assertion(key=nameless)))


async def test_a_public_key_is_no_secret(issuer, signer):
    """Rule J2: the client's public key, which everybody knows, signs nothing."""
    from json import dumps

    key = SigningKey.from_secret(dumps(KEY.public().to_jwk()).encode(), alg="HS256", kid="one")
    assert refused(await signer.ask(signer.assertion(key=key)))


async def test_no_method_stands_in_for_another(issuer, signer, secretive):
    assert refused(await signer.ask(signer.assertion(key=SigningKey.from_secret(b"s" * 43, alg="HS256"))))
    assert refused(await secretive.ask(secretive.assertion(key=KEY)))
    basic = await issuer.service()
    with_secret = Client(issuer, basic, SigningKey.from_secret(basic.secret.encode(), alg="HS256"))
    assert refused(await with_secret.ask())
    assert refused(await secretive.app.post(grant_type="client_credentials"))


@pytest.mark.parametrize("alg", ["HS384", "HS512"])
async def test_longer_hashes_than_the_secret_are_not_taken(secretive, alg):
    assert refused(await secretive.ask(secretive.assertion(key=SigningKey.from_secret(b"s" * 64, alg=alg))))


@pytest.mark.parametrize("alg", ["ES256", "PS256", "RS256", "Ed25519", "EdDSA", "ES384"])
async def test_the_usual_algorithms_are_taken(issuer, alg):
    key = SigningKey.generate(alg)
    app = await issuer.service(token_endpoint_auth_method="private_key_jwt", jwks=jwks(key))
    assert (await Client(issuer, app, key).ask()).status_code == 200


async def test_a_registered_algorithm_is_the_only_one(issuer):
    keys = [SigningKey.generate("ES256", kid="e"), SigningKey.generate("Ed25519", kid="o")]
    app = await issuer.service(
        token_endpoint_auth_method="private_key_jwt", jwks=jwks(*keys), token_endpoint_auth_signing_alg="Ed25519"
    )
    assert (await Client(issuer, app, keys[1]).ask()).status_code == 200
    assert refused(await Client(issuer, app, keys[0]).ask())


@pytest.mark.spec("RFC 7521", "4.2", "MUST")
@pytest.mark.parametrize("kind", ["", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", TYPE.upper()])
async def test_another_type_of_assertion_is_refused(client, kind):
    assert refused(await client.ask(client_assertion_type=kind))


@pytest.mark.parametrize(
    "assertion", ["x", "a.b.c", "a.b", "a.b.c.d.e", "ä.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.e30."]
)
async def test_what_is_no_assertion_is_refused(client, assertion):
    assert refused(await client.ask(assertion))


async def test_a_type_without_an_assertion_does_not_make_a_public_client(issuer):
    public = await issuer.public(grant_types=("authorization_code", "refresh_token"))
    answer = await issuer.direct.post(
        "/token",
        data={"grant_type": "refresh_token", "client_id": public.client_id, "client_assertion_type": TYPE},
    )
    assert refused(answer)


@pytest.mark.spec("RFC 6749", "2.3", "MUST NOT")
async def test_an_assertion_and_a_secret_together_are_refused(client):
    answer = await client.ask(client_id=client.app.client_id, client_secret="x")
    assert refused(answer, "invalid_request", 400)


async def test_the_named_client_is_the_assertions(issuer, client):
    other = await issuer.service()
    assert refused(await client.ask(client_id=other.client_id), "invalid_request", 400)


async def test_it_is_let_in_at_the_other_endpoints_too(client):
    token = (await client.ask()).json()["access_token"]
    seen = await client.ask(path="/introspect", token=token)
    assert seen.json()["active"] is True
    assert (await client.ask(path="/revoke", token=token)).status_code == 200


async def test_a_new_secret_takes_the_place_of_the_old_one(issuer, secretive):
    rotated = await rotate_secret(issuer.desk, secretive.app.registered.client, actor="test")
    assert refused(await secretive.ask())
    secretive.key = SigningKey.from_secret(rotated.secret.value.encode(), alg="HS256")
    assert (await secretive.ask()).status_code == 200


async def test_a_secret_that_signs_is_sealed_at_rest(issuer, secretive):
    stored = await issuer.desk.store.clients.get(secretive.app.client_id)
    assert stored.secret_digest is None
    assert stored.sealed_secret is not None
    assert secretive.app.secret.encode() not in stored.sealed_secret
    assert secretive.app.secret not in repr(stored)


async def test_an_assertion_reaches_no_log(issuer, client, caplog):
    assertion = client.assertion()
    with caplog.at_level("DEBUG"):
        await client.ask(assertion)
        assert refused(await client.ask(assertion))
    assert "jti has come before" in caplog.text
    assert assertion not in caplog.text


PRIVATE = {"token_endpoint_auth_method": "private_key_jwt", "grant_types": ("client_credentials",)}


@pytest.mark.spec("RFC 7591", "2", "MUST NOT")
@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({}, "give jwks or jwks_uri"),
        ({"jwks": jwks(KEY), "jwks_uri": "https://app.example/jwks"}, "do not go together"),
        ({"jwks": {"keys": []}}, "no key that can be used"),
        ({"jwks": {}}, "is not a JWK Set"),
        ({"jwks": {"keys": ["x"]}}, "is not a JWK Set"),
        ({"jwks": {"keys": [KEY.to_jwk()]}}, "private or symmetric"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}, "private or symmetric"),
        ({"jwks": jwks(KEY, OTHER)}, "kid"),
        ({"jwks_uri": "http://app.example/jwks"}, "not https"),
        ({"jwks_uri": "file:///etc/passwd"}, "no host"),
        ({"jwks_uri": "https://user@app.example/"}, "credentials"),
        ({"jwks": jwks(KEY), "token_endpoint_auth_signing_alg": "HS256"}, "token_endpoint_auth_signing_alg"),
    ],
)
async def test_keys_that_cannot_be_used_are_not_registered(issuer, metadata, says):
    with pytest.raises(ClientError, match=says):
        await register(issuer.desk, Registration(client_name="App", **(PRIVATE | metadata)), actor="test")


async def test_discovery_says_so(issuer):
    document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    assert {"private_key_jwt", "client_secret_jwt"} <= set(document["token_endpoint_auth_methods_supported"])
    assert {"HS256", "ES256", "PS256"} <= set(document["token_endpoint_auth_signing_alg_values_supported"])
    assert "none" not in document["token_endpoint_auth_signing_alg_values_supported"]
