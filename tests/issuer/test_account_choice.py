"""OpenID Connect Core section 3.1.2.1: with `prompt=select_account` a person says with which account they go on."""

import pytest

from .test_interaction import asks_for

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    issuer.clock.advance(60)
    return await issuer.register(client_name="The App")


async def choose(issuer, answer, account: str):
    page = await issuer.follow(answer)
    assert page.status_code == 200, page.text
    return await issuer.submit("/login/account", issuer.fields(page) | {"account": account})


@pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "SHOULD")
async def test_the_account_that_is_signed_in_can_be_chosen_without_a_new_proof(issuer, app, claims):
    answer = await app.authorize(prompt="select_account")
    assert asks_for(answer, "login/account")
    page = await issuer.follow(answer)
    assert "ann@example.com" in page.text
    assert "The App" in page.text
    done = await issuer.follow(await choose(issuer, answer, "this"))
    tokens = (await app.redeem(app.query(done)["code"])).json()
    said = claims(tokens["id_token"])
    assert said["sub"] == issuer.accounts["ann@example.com"].subject
    assert said["auth_time"] == issuer.clock.now() - 60


@pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "SHOULD")
async def test_another_account_signs_in(issuer, app, claims):
    bob = await issuer.person("bob@example.com")
    answer = await choose(issuer, await app.authorize(prompt="select_account"), "another")
    page = await issuer.follow(answer)
    assert "ann@example.com" not in page.text, "nobody is suggested"
    done = await issuer.follow(await issuer.enter(answer, "bob@example.com"))
    tokens = (await app.redeem(app.query(done)["code"])).json()
    assert claims(tokens["id_token"])["sub"] == bob.subject


async def test_a_choice_counts_for_its_own_request_alone(issuer, app):
    answer = await app.authorize(prompt="select_account")
    await issuer.follow(await choose(issuer, answer, "this"))
    assert asks_for(await app.authorize(prompt="select_account"), "login/account")


def put(issuer, cookie: str) -> None:
    """The browser has this session, and no other."""
    issuer.http.cookies.delete("carnet_session")
    issuer.http.cookies.set("carnet_session", cookie)


async def test_a_choice_is_of_one_person_and_does_not_speak_for_another(issuer, app):
    anns = issuer.http.cookies["carnet_session"]
    await issuer.sign_in("bob@example.com")
    bobs = issuer.http.cookies["carnet_session"]
    put(issuer, anns)
    issuer.clock.advance(60)
    chosen = await choose(issuer, await app.authorize(prompt="select_account"), "this")
    put(issuer, bobs)
    assert asks_for(await issuer.follow(chosen), "login/account")


async def test_who_is_not_signed_in_chooses_by_signing_in(issuer, app):
    issuer.http.cookies.delete("carnet_session")
    answer = await app.authorize(prompt="select_account")
    assert asks_for(answer, "login")
    assert "code" in app.query(await issuer.follow(await issuer.enter(answer)))


async def test_login_and_select_account_together_are_met_by_a_sign_in(issuer, app):
    answer = await app.authorize(prompt="select_account login")
    assert asks_for(answer, "login")
    assert "code" in app.query(await issuer.follow(await issuer.enter(answer)))


async def test_after_the_choice_comes_what_else_is_asked_for(issuer, app):
    foreign = await issuer.register(first_party=False)
    answer = await foreign.authorize(prompt="select_account consent")
    assert asks_for(await issuer.follow(await choose(issuer, answer, "this")), "consent")


async def test_a_client_that_names_the_person_has_no_question(issuer, app):
    token = (await app.tokens())["id_token"]
    assert "code" in app.query(await app.authorize(prompt="select_account", id_token_hint=token))


async def test_a_form_of_another_browser_or_without_a_choice_is_refused(issuer, app):
    page = await issuer.follow(await app.authorize(prompt="select_account"))
    fields = issuer.fields(page)
    assert (await issuer.submit("/login/account", fields)).status_code == 400
    assert (await issuer.submit("/login/account", fields | {"account": "this", "csrf": "x"})).status_code == 403
    assert (await issuer.http.get("/login/account")).status_code == 400


async def test_who_has_signed_out_meanwhile_is_sent_to_sign_in(issuer, app):
    answer = await app.authorize(prompt="select_account")
    issuer.http.cookies.delete("carnet_session")
    again = await issuer.follow(answer)
    assert asks_for(await issuer.follow(again), "login")
