"""RFC 9449: tokens that are bound to a key, and the proofs of that key."""

import asyncio
from dataclasses import dataclass, field

import pytest

from carnet.issuer.dpop import PERIOD
from carnet.jose import SigningKey, sign_jwt
from carnet.oauth.dpop import ALGORITHMS, LEEWAY, MAX_AGE, token_hash

from .test_pushed_requests import bring

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"


@dataclass
class Holder:
    """A client with a key: it keeps the newest nonce, as clients do."""

    app: object
    key: SigningKey = field(default_factory=lambda: SigningKey.generate("ES256"))
    nonce: str | None = None
    made: int = 0

    @property
    def jkt(self) -> str:
        return self.key.public().thumbprint()

    def proof(self, *, typ="dpop+jwt", key=None, jwk=None, **changes) -> str:
        self.made += 1
        claims = {
            "jti": f"proof {self.made}",
            "htm": "POST",
            "htu": f"{ISSUER}/token",
            "iat": self.app.issuer.clock.now(),
            "nonce": self.nonce,
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return sign_jwt(
            claims, key or self.key, typ=typ, headers={"jwk": self.key.public().to_jwk() if jwk is None else jwk}
        )

    async def post(self, path: str = "/token", *, proof: str | None = None, **parameters: str):
        """A request with a proof of its own, made again once with the nonce that the answer gives."""
        app = self.app
        given = {"client_id": app.client_id} | {name: value for name, value in parameters.items() if value}
        for _ in range(2):
            headers = {"DPoP": self.proof(htu=f"{ISSUER}{path}") if proof is None else proof}
            answer = await app.issuer.direct.post(path, data=given, headers=headers, auth=app.auth)
            self.nonce = answer.headers.get("dpop-nonce", self.nonce)
            if proof is not None or answer.status_code < 400 or answer.json()["error"] != "use_dpop_nonce":
                break
        return answer

    async def redeem(self, code: str, **changes: str):
        given = {"grant_type": "authorization_code", "code": code, "code_verifier": self.app.verifier} | changes
        return await self.post(**given)

    async def refresh(self, refresh_token: str, **changes: str):
        return await self.post(**({"grant_type": "refresh_token", "refresh_token": refresh_token} | changes))

    async def tokens(self, **changes):
        answer = await self.redeem(await self.app.code(**changes))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def userinfo(self, token: str, *, scheme: str = "DPoP", method: str = "GET", **changes):
        claims = {"htm": method, "htu": f"{ISSUER}/userinfo", "ath": token_hash(token)} | changes
        headers = {"Authorization": f"{scheme} {token}", "DPoP": self.proof(**claims)}
        return await self.app.issuer.direct.request(method, "/userinfo", headers=headers)


@pytest.fixture
async def holder(issuer):
    await issuer.sign_in()
    return Holder(await issuer.public())


@pytest.fixture
async def service(issuer):
    holder = Holder(await issuer.service(scope="read"))
    await holder.post(grant_type="client_credentials")
    return holder


def refused(answer, error: str = "invalid_dpop_proof", status: int = 400) -> bool:
    return (answer.status_code, answer.json()["error"], answer.headers["cache-control"]) == (status, error, "no-store")


@pytest.mark.spec("RFC 9449", "5", "MUST")
async def test_a_token_is_bound_to_the_key_of_the_proof(holder, claims):
    tokens = await holder.tokens()
    assert tokens["token_type"] == "DPoP"
    assert claims(tokens["access_token"])["cnf"] == {"jkt": holder.jkt}
    assert "cnf" not in claims(tokens["id_token"])
    refreshed = (await holder.refresh(tokens["refresh_token"])).json()
    assert refreshed["token_type"] == "DPoP"
    assert claims(refreshed["access_token"])["cnf"] == {"jkt": holder.jkt}


async def test_without_a_proof_a_token_is_a_bearer_token(holder, claims):
    tokens = await holder.app.tokens()
    assert tokens["token_type"] == "Bearer"
    assert "cnf" not in claims(tokens["access_token"])


async def test_a_client_of_its_own_account_binds_its_tokens_too(service, claims):
    token = (await service.post(grant_type="client_credentials")).json()
    assert token["token_type"] == "DPoP"
    assert claims(token["access_token"])["cnf"] == {"jkt": service.jkt}
    seen = await service.app.post("/introspect", token=token["access_token"])
    assert (seen.json()["token_type"], seen.json()["cnf"]) == ("DPoP", {"jkt": service.jkt})


@pytest.mark.spec("RFC 9449", "5", "MUST")
async def test_a_public_clients_refresh_token_is_bound_to_its_key(holder, claims):
    tokens = await holder.tokens()
    thief = Holder(holder.app, nonce=holder.nonce)
    assert refused(await thief.refresh(tokens["refresh_token"]), "invalid_grant")
    assert refused(await holder.app.refresh(tokens["refresh_token"]), "invalid_grant")
    assert (await holder.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_thief_without_the_key_does_not_end_the_family(holder):
    tokens = await holder.tokens()
    fresh = (await holder.refresh(tokens["refresh_token"])).json()
    holder.app.issuer.clock.advance(60)
    thief = Holder(holder.app, nonce=holder.nonce)
    assert refused(await thief.refresh(tokens["refresh_token"]), "invalid_grant")
    assert refused(await holder.app.refresh(tokens["refresh_token"]), "invalid_grant")
    assert (await holder.refresh(fresh["refresh_token"])).status_code == 200


@pytest.mark.spec("RFC 9449", "5", "MUST")
async def test_a_confidential_client_may_change_its_key(issuer, claims):
    await issuer.sign_in()
    app = await issuer.register()
    tokens = await Holder(app).tokens()
    other = Holder(app)
    refreshed = (await other.refresh(tokens["refresh_token"])).json()
    assert claims(refreshed["access_token"])["cnf"] == {"jkt": other.jkt}


async def test_an_answer_that_was_lost_is_given_again_to_whoever_has_the_key(holder):
    """The rule of rotation: a bound public client gets the very same successor."""
    tokens = await holder.tokens()
    first = (await holder.refresh(tokens["refresh_token"])).json()
    holder.app.issuer.clock.advance(9)
    again = (await holder.refresh(tokens["refresh_token"])).json()
    assert again["refresh_token"] == first["refresh_token"]
    assert (await holder.refresh(first["refresh_token"])).status_code == 200
    assert refused(await holder.refresh(tokens["refresh_token"]), "invalid_grant")


async def test_a_late_second_use_ends_the_family(holder):
    tokens = await holder.tokens()
    first = (await holder.refresh(tokens["refresh_token"])).json()
    holder.app.issuer.clock.advance(10)
    assert refused(await holder.refresh(tokens["refresh_token"]), "invalid_grant")
    assert refused(await holder.refresh(first["refresh_token"]), "invalid_grant")


@pytest.mark.spec("RFC 9449", "8", "MUST")
async def test_a_proof_without_a_nonce_is_told_one(holder):
    answer = await holder.post(proof=holder.proof(), grant_type="refresh_token", refresh_token="x")
    assert refused(answer, "use_dpop_nonce")
    assert answer.headers["dpop-nonce"]


async def test_the_nonce_costs_neither_the_code_nor_the_assertion(issuer):
    from .test_client_assertions import KEY, Client, jwks

    app = await issuer.service(token_endpoint_auth_method="private_key_jwt", jwks=jwks(KEY))
    client, holder = Client(issuer, app, KEY), Holder(app)
    given = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": client.assertion(),
    }
    first = await issuer.direct.post("/token", data=given, headers={"DPoP": holder.proof()})
    assert refused(first, "use_dpop_nonce")
    holder.nonce = first.headers["dpop-nonce"]
    second = await issuer.direct.post("/token", data=given, headers={"DPoP": holder.proof()})
    assert second.status_code == 200, second.text


@pytest.mark.spec("RFC 9449", "8", "MUST")
async def test_a_nonce_that_is_not_ours_or_too_old_is_refused(service):
    ask = {"grant_type": "client_credentials"}
    for nonce in ("x", "ä", service.nonce[:-1], service.nonce + "A"):
        answer = await service.post(proof=service.proof(nonce=nonce), **ask)
        assert refused(answer, "use_dpop_nonce"), nonce
    old = service.nonce
    service.app.issuer.clock.advance(PERIOD)
    kept = await service.post(proof=service.proof(nonce=old), **ask)
    assert kept.status_code == 200
    assert kept.headers["dpop-nonce"] != old
    service.app.issuer.clock.advance(PERIOD)
    assert refused(await service.post(proof=service.proof(nonce=old), **ask), "use_dpop_nonce")


async def test_every_answer_to_a_proof_has_a_nonce_for_the_next(service):
    answer = await service.post(grant_type="client_credentials")
    assert answer.headers["dpop-nonce"] == service.nonce
    plain = await service.app.post(grant_type="client_credentials")
    assert "dpop-nonce" not in plain.headers


@pytest.mark.spec("RFC 9449", "4.3", "MUST")
@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"htm": "GET"},
        {"htm": "post"},
        {"htm": None},
        {"htu": f"{ISSUER}/par"},
        {"htu": f"{ISSUER}/token/"},
        {"htu": f"{ISSUER}/Token"},
        {"htu": "https://127.0.0.1:8080/token"},
        {"htu": "http://127.0.0.1/token"},
        {"htu": "http://evil.example/token"},
        {"htu": "/token"},
        {"htu": 1},
        {"htu": None},
        {"iat": None},
        {"jti": None},
        {"jti": ""},
        {"nonce": 1},
        {"key": SigningKey.generate("ES256")},
        {"jwk": SigningKey.generate("ES256").public().to_jwk()},
        {"jwk": SigningKey.generate("ES256").to_jwk()},
        {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
        {"jwk": {}},
        {"key": SigningKey.from_secret(b"s" * 43, alg="HS256")},
    ],
)
async def test_a_proof_that_is_not_for_this_request_is_refused(service, changes):
    answer = await service.post(proof=service.proof(**changes), grant_type="client_credentials")
    assert refused(answer)


@pytest.mark.spec("RFC 9449", "4.3", "MUST")
async def test_a_proof_is_of_now(service):
    now = service.app.issuer.clock.now()
    for iat in (now - MAX_AGE - LEEWAY, now + LEEWAY + 1, "now"):
        assert refused(await service.post(proof=service.proof(iat=iat), grant_type="client_credentials"))
    for iat in (now - MAX_AGE - LEEWAY + 1, now + LEEWAY):
        answer = await service.post(proof=service.proof(iat=iat), grant_type="client_credentials")
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "htu", ["HTTP://127.0.0.1:8080/token", f"{ISSUER}/%74oken", f"{ISSUER}/token?a=b", f"{ISSUER}/token#x"]
)
async def test_urls_that_mean_the_same_are_the_same(service, htu):
    answer = await service.post(proof=service.proof(htu=htu), grant_type="client_credentials")
    assert answer.status_code == 200


@pytest.mark.spec("RFC 9449", "11.1", "MUST")
async def test_a_proof_is_accepted_once(service):
    proof = service.proof()
    assert (await service.post(proof=proof, grant_type="client_credentials")).status_code == 200
    assert refused(await service.post(proof=proof, grant_type="client_credentials"))
    service.app.issuer.clock.advance(MAX_AGE + LEEWAY - 1)
    assert refused(await service.post(proof=proof, grant_type="client_credentials"))


async def test_of_many_at_once_one_is_accepted(service):
    proof = service.proof()
    answers = await asyncio.gather(*(service.post(proof=proof, grant_type="client_credentials") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


async def test_strangers_write_nothing(service):
    stranger = Holder(service.app, nonce=service.nonce)
    proof = stranger.proof()
    given = {"grant_type": "client_credentials", "client_id": service.app.client_id, "client_secret": "wrong"}
    answer = await service.app.issuer.direct.post("/token", data=given, headers={"DPoP": proof})
    assert refused(answer, "invalid_client", 401)
    assert (await stranger.post(proof=proof, grant_type="client_credentials")).status_code == 200


@pytest.mark.spec("RFC 9449", "4.3", "MUST")
async def test_two_proofs_are_refused(service):
    headers = [("DPoP", service.proof()), ("DPoP", service.proof())]
    answer = await service.app.issuer.direct.post(
        "/token", data={"grant_type": "client_credentials"}, headers=headers, auth=service.app.auth
    )
    assert refused(answer)


@pytest.mark.parametrize("proof", ["", "x", "a.b.c", "e30.e30.e30", "a" * 9_000])
async def test_what_is_no_proof_is_refused(service, proof):
    assert refused(await service.post(proof=proof, grant_type="client_credentials"))


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_every_algorithm_that_is_named_is_taken(service, alg):
    service.key = SigningKey.generate(alg)
    assert (await service.post(grant_type="client_credentials")).status_code == 200
    document = (await service.app.issuer.direct.get("/.well-known/openid-configuration")).json()
    assert alg in document["dpop_signing_alg_values_supported"]
    assert not {"none", "HS256"} & set(document["dpop_signing_alg_values_supported"])


@pytest.mark.spec("RFC 9449", "5.2", "MUST")
async def test_a_client_that_is_registered_for_bound_tokens_gets_no_others(issuer):
    await issuer.sign_in()
    app = await issuer.public(dpop_bound_access_tokens=True)
    code = await app.code()
    assert refused(await app.redeem(code))
    assert (await Holder(app).redeem(code)).status_code == 200


@pytest.mark.spec("RFC 9449", "10", "MUST")
@pytest.mark.parametrize("kind", ["public", "register"])
async def test_a_code_may_be_bound_to_a_key(issuer, kind):
    await issuer.sign_in()
    holder = Holder(await getattr(issuer, kind)())
    code = await holder.app.code(dpop_jkt=holder.jkt)
    assert refused(await Holder(holder.app).redeem(code), "invalid_grant")
    assert refused(await holder.app.redeem(code), "invalid_grant")
    assert (await holder.redeem(code)).status_code == 200


@pytest.mark.parametrize("thumbprint", ["x", "a" * 42, "a" * 44, "ä" * 43, "=" * 43])
async def test_a_thumbprint_that_is_none_is_refused(holder, thumbprint):
    answer = await holder.app.authorize(dpop_jkt=thumbprint)
    assert holder.app.query(answer)["error"] == "invalid_request"


@pytest.mark.spec("RFC 9449", "10.1", "MUST")
async def test_a_proof_at_the_push_binds_the_code(holder):
    answer = await holder.post("/par", **holder.app.request())
    assert answer.status_code == 201, answer.text
    assert answer.headers["dpop-nonce"]
    code = holder.app.query(await bring(holder.app, answer.json()["request_uri"]))["code"]
    assert refused(await holder.app.redeem(code), "invalid_grant")
    assert (await holder.redeem(code)).status_code == 200


@pytest.mark.spec("RFC 9449", "10.1", "MUST")
async def test_a_proof_at_the_push_and_dpop_jkt_must_agree(holder):
    same = await holder.post("/par", **holder.app.request(dpop_jkt=holder.jkt))
    assert same.status_code == 201
    other = await holder.post("/par", **holder.app.request(dpop_jkt="a" * 43))
    assert refused(other)
    proof = holder.proof(htu=f"{ISSUER}/par")
    assert (await holder.post("/par", proof=proof, **holder.app.request())).status_code == 201
    assert refused(await holder.post("/par", proof=proof, **holder.app.request()))


@pytest.mark.spec("RFC 9449", "7.1", "MUST")
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_userinfo_takes_a_bound_token_with_its_proof(holder, method):
    tokens = await holder.tokens()
    answer = await holder.userinfo(tokens["access_token"], method=method)
    assert answer.status_code == 200, answer.text
    assert answer.json()["email"] == "ann@example.com"
    assert answer.headers["dpop-nonce"]


@pytest.mark.spec("RFC 9449", "7.2", "MUST")
async def test_userinfo_refuses_a_bound_token_that_comes_as_a_bearer_token(holder):
    token = (await holder.tokens())["access_token"]
    assert refused(await holder.userinfo(token, scheme="Bearer"), "invalid_token", 401)
    assert refused(await holder.app.userinfo(token), "invalid_token", 401)


async def test_userinfo_refuses_a_bearer_token_that_comes_as_a_bound_one(holder):
    token = (await holder.app.tokens())["access_token"]
    answer = await holder.userinfo(token)
    assert refused(answer, "invalid_token", 401)
    assert answer.headers["www-authenticate"].startswith("DPoP ")
    assert 'algs="ES256 ' in answer.headers["www-authenticate"]


@pytest.mark.spec("RFC 9449", "7.1", "MUST")
async def test_userinfo_refuses_a_proof_that_is_not_for_this_request(holder):
    token = (await holder.tokens())["access_token"]
    for changes in (
        {"htm": "POST"},
        {"htu": f"{ISSUER}/token"},
        {"ath": None},
        {"ath": token_hash("another")},
        {"ath": 1},
        {"iat": holder.app.issuer.clock.now() - MAX_AGE - LEEWAY},
    ):
        answer = await holder.userinfo(token, **changes)
        assert refused(answer, "invalid_dpop_proof", 401), changes
        assert 'error="invalid_dpop_proof"' in answer.headers["www-authenticate"]
    stale = await holder.userinfo(token, nonce="x")
    assert refused(stale, "use_dpop_nonce", 401)
    assert stale.headers["dpop-nonce"]
    headers = {"Authorization": f"DPoP {token}"}
    assert refused(await holder.app.issuer.direct.get("/userinfo", headers=headers), "invalid_dpop_proof", 401)


async def test_userinfo_refuses_another_key_and_a_proof_that_comes_again(holder):
    token = (await holder.tokens())["access_token"]
    assert refused(await Holder(holder.app, nonce=holder.nonce).userinfo(token), "invalid_token", 401)
    assert (await holder.userinfo(token, jti="once")).status_code == 200
    assert refused(await holder.userinfo(token, jti="once"), "invalid_dpop_proof", 401)


async def test_the_clients_scripts_read_the_nonce(holder):
    given = {"client_id": holder.app.client_id, "grant_type": "refresh_token", "refresh_token": "x"}
    headers = {"Origin": "https://app.example", "DPoP": holder.proof()}
    answer = await holder.app.issuer.direct.post("/token", data=given, headers=headers)
    assert refused(answer, "use_dpop_nonce")
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "DPoP-Nonce" in answer.headers["access-control-expose-headers"]
    preflight = await holder.app.issuer.direct.options(
        "/token", headers={"Origin": "https://app.example", "Access-Control-Request-Headers": "dpop"}
    )
    assert "DPoP" in preflight.headers["access-control-allow-headers"]
