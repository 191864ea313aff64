"""OpenID Connect Core section 3.1.2: when a person is asked to sign in, and who may not be asked."""

from urllib.parse import urlencode

import pytest

from carnet.issuer.flow import LONGEST

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(issuer):
    return await issuer.register()


def asks_for(answer, page: str) -> bool:
    return answer.status_code == 303 and answer.headers["location"].startswith(f"http://127.0.0.1:8080/{page}?flow=")


async def finish(issuer, answer):
    """From the sign-in page back to `/authorize`, and what it answers now."""
    return await issuer.follow(await issuer.enter(answer))


async def test_who_is_not_signed_in_signs_in_and_goes_on_to_the_app(issuer, app):
    await issuer.person()
    answer = await app.authorize()
    assert asks_for(answer, "login")
    assert "code" in app.query(await finish(issuer, answer))


async def test_nothing_is_stored_for_a_visitor_who_does_not_sign_in(issuer, app):
    before = await issuer.events()
    await issuer.follow(await app.authorize())
    assert await issuer.events() == before
    assert await issuer.desk.store.accounts.count() == 0


async def test_one_sign_in_serves_many_apps(issuer, app):
    await issuer.sign_in()
    other = await issuer.register()
    assert "code" in app.query(await app.authorize())
    assert "code" in app.query(await other.authorize())


@pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "MUST")
async def test_with_prompt_none_an_error_comes_instead_of_a_page(issuer, app):
    assert app.query(await app.authorize(prompt="none"))["error"] == "login_required"
    await issuer.sign_in()
    assert "code" in app.query(await app.authorize(prompt="none"))


@pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "SHOULD")
@pytest.mark.parametrize("prompt", ["login", "login select_account"])
async def test_a_prompt_for_a_sign_in_is_met_by_a_new_one_alone(issuer, app, prompt, claims):
    await issuer.sign_in()
    issuer.clock.advance(30)
    answer = await app.authorize(prompt=prompt)
    assert asks_for(answer, "login")
    assert asks_for(await issuer.follow(answer.__class__(303, headers={"location": _resumed(answer)})), "login")
    issuer.clock.advance(30)
    done = await finish(issuer, answer)
    tokens = (await app.redeem(app.query(done)["code"])).json()
    assert claims(tokens["id_token"])["auth_time"] == issuer.clock.now()


async def test_a_prompt_for_both_asks_for_a_sign_in_and_then_for_consent(issuer, app):
    await issuer.sign_in()
    issuer.clock.advance(30)
    answer = await app.authorize(prompt="login consent")
    assert asks_for(answer, "login")
    assert asks_for(await finish(issuer, answer), "consent")


def _resumed(answer) -> str:
    """The URL that skips the sign-in page: the flow goes straight back to `/authorize`."""
    return answer.headers["location"].replace("/login?", "/authorize?")


async def test_prompt_login_is_not_met_by_a_sign_in_of_the_same_second(issuer, app):
    await issuer.sign_in()
    assert asks_for(await app.authorize(prompt="login"), "login")


@pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "MUST")
async def test_max_age_asks_again_for_a_sign_in_that_is_older(issuer, app, claims):
    await issuer.sign_in()
    issuer.clock.advance(60)
    assert "code" in app.query(await app.authorize(max_age="60"))
    issuer.clock.advance(1)
    answer = await app.authorize(max_age="60")
    assert asks_for(answer, "login")
    tokens = (await app.redeem(app.query(await finish(issuer, answer))["code"])).json()
    assert claims(tokens["id_token"])["auth_time"] == issuer.clock.now()


async def test_max_age_0_always_asks_again_and_is_met_by_that(issuer, app):
    await issuer.sign_in()
    answer = await app.authorize(max_age="0")
    assert asks_for(answer, "login")
    assert "code" in app.query(await finish(issuer, answer))


async def test_max_age_with_prompt_none_is_login_required(issuer, app):
    await issuer.sign_in()
    issuer.clock.advance(61)
    assert app.query(await app.authorize(max_age="60", prompt="none"))["error"] == "login_required"


@pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "MUST")
async def test_a_hint_at_the_person_who_is_signed_in_is_met(issuer, app):
    await issuer.sign_in()
    tokens = await app.tokens()
    issuer.clock.advance(10_000)
    assert "code" in app.query(await app.authorize(id_token_hint=tokens["id_token"], prompt="none"))


async def test_a_hint_at_another_person_asks_for_that_one_and_takes_nobody_else(issuer, app):
    await issuer.sign_in()
    tokens = await app.tokens()
    await issuer.sign_in("bob@example.com")
    issuer.clock.advance(1)
    silent = await app.authorize(id_token_hint=tokens["id_token"], prompt="none")
    assert app.query(silent)["error"] == "login_required"
    answer = await app.authorize(id_token_hint=tokens["id_token"])
    assert asks_for(answer, "login")
    as_bob = await issuer.follow(await issuer.enter(answer, "bob@example.com"))
    assert app.query(as_bob)["error"] == "login_required"
    as_ann = await issuer.follow(await issuer.enter(await app.authorize(id_token_hint=tokens["id_token"])))
    assert "code" in app.query(as_ann)


async def test_a_login_hint_stands_in_the_sign_in_form(issuer, app):
    page = await issuer.follow(await app.authorize(login_hint="carol@example.com"))
    assert "carol@example.com" in page.text


@pytest.mark.spec("RFC 9700", "4.7", "MUST")
async def test_a_flow_belongs_to_the_browser_that_began_it(issuer, app):
    await issuer.sign_in()
    issuer.clock.advance(1)
    answer = await app.authorize(prompt="login")
    issuer.http.cookies.clear()
    stolen = await issuer.http.get(_resumed(answer))
    assert stolen.status_code == 400
    assert "stale_flow" in stolen.text


async def test_a_flow_lasts_half_an_hour(issuer, app):
    await issuer.person()
    answer = await app.authorize()
    issuer.clock.advance(1_800)
    late = await issuer.http.get(_resumed(answer))
    assert late.status_code == 400
    assert "stale_flow" in late.text


async def test_the_longest_request_that_is_taken_survives_the_way_over_the_sign_in_page(issuer, app):
    await issuer.person()
    room = LONGEST - len(urlencode(app.request(state="")))
    assert (await app.authorize(state="s" * (room + 1))).status_code == 400
    answer = await app.authorize(state="s" * room)
    assert app.query(await finish(issuer, answer))["state"] == "s" * room


@pytest.mark.parametrize("flow", ["x", "A" * 200, "ü", "=", "AA=="])
async def test_a_made_up_flow_gets_a_page(issuer, flow):
    answer = await issuer.http.get("/authorize", params={"flow": flow})
    assert answer.status_code == 400
    assert "stale_flow" in answer.text


async def test_what_has_changed_since_a_flow_began_counts(issuer, app):
    from msgspec.structs import replace

    from carnet.issuer.clients import change

    await issuer.person()
    answer = await app.authorize()
    client = app.registered.client
    await change(issuer.desk, client, replace(client, redirect_uris=("https://app.example/new",)), actor="test")
    done = await finish(issuer, answer)
    assert done.status_code == 400
    assert "foreign_redirect_uri" in done.text


async def test_an_idle_session_asks_for_a_new_sign_in(issuer, app):
    await issuer.sign_in()
    issuer.clock.advance(issuer.desk.config.lifetimes.session_idle)
    assert asks_for(await app.authorize(), "login")
