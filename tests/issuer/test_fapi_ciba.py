"""FAPI CIBA, OpenID CIBA Core section 7.1.1: backchannel requests that are signed, and clients with a profile that make them."""

from dataclasses import dataclass

import pytest

from carnet.issuer.clients import ClientError
from carnet.issuer.decisions import INTERVAL
from carnet.issuer.grants.ciba import GRANT_TYPE
from carnet.issuer.request_objects import LONGEST_LIFE
from carnet.jose import SigningKey, sign_jwt
from carnet.oauth import acr
from carnet.testing.authenticator import Authenticator

from .test_ciba import decide
from .test_fapi import KEY, METADATA, Bank

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8080"
CIBA = {"redirect_uris": (), "grant_types": (GRANT_TYPE, "refresh_token")}


@dataclass
class Asking(Bank):
    """A client that asks by the back channel, with signed requests."""

    made: int = 0

    def request(self, *, key: SigningKey | None = None, typ: str = "JWT", **changes) -> str:
        """A signed request, and the members that are changed or, by None, taken out."""
        self.made += 1
        now = self.app.issuer.clock.now()
        members = {
            "iss": self.app.client_id,
            "aud": ISSUER,
            "iat": now,
            "nbf": now,
            "exp": now + 60,
            "jti": f"request {self.made}",
            "scope": "openid profile",
            "login_hint": "ann@example.com",
            "binding_message": "W4-SCT",
        } | changes
        members = {name: value for name, value in members.items() if value is not None}
        return sign_jwt(members, key or self.key, typ=typ)

    async def ask(self, request: str | None = None, **beside: str):
        given = {} if request == "" else {"request": request or self.request()}
        return await self.app.issuer.direct.post("/backchannel_authentication", data=self.assertion() | given | beside)

    async def refused(self, request: str | None = None, error: str = "invalid_request", **beside: str) -> str:
        answer = await self.ask(request, **beside)
        assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()["error_description"]

    async def poll(self, asked):
        self.app.issuer.clock.advance(INTERVAL)
        return await self.post(grant_type=GRANT_TYPE, auth_req_id=asked["auth_req_id"])


@pytest.fixture
async def bank(issuer):
    await issuer.sign_in()
    return Asking(await issuer.register(**METADATA | CIBA | {"client_name": "The Bank"}))


@pytest.mark.spec("FAPI CIBA", "5.2.2", "MUST")
async def test_a_client_with_the_profile_asks_polls_and_gets_bound_tokens(issuer, bank, claims):
    answer = await bank.ask()
    assert answer.status_code == 200, answer.text
    asked = answer.json()
    page = await issuer.http.get("/approvals")
    assert "W4-SCT" in page.text
    pending = await bank.poll(asked)
    assert pending.json()["error"] == "authorization_pending"
    await decide(issuer, page=page)
    tokens = (await bank.poll(asked)).json()
    assert tokens["token_type"] == "DPoP"
    assert claims(tokens["access_token"])["cnf"] == {"jkt": bank.holder.jkt}
    assert claims(tokens["id_token"])["aud"] == bank.app.client_id
    refreshed = await bank.post(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert refreshed.json()["token_type"] == "DPoP"


@pytest.mark.spec("FAPI CIBA", "5.2.2", "MUST")
async def test_its_tokens_are_bound_or_not_given(issuer, bank):
    asked = (await bank.ask()).json()
    await decide(issuer)
    issuer.clock.advance(INTERVAL)
    given = {"grant_type": GRANT_TYPE, "auth_req_id": asked["auth_req_id"]}
    bare = await issuer.direct.post("/token", data=given | bank.assertion())
    assert bare.json()["error"] == "invalid_dpop_proof"
    assert (await bank.poll(asked)).status_code == 200


@pytest.mark.spec("FAPI CIBA", "5.2.2", "MUST")
async def test_a_request_has_what_sets_it_apart_for_the_person(bank):
    assert "binding_message" in await bank.refused(bank.request(binding_message=None))
    await bank.refused(bank.request(binding_message="a\u202eb"), "invalid_binding_message")
    assert (await bank.ask(bank.request(binding_message="1234 \U0001f44d 品川"))).status_code == 200


@pytest.mark.spec("FAPI CIBA", "5.2.2", "MUST")
async def test_unsigned_requests_are_taken_too(bank):
    unsigned = {"scope": "openid", "login_hint": "ann@example.com", "binding_message": "W4"}
    assert (await bank.ask("", **unsigned)).status_code == 200


@pytest.mark.spec("FAPI CIBA", "5.2.2", "MUST")
async def test_public_clients_and_other_modes_than_poll_are_not_there(issuer):
    with pytest.raises(ClientError):
        await issuer.public(**CIBA)
    document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    assert document["backchannel_token_delivery_modes_supported"] == ["poll"]


@pytest.mark.spec("FAPI CIBA", "5.2.2", "MUST")
@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"nbf": None},
        {"iat": None},
        {"jti": None},
        {"iss": None},
        {"aud": None},
        {"scope": None},
        {"iss": "another"},
        {"aud": "https://other.example"},
        {"aud": f"{ISSUER}/backchannel_authentication"},
        {"client_id": "another"},
        {"sub": "ann"},
        {"binding_message": True},
        {"request_context": "x", "login_hint": {"a": 1}},
    ],
    ids=str,
)
async def test_a_signed_request_says_whose_for_whom_and_for_how_long_it_is(bank, changes):
    await bank.refused(bank.request(**changes))


@pytest.mark.spec("FAPI CIBA", "5.2.2", "MUST")
async def test_a_signed_request_is_good_for_an_hour_at_most(bank):
    now = bank.app.issuer.clock.now()
    assert (await bank.ask(bank.request(exp=now + LONGEST_LIFE))).status_code == 200
    await bank.refused(bank.request(exp=now + LONGEST_LIFE + 20))
    await bank.refused(bank.request(nbf=now - LONGEST_LIFE, exp=now + 1))
    await bank.refused(bank.request(exp=now - 11))
    await bank.refused(bank.request(nbf=now + 11, exp=now + 60))


@pytest.mark.spec("OpenID CIBA Core", "7.1.1", "MUST NOT")
async def test_nothing_of_a_signed_request_stands_outside_of_it(bank):
    for name, value in (
        ("scope", "openid"),
        ("login_hint", "ann@example.com"),
        ("binding_message", "x"),
        ("user_code", "1"),
    ):
        await bank.refused(**{name: value})
    assert (await bank.ask(unknown="ignored")).status_code == 200


async def test_a_signed_request_is_taken_once(bank):
    request = bank.request()
    assert (await bank.ask(request)).status_code == 200
    assert "come before" in await bank.refused(request)


@pytest.mark.spec("OpenID CIBA Core", "7.1.1", "MUST")
async def test_a_signed_request_is_signed_by_the_client(bank):
    await bank.refused(bank.request(key=SigningKey.generate("ES256", kid=KEY.kid)))
    await bank.refused(bank.request(key=SigningKey.from_secret(b"s" * 32, alg="HS256", kid=KEY.kid)))
    await bank.refused(bank.request(typ="dpop+jwt"))
    await bank.refused("eyJhbGciOiJub25lIn0.e30.")
    await bank.refused("x")


@pytest.mark.spec("RFC 7515", "4.1.9", "MUST")
@pytest.mark.parametrize(
    "typ", ["JWT", "oauth-authz-req+jwt", "OAuth-Authz-REQ+jwt", "application/oauth-authz-req+jwt"]
)
async def test_a_signed_request_may_have_the_type_of_request_objects_in_capitals_too(bank, typ):
    assert (await bank.ask(bank.request(typ=typ))).status_code == 200


@pytest.mark.spec("FAPI CIBA", "5.2.2", "MUST")
@pytest.mark.parametrize(("alg", "status"), [("PS256", 200), ("RS256", 400), ("ES384", 400)])
async def test_a_signed_request_is_signed_with_an_algorithm_of_the_profile(issuer, alg, status):
    await issuer.sign_in()
    key = SigningKey.generate(alg)
    jwks = {"keys": [KEY.public().to_jwk(), key.public().to_jwk()]}
    bank = Asking(await issuer.register(**METADATA | CIBA | {"jwks": jwks}))
    assert (await bank.ask(bank.request(key=key))).status_code == status


@pytest.mark.spec("OpenID CIBA Core", "4", "OPTIONAL")
async def test_a_client_that_is_registered_to_sign_must_and_with_that_algorithm(issuer):
    await issuer.sign_in()
    other = SigningKey.generate("PS256")
    metadata = METADATA | CIBA | {"jwks": {"keys": [KEY.public().to_jwk(), other.public().to_jwk()]}}
    bank = Asking(await issuer.register(**metadata, backchannel_authentication_request_signing_alg="PS256"))
    await bank.refused("", scope="openid", login_hint="ann@example.com", binding_message="x")
    await bank.refused()
    assert (await bank.ask(bank.request(key=other))).status_code == 200
    signing = Asking(await issuer.register(**METADATA | CIBA | {"profile": "fapi2-message-signing"}))
    await signing.refused("", scope="openid", login_hint="ann@example.com", binding_message="x")
    assert (await signing.ask()).status_code == 200
    with pytest.raises(ClientError, match="allows PS256"):
        await issuer.register(**METADATA | CIBA, backchannel_authentication_request_signing_alg="RS256")
    with pytest.raises(ClientError, match="is one of"):
        await issuer.register(**CIBA, backchannel_authentication_request_signing_alg="none")
    with pytest.raises(ClientError, match="public keys"):
        await issuer.register(**CIBA, backchannel_authentication_request_signing_alg="ES256")


@pytest.mark.spec("FAPI CIBA", "5.2.4", "OPTIONAL")
async def test_what_a_request_says_of_its_context_is_no_reason_to_refuse_it(bank):
    context = {"device": {"lat": 1}, "note": "x"}
    assert (await bank.ask(bank.request(request_context=context, requested_expiry=60))).json()["expires_in"] == 60


@pytest.mark.spec("FAPI CIBA", "5.2.2", "MUST")
async def test_the_id_token_says_how_strong_the_proof_was_and_it_is_as_strong_as_was_asked_for(issuer, bank, claims):
    weak = (await bank.ask(bank.request(acr_values=f"{acr.ONE_FACTOR} other"))).json()
    await decide(issuer)
    assert claims((await bank.poll(weak)).json()["id_token"])["acr"] == acr.ONE_FACTOR

    strong = (await bank.ask(bank.request(acr_values=acr.TWO_FACTORS))).json()
    answer = await decide(issuer)
    assert answer.headers["location"] == f"{ISSUER}/account/second-factor"
    assert (await bank.poll(strong)).json()["error"] == "authorization_pending"
    page = await issuer.http.get("/account/second-factor")
    code = Authenticator.reading(page.text).code(issuer.clock.now())
    enrolled = await issuer.submit("/account/second-factor", issuer.fields(page) | {"code": code})
    assert enrolled.status_code == 200, enrolled.text
    await decide(issuer)
    assert claims((await bank.poll(strong)).json()["id_token"])["acr"] == acr.TWO_FACTORS


async def test_denying_needs_no_stronger_proof(issuer, bank):
    asked = (await bank.ask(bank.request(acr_values=acr.TWO_FACTORS))).json()
    await decide(issuer, "deny")
    assert (await bank.poll(asked)).json()["error"] == "access_denied"


@pytest.mark.spec("FAPI CIBA", "5.2.2", "MUST")
async def test_discovery_says_with_which_algorithms_requests_are_signed(issuer):
    document = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    algorithms = document["backchannel_authentication_request_signing_alg_values_supported"]
    assert {"PS256", "ES256"} <= set(algorithms)
    assert not {"none", "HS256"} & set(algorithms)
    assert document["backchannel_user_code_parameter_supported"] is False
