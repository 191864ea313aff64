"""RFC 6749 section 4.1.3, RFC 7636 section 4.6, RFC 9700 section 4.5: codes and what they buy."""

import asyncio

import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register()


def refused(answer, error: str = "invalid_grant", status: int = 400) -> bool:
    return (answer.status_code, answer.json()["error"], answer.headers["cache-control"]) == (status, error, "no-store")


@pytest.mark.spec("RFC 6749", "5.1", "MUST")
async def test_a_code_buys_an_access_token_a_refresh_token_and_an_id_token_that_no_cache_keeps(app):
    answer = await app.redeem(await app.code())
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"}
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 300
    assert answer.json()["scope"] == "openid profile email"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert answer.headers["content-type"] == "application/json"


async def test_without_the_scope_openid_there_is_no_id_token(app):
    assert "id_token" not in await app.tokens(scope="profile")


async def test_a_client_without_the_refresh_grant_gets_no_refresh_token(issuer, app):
    other = await issuer.register(grant_types=("authorization_code",))
    assert "refresh_token" not in await other.tokens()


async def test_a_public_client_redeems_its_code_by_its_verifier_alone(issuer, app):
    public = await issuer.public()
    assert (await public.tokens())["access_token"]


@pytest.mark.spec("RFC 6749", "4.1.2", "MUST")
async def test_a_code_that_comes_again_is_denied_and_takes_back_what_it_bought(issuer, app):
    code = await app.code()
    bought = (await app.redeem(code)).json()
    assert await app.active(bought["access_token"])
    assert refused(await app.redeem(code))
    assert not await app.active(bought["access_token"])
    assert not await app.active(bought["refresh_token"])
    assert refused(await app.refresh(bought["refresh_token"]))
    assert "code.reused" in await issuer.events()


@pytest.mark.spec("RFC 9700", "4.5", "SHOULD")
@pytest.mark.parametrize(
    "change",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": "short"},
        {"redirect_uri": "https://app.example/other"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_code_that_comes_again_in_a_request_that_is_not_valid_takes_nothing_back(app, change):
    code = await app.code()
    bought = (await app.redeem(code)).json()
    assert refused(await app.redeem(code, **change))
    assert await app.active(bought["access_token"])
    assert (await app.refresh(bought["refresh_token"])).status_code == 200


async def test_another_clients_replay_of_a_code_takes_nothing_back(issuer, app):
    code = await app.code()
    bought = (await app.redeem(code)).json()
    other = await issuer.register()
    assert refused(await other.redeem(code))
    assert await app.active(bought["access_token"])


@pytest.mark.spec("RFC 6749", "4.1.3", "MUST")
async def test_a_code_is_redeemed_by_its_own_client_alone(issuer, app):
    code = await app.code()
    other = await issuer.register()
    assert refused(await other.redeem(code))
    assert (await app.redeem(code)).status_code == 200


@pytest.mark.spec("RFC 6749", "4.1.3", "MUST")
async def test_a_code_is_not_redeemed_with_another_redirect_uri(app):
    code = await app.code()
    assert refused(await app.redeem(code, redirect_uri="https://app.example/callback/"))
    assert (await app.redeem(code)).status_code == 200


@pytest.mark.spec("OAuth 2.1", "4.1.3", "MAY")
async def test_a_code_is_redeemed_without_a_redirect_uri(app):
    assert (await app.redeem(await app.code(), redirect_uri="")).status_code == 200


@pytest.mark.spec("RFC 7636", "4.6", "MUST")
@pytest.mark.parametrize("verifier", ["w" * 43, "v" * 42, "v" * 129, "v" * 42 + "!", "ü" * 43])
async def test_a_code_is_not_redeemed_with_a_wrong_verifier(app, verifier):
    assert refused(await app.redeem(await app.code(), code_verifier=verifier))


@pytest.mark.spec("RFC 7636", "4.6", "MUST")
@pytest.mark.spec("RFC 9700", "2.1.1", "MUST")
async def test_a_code_is_not_redeemed_without_a_verifier(app):
    answer = await app.redeem(await app.code(), code_verifier="")
    assert refused(answer, "invalid_grant")
    assert "code_verifier is missing" in answer.json()["error_description"]


async def test_a_code_that_was_never_handed_out_is_refused(app):
    assert refused(await app.redeem("A" * 43))


@pytest.mark.spec("RFC 6749", "4.1.2", "MUST")
async def test_a_code_expires(issuer, app):
    code = await app.code()
    issuer.clock.advance(issuer.desk.config.lifetimes.code)
    assert refused(await app.redeem(code))


async def test_a_code_is_good_until_the_last_second_of_its_life(issuer, app):
    code = await app.code()
    issuer.clock.advance(issuer.desk.config.lifetimes.code - 1)
    assert (await app.redeem(code)).status_code == 200


@pytest.mark.parametrize("scope", ["openid", "openid offline_access"])
async def test_a_code_dies_with_the_session_in_which_it_was_approved(issuer, app, scope):
    code = await app.code(scope=scope)
    account = issuer.accounts["ann@example.com"]
    [session] = await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.now())
    await issuer.desk.store.sessions.end(session.sid, at=issuer.clock.now())
    assert refused(await app.redeem(code))


async def test_a_code_dies_with_the_account(issuer, app):
    from carnet.issuer.accounts import people

    code = await app.code()
    await people.disable(issuer.desk, issuer.accounts["ann@example.com"].subject, by=people.CLI)
    assert refused(await app.redeem(code))


async def test_of_64_redemptions_at_once_one_succeeds_and_what_it_got_is_taken_back(issuer, app):
    """The other 63 are fully valid, so that they cannot be told from a thief's."""
    code = await app.code()
    answers = await asyncio.gather(*(app.redeem(code) for _ in range(64)))
    [winner] = [answer for answer in answers if answer.status_code == 200]
    assert sum(refused(answer) for answer in answers if answer is not winner) == 63
    assert not await app.active(winner.json()["access_token"])


async def test_unknown_parameters_are_ignored(app):
    assert (await app.redeem(await app.code(), something="else")).status_code == 200
