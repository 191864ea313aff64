"""RFC 6749 section 6, RFC 9700 section 4.14.2: refresh tokens, their rotation, and what a second use means."""

import asyncio

import pytest

from carnet.issuer.accounts import people
from carnet.issuer.rotation import PER_HOUR, WINDOW

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register()


@pytest.fixture
async def public(issuer):
    await issuer.sign_in()
    return await issuer.public()


def refused(answer, error: str = "invalid_grant") -> bool:
    return (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.spec("OAuth 2.1", "4.3.1", "MUST")
async def test_each_use_gives_a_new_refresh_token_of_the_same_family(app):
    first = (await app.tokens())["refresh_token"]
    second = (await app.refresh(first)).json()["refresh_token"]
    third = (await app.refresh(second)).json()["refresh_token"]
    assert len({first, second, third}) == 3


@pytest.mark.spec("RFC 9700", "4.14.2", "MUST")
async def test_a_spent_refresh_token_of_a_public_client_ends_its_family_at_once(issuer, public):
    first = (await public.tokens())["refresh_token"]
    successor = (await public.refresh(first)).json()
    checking = await issuer.register(receives=("http://127.0.0.1:8080",))
    assert await checking.active(successor["access_token"])
    assert refused(await public.refresh(first))
    assert refused(await public.refresh(successor["refresh_token"]))
    assert not await checking.active(successor["access_token"])
    assert "refresh_token.reused" in await issuer.events()


async def test_a_lost_answer_can_be_asked_for_again_by_a_client_that_authenticates(issuer, app):
    first = (await app.tokens())["refresh_token"]
    lost = (await app.refresh(first)).json()
    issuer.clock.advance(WINDOW - 1)
    again = await app.refresh(first)
    assert again.status_code == 200
    assert again.json()["refresh_token"] == lost["refresh_token"]
    assert again.json()["access_token"] != lost["access_token"]
    assert "refresh_token.repeated" in await issuer.events()
    assert (await app.refresh(again.json()["refresh_token"])).status_code == 200


async def test_a_spent_refresh_token_that_comes_again_after_ten_seconds_ends_its_family(issuer, app):
    first = (await app.tokens())["refresh_token"]
    successor = (await app.refresh(first)).json()
    issuer.clock.advance(WINDOW)
    assert refused(await app.refresh(first))
    assert refused(await app.refresh(successor["refresh_token"]))
    assert not await app.active(successor["access_token"])


async def test_a_spent_refresh_token_whose_successor_was_used_ends_its_family(issuer, app):
    first = (await app.tokens())["refresh_token"]
    second = (await app.refresh(first)).json()["refresh_token"]
    third = (await app.refresh(second)).json()["refresh_token"]
    assert refused(await app.refresh(first))
    assert refused(await app.refresh(third))


async def test_answers_are_repeated_three_times_in_an_hour_and_more_is_denied_without_ending_the_family(app):
    first = (await app.tokens())["refresh_token"]
    successor = (await app.refresh(first)).json()["refresh_token"]
    for _ in range(PER_HOUR):
        assert (await app.refresh(first)).json()["refresh_token"] == successor
    assert refused(await app.refresh(first))
    assert (await app.refresh(successor)).status_code == 200


async def test_a_client_may_be_registered_with_a_window_or_without_one(issuer):
    await issuer.sign_in()
    lenient = await issuer.public(refresh_retry_window=5)
    first = (await lenient.tokens())["refresh_token"]
    successor = (await lenient.refresh(first)).json()["refresh_token"]
    issuer.clock.advance(4)
    assert (await lenient.refresh(first)).json()["refresh_token"] == successor
    issuer.clock.advance(1)
    assert refused(await lenient.refresh(first))
    assert refused(await lenient.refresh(successor))
    strict = await issuer.register(refresh_retry_window=0)
    first = (await strict.tokens())["refresh_token"]
    successor = (await strict.refresh(first)).json()["refresh_token"]
    assert refused(await strict.refresh(first))
    assert refused(await strict.refresh(successor))


async def test_another_clients_replay_ends_nothing(issuer, app):
    first = (await app.tokens())["refresh_token"]
    successor = (await app.refresh(first)).json()["refresh_token"]
    issuer.clock.advance(WINDOW)
    other = await issuer.register()
    assert refused(await other.refresh(first))
    assert (await app.refresh(successor)).status_code == 200


async def test_a_replay_that_asks_for_too_much_ends_nothing(issuer, app):
    first = (await app.tokens())["refresh_token"]
    successor = (await app.refresh(first)).json()["refresh_token"]
    issuer.clock.advance(WINDOW)
    assert refused(await app.refresh(first, scope="openid admin"), "invalid_scope")
    assert (await app.refresh(successor)).status_code == 200


async def test_of_64_refreshes_at_once_a_confidential_client_sees_one_successor_alone(app):
    first = (await app.tokens())["refresh_token"]
    answers = await asyncio.gather(*(app.refresh(first) for _ in range(64)))
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1 + PER_HOUR
    [successor] = {answer.json()["refresh_token"] for answer in won}
    assert all(refused(answer) for answer in answers if answer not in won)
    assert (await app.refresh(successor)).status_code == 200


async def test_of_64_refreshes_at_once_a_public_client_sees_one_succeed_and_the_family_end(public):
    first = (await public.tokens())["refresh_token"]
    answers = await asyncio.gather(*(public.refresh(first) for _ in range(64)))
    [winner] = [answer for answer in answers if answer.status_code == 200]
    assert refused(await public.refresh(winner.json()["refresh_token"]))


async def test_what_the_database_holds_does_not_give_the_successor_away(issuer, app):
    tokens = await app.tokens()
    successor = (await app.refresh(tokens["refresh_token"])).json()["refresh_token"]
    files = list(issuer.desk.config.data.iterdir())
    assert any(file.name.endswith("-wal") for file in files)
    for file in files:
        content = file.read_bytes()
        assert tokens["refresh_token"].encode() not in content
        assert successor.encode() not in content


@pytest.mark.spec("RFC 6749", "6", "MUST")
async def test_a_refresh_token_is_redeemed_by_its_own_client_alone(issuer, app):
    tokens = await app.tokens()
    other = await issuer.register()
    assert refused(await other.refresh(tokens["refresh_token"]))
    assert (await app.refresh(tokens["refresh_token"])).status_code == 200


@pytest.mark.spec("RFC 6749", "6", "MUST NOT")
async def test_a_refresh_never_widens_the_scope(app):
    tokens = await app.tokens(scope="openid profile")
    assert refused(await app.refresh(tokens["refresh_token"], scope="openid email"), "invalid_scope")
    narrowed = (await app.refresh(tokens["refresh_token"], scope="openid")).json()
    assert narrowed["scope"] == "openid"
    assert (await app.refresh(narrowed["refresh_token"])).json()["scope"] == "openid profile"


async def test_what_a_client_may_no_longer_have_is_left_out_at_the_next_refresh(issuer, app):
    from msgspec.structs import replace

    from carnet.issuer.clients import change

    tokens = await app.tokens(scope="openid profile email")
    client = app.registered.client
    await change(issuer.desk, client, replace(client, scope="openid profile"), actor="test")
    assert (await app.refresh(tokens["refresh_token"])).json()["scope"] == "openid profile"


@pytest.mark.spec("OpenID Connect Core", "12.2", "MUST")
async def test_the_id_token_of_a_refresh_is_for_the_same_person_and_sign_in(issuer, app, claims):
    tokens = await app.tokens()
    before = claims(tokens["id_token"])
    issuer.clock.advance(100)
    after = claims((await app.refresh(tokens["refresh_token"])).json()["id_token"])
    same = ("iss", "sub", "aud", "auth_time", "amr", "sid")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert after["iat"] == before["iat"] + 100
    assert "nonce" not in after


async def test_roles_are_as_fresh_as_the_token(issuer, app, claims):
    tokens = await app.tokens()
    assert claims(tokens["access_token"])["roles"] == ()
    subject = issuer.accounts["ann@example.com"].subject
    await people.set_roles(issuer.desk, subject, ["USER"], by=people.CLI)
    refreshed = await app.refresh(tokens["refresh_token"])
    assert refreshed.status_code == 200
    assert claims(refreshed.json()["access_token"])["roles"] == ("USER",)


@pytest.mark.spec("OAuth 2.1", "4.3.1", "SHOULD")
async def test_a_refresh_token_that_is_left_alone_expires(issuer, app):
    tokens = await app.tokens(scope="openid offline_access")
    lifetimes = issuer.desk.config.lifetimes
    issuer.clock.advance(lifetimes.refresh_token_idle - 1)
    slid = (await app.refresh(tokens["refresh_token"])).json()["refresh_token"]
    issuer.clock.advance(lifetimes.refresh_token_idle)
    assert refused(await app.refresh(slid))


async def test_a_family_ends_however_often_it_is_used(issuer, app):
    token = (await app.tokens(scope="openid offline_access"))["refresh_token"]
    lifetimes = issuer.desk.config.lifetimes
    step = lifetimes.refresh_token_idle - 1
    for _ in range(lifetimes.refresh_token // step):
        issuer.clock.advance(step)
        token = (await app.refresh(token)).json()["refresh_token"]
    issuer.clock.advance(lifetimes.refresh_token % step)
    assert refused(await app.refresh(token))


async def test_without_offline_access_a_refresh_token_ends_with_its_session(issuer, app):
    tokens = await app.tokens(scope="openid")
    issuer.clock.advance(issuer.desk.config.lifetimes.session)
    assert refused(await app.refresh(tokens["refresh_token"]))


async def test_a_session_that_was_only_left_alone_ends_no_refresh_token(issuer, app):
    tokens = await app.tokens(scope="openid")
    issuer.clock.advance(issuer.desk.config.lifetimes.session_idle)
    assert (await app.refresh(tokens["refresh_token"])).status_code == 200


async def test_without_offline_access_signing_out_ends_it(issuer, app):
    tokens = await app.tokens(scope="openid")
    await issuer.http.get("/end_session", params={"id_token_hint": tokens["id_token"]})
    assert refused(await app.refresh(tokens["refresh_token"]))
    assert not await app.active(tokens["access_token"])


@pytest.mark.spec("OpenID Connect Core", "11", "MUST")
async def test_with_offline_access_a_refresh_token_outlives_its_session(issuer, app, claims):
    tokens = await app.tokens(scope="openid offline_access")
    assert "sid" not in claims(tokens["access_token"])
    await issuer.http.get("/end_session", params={"id_token_hint": tokens["id_token"]})
    assert await app.active(tokens["access_token"])
    assert (await app.refresh(tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize("scope", ["openid", "openid offline_access"])
async def test_signing_out_everywhere_ends_all_of_them(issuer, app, scope):
    tokens = await app.tokens(scope=scope)
    await people.sign_out_everywhere(issuer.desk, issuer.accounts["ann@example.com"].subject, by=people.CLI)
    assert refused(await app.refresh(tokens["refresh_token"]))
    assert not await app.active(tokens["access_token"])
    assert not await app.active(tokens["refresh_token"])


async def test_a_disabled_account_gets_no_more_tokens(issuer, app):
    tokens = await app.tokens(scope="openid offline_access")
    await people.disable(issuer.desk, issuer.accounts["ann@example.com"].subject, by=people.CLI)
    assert refused(await app.refresh(tokens["refresh_token"]))
    assert not await app.active(tokens["access_token"])


async def test_signing_in_again_in_the_same_browser_keeps_the_apps_signed_in(issuer, app):
    tokens = await app.tokens(scope="openid")
    issuer.clock.advance(60)
    await issuer.enter(await app.authorize(prompt="login"))
    assert (await app.refresh(tokens["refresh_token"])).status_code == 200


async def test_an_access_token_is_no_refresh_token(app):
    assert refused(await app.refresh((await app.tokens())["access_token"]))


async def test_a_code_is_no_refresh_token_and_the_other_way_round(app):
    assert refused(await app.refresh(await app.code()))
    assert refused(await app.redeem((await app.tokens())["refresh_token"]))
