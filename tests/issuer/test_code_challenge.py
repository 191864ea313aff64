"""RFC 7636, RFC 9700 section 2.1.1: confidential clients that are registered so may send a nonce in the place of PKCE, or neither."""

import pytest
from msgspec import ValidationError, convert
from msgspec.structs import replace

from carnet.issuer.admission import RegistrationPolicy
from carnet.issuer.clients import ClientError, change
from carnet.issuer.code_challenge import asked_challenge
from carnet.issuer.storage.records import Client
from carnet.oauth.errors import InvalidRequestError
from carnet.oauth.parameters import Parameters

pytestmark = pytest.mark.anyio

WITHOUT = {"code_challenge": None, "code_challenge_method": None}
LOOSER = ["or_nonce", "optional"]


@pytest.fixture
async def signed_in(issuer):
    await issuer.sign_in()


@pytest.fixture
async def app(issuer, signed_in):
    return await issuer.register(pkce="or_nonce")


@pytest.fixture
async def older(issuer, signed_in):
    return await issuer.register(pkce="optional")


@pytest.fixture(params=LOOSER)
async def either(issuer, signed_in, request):
    return await issuer.register(pkce=request.param)


async def refused(app, error: str = "invalid_request", **changes: str | None) -> None:
    assert app.query(await app.authorize(**changes))["error"] == error


@pytest.mark.spec("OAuth 2.1", "7.5.1", "MUST")
async def test_a_nonce_takes_the_place_of_the_challenge(app, claims):
    code = await app.code(**WITHOUT)
    answer = await app.redeem(code, code_verifier="")
    assert answer.status_code == 200, answer.text
    assert claims(answer.json()["id_token"])["nonce"] == "a nonce"


async def test_without_a_nonce_or_without_openid_there_is_no_place_to_take(app):
    await refused(app, **WITHOUT, nonce=None)
    await refused(app, **WITHOUT, scope="profile")
    await refused(app, code_challenge=None)


async def test_a_client_that_is_not_registered_so_needs_pkce(issuer, app):
    await refused(await issuer.register(), **WITHOUT)
    await refused(await issuer.register(), **WITHOUT, nonce=None)


@pytest.mark.spec("RFC 9700", "2.1.1", "RECOMMENDED")
@pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "OPTIONAL")
async def test_where_both_are_optional_a_request_has_neither(older, claims):
    answer = await older.redeem(await older.code(**WITHOUT, nonce=None), code_verifier="")
    assert answer.status_code == 200, answer.text
    assert "nonce" not in claims(answer.json()["id_token"])
    answer = await older.redeem(await older.code(**WITHOUT, nonce=None, scope="profile"), code_verifier="")
    assert (answer.status_code, "id_token" in answer.json()) == (200, False)


async def test_so_may_a_request_that_was_pushed(older):
    pushed = await older.post("/par", **older.request(**WITHOUT, nonce=None))
    assert pushed.status_code == 201, pushed.text
    request_uri = pushed.json()["request_uri"]
    answer = await older.issuer.http.get(
        "/authorize", params={"client_id": older.client_id, "request_uri": request_uri}
    )
    assert (await older.redeem(older.query(answer)["code"], code_verifier="")).status_code == 200


@pytest.mark.spec("RFC 7636", "4.4.1", "MUST")
async def test_a_challenge_that_is_sent_is_held_to_s256_where_none_need_be(older):
    await refused(older, nonce=None, code_challenge=None)
    await refused(older, nonce=None, code_challenge_method="plain")
    await refused(older, nonce=None, code_challenge_method=None)
    await refused(older, nonce=None, code_challenge="short")


@pytest.mark.spec("RFC 9700", "2.1.1", "MUST")
async def test_there_is_a_verifier_if_and_only_if_there_was_a_challenge(either):
    without = await either.code(**WITHOUT)
    added = await either.redeem(without)
    assert (added.status_code, added.json()["error"]) == (400, "invalid_grant")
    assert (await either.redeem(without, code_verifier="")).status_code == 200
    with_challenge = await either.code(nonce=None)
    for verifier in ("", "x" * 43):
        dropped = await either.redeem(with_challenge, code_verifier=verifier)
        assert (dropped.status_code, dropped.json()["error"]) == (400, "invalid_grant")
    assert (await either.redeem(with_challenge)).status_code == 200


@pytest.mark.spec("RFC 6749", "4.1.3", "REQUIRED")
async def test_without_pkce_the_redirect_uri_binds_the_code(either):
    code = await either.code(**WITHOUT)
    missing = await either.redeem(code, code_verifier="", redirect_uri="")
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")
    wrong = await either.redeem(code, code_verifier="", redirect_uri="https://app.example/other")
    assert wrong.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("pkce", LOOSER)
async def test_a_public_client_and_one_with_a_profile_never_may(issuer, pkce):
    jwks = {"keys": [(await issuer.desk.keyring.signing_key()).public().to_jwk()]}
    keys = {"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks}
    public, strict = await issuer.public(), await issuer.register(**keys, profile="fapi2")
    with pytest.raises(ClientError, match=f"pkce {pkce} is for confidential clients without a profile"):
        await issuer.public(pkce=pkce)
    with pytest.raises(ClientError, match=f"pkce {pkce} is for confidential clients without a profile"):
        await issuer.register(pkce=pkce, profile="fapi2", **keys)
    for app in (public, strict):
        before = app.registered.client
        with pytest.raises(ClientError, match=f"pkce {pkce} is for confidential clients without a profile"):
            await change(issuer.desk, before, replace(before, pkce=pkce), actor="ada")
    older = (await issuer.register(pkce=pkce, **keys)).registered.client
    with pytest.raises(ClientError, match="all others are required to use PKCE"):
        await change(issuer.desk, older, replace(older, profile="fapi2"), actor="ada")


@pytest.mark.parametrize("kind", [{"token_endpoint_auth_method": "none"}, {"profile": "fapi2"}])
@pytest.mark.parametrize("pkce", LOOSER)
def test_nor_does_it_help_them_that_their_record_says_so(kind, pkce):
    client = Client(client_id="app", client_name="App", pkce=pkce, created_at=0, updated_at=0, **kind)
    with pytest.raises(InvalidRequestError):
        asked_challenge(Parameters([("nonce", "a nonce")]), ("openid",), client)


def test_no_policy_of_clients_that_register_themselves_says_that_both_are_optional():
    assert convert({"pkce": "or_nonce"}, RegistrationPolicy).pkce == "or_nonce"
    with pytest.raises(ValidationError):
        convert({"pkce": "optional"}, RegistrationPolicy)
