"""FAPI 2.0 Security Profile, FAPI 2.0 Message Signing: a client that is registered with a profile is held to all of it."""

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from carnet.issuer.clients import ClientError, Registration, change, register
from carnet.issuer.config import Config, Lifetimes
from carnet.issuer.request_objects import LONGEST_LIFE
from carnet.jose import SigningKey

from .test_client_assertions import Client
from .test_dpop import Holder
from .test_pushed_requests import bring, refused
from .test_request_objects import signed
from .test_response_modes import opened

pytestmark = pytest.mark.anyio

KEY = SigningKey.generate("ES256", kid="one")
JWKS = {"keys": [KEY.public().to_jwk()]}
METADATA = {"token_endpoint_auth_method": "private_key_jwt", "jwks": JWKS, "profile": "fapi2"}
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Bank:
    """A client that does all that the profile asks of it."""

    app: object
    key: SigningKey = KEY

    def __post_init__(self):
        self.client, self.holder = Client(self.app.issuer, self.app, self.key), Holder(self.app)

    def assertion(self) -> dict[str, str]:
        return {"client_assertion_type": TYPE, "client_assertion": self.client.assertion()}

    async def push(self, **parameters: str):
        given = parameters or self.app.request()
        return await self.app.issuer.direct.post("/par", data=given | self.assertion())

    async def code(self, **changes: str) -> str:
        answer = await self.push(**self.app.request(**changes))
        assert answer.status_code == 201, answer.text
        return self.app.query(await bring(self.app, answer.json()["request_uri"]))["code"]

    async def redeem(self, code: str, **changes):
        given = {"grant_type": "authorization_code", "code": code, "code_verifier": self.app.verifier}
        given |= {"redirect_uri": self.app.redirect_uri}
        return await self.post(**given | changes)

    async def refresh_token(self, scope: str = "openid offline_access") -> str:
        return (await self.redeem(await self.code(scope=scope))).json()["refresh_token"]

    async def post(self, **parameters: str):
        """With an assertion of its own for each try, and the nonce that it is told."""
        for _ in range(2):
            headers = {"DPoP": self.holder.proof()}
            answer = await self.app.issuer.direct.post("/token", data=parameters | self.assertion(), headers=headers)
            self.holder.nonce = answer.headers.get("dpop-nonce", self.holder.nonce)
            if answer.status_code == 200 or answer.json()["error"] != "use_dpop_nonce":
                break
        return answer


@pytest.fixture
async def bank(issuer):
    await issuer.sign_in()
    return Bank(await issuer.register(**METADATA))


async def test_one_setting_implies_the_others(bank):
    client = bank.app.registered.client
    assert client.require_pushed_authorization_requests
    assert client.dpop_bound_access_tokens
    assert not client.require_signed_request_object


async def test_a_client_that_keeps_to_the_profile_gets_its_tokens(bank, claims):
    answer = await bank.redeem(await bank.code())
    assert answer.status_code == 200, answer.text
    tokens = answer.json()
    assert tokens["token_type"] == "DPoP"
    assert claims(tokens["access_token"])["cnf"] == {"jkt": bank.holder.jkt}
    assert (await bank.holder.userinfo(tokens["access_token"])).status_code == 200


@pytest.mark.spec("FAPI 2.0 Security Profile", "5.3.2.1", "MUST")
async def test_a_refresh_token_is_not_rotated_and_lives_on_while_it_is_used(bank):
    token = await bank.refresh_token()
    lifetimes = bank.app.issuer.desk.config.lifetimes
    for _ in range(4):
        answer = await bank.post(grant_type="refresh_token", refresh_token=token)
        assert answer.status_code == 200, answer.text
        assert answer.json()["refresh_token"] == token
        bank.app.issuer.clock.advance(lifetimes.refresh_token_idle - 60)
    bank.app.issuer.clock.advance(60)
    assert refused(await bank.post(grant_type="refresh_token", refresh_token=token), "invalid_grant")


async def test_a_refresh_token_that_is_not_rotated_ends_with_its_family(bank):
    token, other = await bank.refresh_token(), await bank.refresh_token()
    assert (await bank.app.issuer.direct.post("/revoke", data={"token": token} | bank.assertion())).status_code == 200
    assert refused(await bank.post(grant_type="refresh_token", refresh_token=token), "invalid_grant")
    assert (await bank.post(grant_type="refresh_token", refresh_token=other)).status_code == 200


async def test_a_refresh_token_that_is_not_rotated_ends_with_its_session(bank):
    token = await bank.refresh_token(scope="openid")
    issuer = bank.app.issuer
    now, subject = issuer.clock.now(), issuer.accounts["ann@example.com"].subject
    [session] = await issuer.desk.store.sessions.of(subject, at=now)
    await issuer.desk.store.sessions.end(session.sid, at=now)
    assert refused(await bank.post(grant_type="refresh_token", refresh_token=token), "invalid_grant")


async def test_the_reuse_of_a_token_that_was_rotated_before_the_profile_ends_the_family(issuer):
    await issuer.sign_in()
    bank = Bank(await issuer.register(**METADATA | {"profile": None, "dpop_bound_access_tokens": True}))
    first = await bank.refresh_token()
    second = (await bank.post(grant_type="refresh_token", refresh_token=first)).json()["refresh_token"]
    assert second != first
    client = bank.app.registered.client
    await change(issuer.desk, client, replace(client, profile="fapi2"), actor="test")
    assert (await bank.post(grant_type="refresh_token", refresh_token=second)).json()["refresh_token"] == second
    issuer.clock.advance(60)
    assert refused(await bank.post(grant_type="refresh_token", refresh_token=first), "invalid_grant")
    assert refused(await bank.post(grant_type="refresh_token", refresh_token=second), "invalid_grant")


@pytest.mark.spec("FAPI 2.0 Security Profile", "5.3.2.2", "MUST")
async def test_a_request_that_was_not_pushed_is_refused(bank):
    assert bank.app.query(await bank.app.authorize())["error"] == "invalid_request"


@pytest.mark.spec("FAPI 2.0 Security Profile", "5.3.2.2", "MUST")
async def test_a_push_without_authentication_is_refused(bank):
    assert refused(await bank.app.issuer.direct.post("/par", data=bank.app.request()), "invalid_client", 401)


@pytest.mark.spec("FAPI 2.0 Security Profile", "5.3.2.2", "MUST")
@pytest.mark.parametrize("missing", ["redirect_uri", "code_challenge", "response_type"])
async def test_a_push_needs_all_of_the_request(bank, missing):
    assert refused(await bank.push(**bank.app.request(**{missing: None})), "invalid_request")


@pytest.mark.spec("FAPI 2.0 Security Profile", "5.3.2.1", "MUST")
async def test_only_bound_tokens_are_issued(bank):
    given = {"grant_type": "authorization_code", "code": await bank.code(), "code_verifier": bank.app.verifier}
    answer = await bank.app.issuer.direct.post("/token", data=given | bank.assertion())
    assert refused(answer, "invalid_dpop_proof")


@pytest.mark.spec("FAPI 2.0 Security Profile", "5.3.2.1", "MUST")
async def test_the_audience_of_an_assertion_is_the_issuer_alone(bank):
    for audience in ("http://127.0.0.1:8080/par", "http://127.0.0.1:8080/token", ["http://127.0.0.1:8080", "x"]):
        given = bank.app.request() | {"client_assertion_type": TYPE}
        given["client_assertion"] = bank.client.assertion(aud=audience)
        assert refused(await bank.app.issuer.direct.post("/par", data=given), "invalid_client", 401)


@pytest.mark.spec("FAPI 2.0 Security Profile", "5.3.2.1", "MUST")
async def test_clocks_may_differ_by_ten_seconds_and_not_by_more_than_sixty(bank):
    now = bank.app.issuer.clock.now()
    for ahead, status in ((0, 201), (10, 201), (61, 401)):
        given = bank.app.request() | {"client_assertion_type": TYPE}
        given["client_assertion"] = bank.client.assertion(iat=now + ahead, nbf=now + ahead, exp=now + 120)
        assert (await bank.app.issuer.direct.post("/par", data=given)).status_code == status, ahead


@pytest.mark.spec("FAPI 2.0 Security Profile", "5.3.2.1", "MUST")
async def test_a_code_lives_for_sixty_seconds_at_most(bank):
    code = await bank.code()
    bank.app.issuer.clock.advance(60)
    assert refused(await bank.redeem(code), "invalid_grant")


class TestWithLongCodes:
    @pytest.fixture
    def config(self, tmp_path) -> Config:
        return Config(issuer="http://127.0.0.1:8080", data=tmp_path, lifetimes=Lifetimes(code=300))

    async def test_the_profile_shortens_them(self, bank):
        code = await bank.code()
        bank.app.issuer.clock.advance(59)
        assert (await bank.redeem(code)).status_code == 200
        late = await bank.code()
        bank.app.issuer.clock.advance(60)
        assert refused(await bank.redeem(late), "invalid_grant")

    async def test_others_keep_theirs(self, issuer):
        await issuer.sign_in()
        app = await issuer.register()
        code = await app.code()
        issuer.clock.advance(200)
        assert (await app.redeem(code)).status_code == 200


@pytest.mark.spec("FAPI 2.0 Security Profile", "5.4.1", "MUST")
@pytest.mark.parametrize(
    ("alg", "status"), [("PS256", 201), ("EdDSA", 201), ("Ed25519", 201), ("RS256", 401), ("ES384", 401)]
)
async def test_assertions_are_signed_with_its_algorithms(issuer, alg, status):
    key = SigningKey.generate(alg)
    bank = Bank(
        await issuer.register(**METADATA | {"jwks": {"keys": [KEY.public().to_jwk(), key.public().to_jwk()]}}), key
    )
    assert (await bank.push()).status_code == status


@pytest.mark.spec("FAPI 2.0 Security Profile", "5.4.1", "MUST")
@pytest.mark.parametrize(("alg", "status"), [("PS256", 200), ("RS256", 400), ("ES384", 400)])
async def test_proofs_are_signed_with_its_algorithms(bank, alg, status):
    bank.holder.key = SigningKey.generate(alg)
    answer = await bank.redeem(await bank.code())
    assert answer.status_code == status, answer.text


@pytest.mark.spec("FAPI 2.0 Security Profile", "5.3.2.2", "MUST")
async def test_the_answer_names_its_issuer_and_comes_by_303(bank):
    request_uri = (await bank.push()).json()["request_uri"]
    answer = await bring(bank.app, request_uri)
    assert answer.status_code == 303
    assert bank.app.query(answer)["iss"] == "http://127.0.0.1:8080"


@pytest.mark.spec("FAPI 2.0 Security Profile", "5.3.2.2", "MUST")
async def test_a_pushed_request_lives_for_less_than_ten_minutes(bank):
    assert (await bank.push()).json()["expires_in"] < 600


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"profile": "fapi1"}, "is none of"),
        ({"token_endpoint_auth_method": "none", "jwks": None}, "private_key_jwt"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "private_key_jwt"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, "private_key_jwt"),
        ({"token_endpoint_auth_signing_alg": "RS256"}, "allows PS256"),
        ({"request_object_signing_alg": "ES384"}, "allows PS256"),
        ({"id_token_signed_response_alg": "RS256"}, "allows PS256"),
        ({"authorization_signed_response_alg": "RS256"}, "allows PS256"),
        ({"refresh_retry_window": 10}, "are not rotated"),
    ],
)
async def test_a_client_that_cannot_keep_to_it_is_not_registered(issuer, metadata, says):
    asked = Registration(client_name="Bank", redirect_uris=("https://app.example/callback",), **METADATA | metadata)
    with pytest.raises(ClientError, match=says):
        await register(issuer.desk, asked, actor="test")


async def test_the_profile_cannot_be_taken_apart_by_a_change(issuer, bank):
    client = bank.app.registered.client
    looser = replace(client, require_pushed_authorization_requests=False, dpop_bound_access_tokens=False)
    changed = await change(issuer.desk, client, looser, actor="test")
    assert changed.require_pushed_authorization_requests
    assert changed.dpop_bound_access_tokens


class TestWithAnotherAlgorithm:
    @pytest.fixture
    def config(self, tmp_path) -> Config:
        return Config(issuer="http://127.0.0.1:8080", data=tmp_path, signing_algorithm="RS256")

    async def test_an_issuer_that_cannot_keep_to_it_has_no_such_clients(self, issuer):
        with pytest.raises(ClientError, match="signing_algorithm"):
            await issuer.register(**METADATA)


@pytest.mark.spec("FAPI 2.0 Security Profile", "5.3.2.2", "MUST")
async def test_the_redirect_uri_is_said_though_there_is_only_one(bank):
    assert refused(await bank.push(**bank.app.request(redirect_uri=None, scope=None)), "invalid_request")


@pytest.fixture
async def signing_bank(issuer):
    await issuer.sign_in()
    return Bank(await issuer.register(**METADATA | {"profile": "fapi2-message-signing"}))


@pytest.mark.spec("FAPI 2.0 Message Signing", "5.3", "MUST")
async def test_with_message_signing_requests_and_responses_are_signed(signing_bank):
    bank, app = signing_bank, signing_bank.app
    assert refused(await bank.push(**app.request(response_mode="jwt")), "invalid_request")
    assert refused(await bank.push(client_id=app.client_id, request=signed(app, key=KEY)), "invalid_request")
    answer = await bank.push(client_id=app.client_id, request=signed(app, key=KEY, response_mode="jwt"))
    assert answer.status_code == 201, answer.text
    response = app.query(await bring(app, answer.json()["request_uri"]))["response"]
    said = await opened(app, response)
    assert said["state"] == "a state"
    assert (await bank.redeem(said["code"])).status_code == 200


@pytest.mark.spec("FAPI 2.0 Message Signing", "5.3", "MUST")
@pytest.mark.parametrize(
    "members",
    [
        {"key": SigningKey.generate("RS256", kid="two")},
        {"typ": "at+jwt"},
        {"aud": "x"},
        {"exp": None},
        {"nbf": None},
    ],
)
async def test_with_message_signing_a_request_that_is_not_right_is_refused(signing_bank, members):
    app = signing_bank.app
    token = signed(app, **{"key": KEY, "response_mode": "jwt"} | members)
    assert refused(await signing_bank.push(client_id=app.client_id, request=token), "invalid_request_object")


@pytest.mark.spec("FAPI 2.0 Message Signing", "5.3.1", "MUST")
async def test_with_message_signing_a_request_is_good_for_an_hour_at_most(signing_bank):
    app, now = signing_bank.app, signing_bank.app.issuer.clock.now()

    async def pushed(**members):
        token = signed(app, key=KEY, response_mode="jwt", **members)
        return await signing_bank.push(client_id=app.client_id, request=token)

    assert refused(await pushed(nbf=now - LONGEST_LIFE - 1), "invalid_request_object")
    assert refused(await pushed(nbf=now - 1, exp=now + LONGEST_LIFE), "invalid_request_object")
    assert (await pushed(nbf=now - LONGEST_LIFE + 60, exp=now + 60)).status_code == 201
