"""OAuth 2.1 section 7.5.1: a confidential OpenID client that is registered so may send a nonce in the place of PKCE."""

import pytest

from carnet.issuer.clients import ClientError

pytestmark = pytest.mark.anyio

WITHOUT = {"code_challenge": None, "code_challenge_method": None}


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register(pkce="or_nonce")


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


@pytest.mark.spec("RFC 9700", "2.1.1", "MUST")
async def test_there_is_a_verifier_if_and_only_if_there_was_a_challenge(app):
    without = await app.code(**WITHOUT)
    added = await app.redeem(without)
    assert (added.status_code, added.json()["error"]) == (400, "invalid_grant")
    assert (await app.redeem(without, code_verifier="")).status_code == 200
    with_challenge = await app.code()
    dropped = await app.redeem(with_challenge, code_verifier="")
    assert (dropped.status_code, dropped.json()["error"]) == (400, "invalid_grant")
    assert (await app.redeem(with_challenge)).status_code == 200


@pytest.mark.spec("RFC 6749", "4.1.3", "REQUIRED")
async def test_without_pkce_the_redirect_uri_binds_the_code(app):
    code = await app.code(**WITHOUT)
    missing = await app.redeem(code, code_verifier="", redirect_uri="")
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")
    wrong = await app.redeem(code, code_verifier="", redirect_uri="https://app.example/other")
    assert wrong.json()["error"] == "invalid_grant"


async def test_a_public_client_and_one_with_a_profile_never_may(issuer):
    with pytest.raises(ClientError):
        await issuer.public(pkce="or_nonce")
    jwks = {"keys": [(await issuer.desk.keyring.signing_key()).public().to_jwk()]}
    with pytest.raises(ClientError):
        await issuer.register(pkce="or_nonce", profile="fapi2", token_endpoint_auth_method="private_key_jwt", jwks=jwks)
