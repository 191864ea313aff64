"""RFC 9470 section 5, OpenID Connect Core section 3.1.2.1 (`acr_values`, `max_age`): a session that is made stronger, or fresh again."""

import json

import pytest

from carnet.issuer.freshness import FRESH
from carnet.oauth.acr import ONE_FACTOR, TWO_FACTORS
from carnet.testing.authenticator import Authenticator

from .conftest import ISSUER, PASSWORD, fields
from .test_second_factor import PAGE, give, other_browser, post, sessions, set_up

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(issuer):
    return await issuer.register(client_name="Windrose")


@pytest.fixture
async def ann(issuer):
    return await set_up(issuer)


@pytest.fixture
async def weak(ann, issuer):
    """Ann in a session of one factor: she had signed in there before she set the second one up."""
    from msgspec.structs import replace

    account = await ann.stored()
    await issuer.desk.store.accounts.replace(account, replace(account, totp=None))
    issuer.clock.advance(60)
    await issuer.sign_in()
    await issuer.desk.store.accounts.replace(await ann.stored(), account)
    return ann


def asks_for(answer, page: str) -> bool:
    return answer.status_code == 303 and answer.headers["location"].startswith(f"{ISSUER}/{page}?flow=")


@pytest.mark.spec("OpenID Connect Discovery", "3", "OPTIONAL")
async def test_the_strengths_are_advertised(issuer):
    metadata = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    assert metadata["acr_values_supported"] == [ONE_FACTOR, TWO_FACTORS]


async def test_a_session_that_is_strong_enough_is_asked_nothing(ann, issuer, app, claims):
    for asked in (TWO_FACTORS, f"phr {TWO_FACTORS}", f"{TWO_FACTORS} {ONE_FACTOR}"):
        tokens = await app.tokens(acr_values=asked)
        assert claims(tokens["access_token"])["acr"] == TWO_FACTORS


async def test_a_stronger_session_answers_with_the_strength_that_was_asked_for(ann, issuer, app, claims):
    """Whoever compares texts, as guards do, is served; `amr` still says all."""
    said = claims((await app.tokens(acr_values=ONE_FACTOR))["id_token"])
    assert (said["acr"], list(said["amr"])) == (ONE_FACTOR, ["pwd", "otp", "mfa"])


@pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "OPTIONAL")
async def test_strengths_that_are_not_known_here_are_passed_over(issuer, app, claims):
    await issuer.sign_in()
    assert claims((await app.tokens(acr_values="phr urn:elsewhere"))["access_token"])["acr"] == ONE_FACTOR
    assert claims((await app.tokens(acr_values=f"{TWO_FACTORS} {ONE_FACTOR}"))["access_token"])["acr"] == ONE_FACTOR


@pytest.mark.spec("RFC 9470", "5", "SHOULD")
async def test_a_session_that_is_too_weak_is_asked_for_the_second_proof_alone(weak, issuer, app, claims):
    answer = await app.authorize(acr_values=TWO_FACTORS)
    assert asks_for(answer, "login/second")
    page = await issuer.follow(answer)
    assert "Password" not in page.text
    assert "<b>Windrose</b> asks for a second proof" in page.text
    back = await give(issuer.http, page, await weak.fresh_code())
    tokens = (await app.redeem(app.query(await issuer.follow(back))["code"])).json()
    said = claims(tokens["access_token"])
    assert (said["acr"], list(said["amr"])) == (TWO_FACTORS, ["pwd", "otp", "mfa"])
    assert said["auth_time"] == issuer.clock.now(), "of the proof that was given now"


async def test_an_essential_acr_claim_asks_for_the_same(weak, issuer, app):
    claims = json.dumps({"id_token": {"acr": {"essential": True, "values": [TWO_FACTORS]}}})
    assert asks_for(await app.authorize(claims=claims), "login/second")


@pytest.mark.spec("OpenID Connect Registration", "2", "OPTIONAL")
async def test_a_client_s_own_acr_values_count_where_its_request_says_nothing_of_them(weak, issuer):
    app = await issuer.register(default_acr_values=(TWO_FACTORS,))
    assert asks_for(await app.authorize(), "login/second")
    assert app.query(await app.authorize(prompt="none"))["error"] == "login_required"
    for said in ({"acr_values": ONE_FACTOR}, {"claims": '{"id_token": {"acr": null}}'}):
        assert "code" in app.query(await app.authorize(**said))


async def test_stepping_up_makes_a_new_session_to_which_what_apps_hold_passes(weak, issuer, app):
    before = (await sessions(issuer, weak.account))[0]
    held = await app.tokens()
    page = await issuer.follow(await app.authorize(acr_values=TWO_FACTORS))
    await give(issuer.http, page, await weak.fresh_code())
    after = (await sessions(issuer, weak.account))[0]
    assert after.sid != before.sid
    assert (await issuer.desk.store.sessions.get(before.sid)).ended_at == issuer.clock.now()
    renewed = await app.refresh(held["refresh_token"])
    assert renewed.status_code == 200, "the family is not lost"
    assert (await app.refresh(renewed.json()["refresh_token"])).status_code == 200


async def test_what_was_approved_before_stays_as_weak_as_it_was(weak, issuer, app, claims):
    """RFC 9470 section 6.1: a refresh gives no stronger token than its sign-in was."""
    held = await app.tokens()
    page = await issuer.follow(await app.authorize(acr_values=TWO_FACTORS))
    await give(issuer.http, page, await weak.fresh_code())
    renewed = (await app.refresh(held["refresh_token"])).json()
    assert claims(renewed["access_token"])["acr"] == ONE_FACTOR


async def test_with_prompt_none_a_weak_session_gets_an_error(weak, issuer, app):
    assert app.query(await app.authorize(prompt="none", acr_values=TWO_FACTORS))["error"] == "login_required"


async def test_a_wrong_code_leaves_the_session_as_it_was(weak, issuer, app):
    before = (await sessions(issuer, weak.account))[0]
    page = await issuer.follow(await app.authorize(acr_values=TWO_FACTORS))
    assert (await give(issuer.http, page, "000000")).status_code == 403
    assert (await sessions(issuer, weak.account))[0].sid == before.sid
    assert asks_for(await app.authorize(acr_values=TWO_FACTORS), "login/second")


async def test_the_code_alone_does_not_meet_max_age(weak, issuer, app):
    """The password is older than the request allows: both proofs are asked for, whatever page the browser opens."""
    issuer.clock.advance(301)
    answer = await app.authorize(acr_values=TWO_FACTORS, max_age="300")
    assert asks_for(answer, "login")
    flow = app.query(answer)["flow"]
    detour = await issuer.http.get("/login/second", params={"flow": flow})
    assert detour.headers["location"].startswith(f"{ISSUER}/authorize?flow=")
    second = await app.authorize(acr_values=TWO_FACTORS)
    form = fields(await issuer.follow(second)) | {"flow": flow}
    posted = await post(issuer.http, "/login/second", form | {"method": "totp", "code": await weak.fresh_code()})
    assert asks_for(await issuer.follow(posted), "login")
    assert (await sessions(issuer, weak.account))[0].acr == ONE_FACTOR


async def test_the_code_alone_does_not_meet_a_prompt_for_a_sign_in(weak, issuer, app):
    issuer.clock.advance(30)
    answer = await app.authorize(acr_values=TWO_FACTORS, prompt="login")
    assert asks_for(answer, "login")
    detour = await issuer.http.get("/login/second", params={"flow": app.query(answer)["flow"]})
    assert detour.headers["location"].startswith(f"{ISSUER}/authorize?flow=")


@pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "MUST")
async def test_max_age_proves_again_with_both_factors(ann, issuer, app, claims):
    issuer.clock.advance(301)
    answer = await app.authorize(acr_values=TWO_FACTORS, max_age="300")
    assert asks_for(answer, "login")
    page = await issuer.follow(answer)
    half = await issuer.submit("/login", fields(page) | {"email": ann.account.email, "password": PASSWORD})
    back = await give(issuer.http, half, ann.code())
    tokens = (await app.redeem(app.query(await issuer.follow(back))["code"])).json()
    said = claims(tokens["access_token"])
    assert (said["acr"], said["auth_time"]) == (TWO_FACTORS, issuer.clock.now())


async def test_two_tabs_that_step_up_end_up_at_the_app_both(weak, issuer, app):
    first = await app.authorize(acr_values=TWO_FACTORS, state="first")
    second = await app.authorize(acr_values=TWO_FACTORS, state="second")
    pages = [await issuer.follow(one) for one in (first, second)]
    code = await weak.fresh_code()
    back = await give(issuer.http, pages[0], code)
    assert app.query(await issuer.follow(back))["state"] == "first"
    late = await give(issuer.http, pages[1], code)
    assert "stale_form" in late.text
    again = await issuer.follow(second)
    assert app.query(await issuer.follow(again))["state"] == "second", "loaded again, it goes on without another code"


async def test_another_browser_cannot_step_up_with_the_flow(weak, issuer, app):
    answer = await app.authorize(acr_values=TWO_FACTORS)
    async with other_browser(issuer) as http:
        stolen = await http.get(answer.headers["location"])
        assert stolen.status_code == 400
        assert "stale_flow" in stolen.text


# An account without a second factor


async def test_who_has_no_second_factor_is_led_to_set_one_up_and_back(issuer, app, claims):
    await issuer.sign_in()
    answer = await app.authorize(acr_values=TWO_FACTORS)
    assert asks_for(answer, "account/second-factor")
    page = await issuer.follow(answer)
    assert "<b>Windrose</b> asks for a second proof that it is you, and your account has none yet." in page.text
    code = Authenticator.reading(page.text).code(issuer.clock.now())
    done = await issuer.submit(PAGE, fields(page) | {"code": code})
    assert "back to Windrose" in done.text
    onward = done.text.partition('class="button main" href="')[2].partition('"')[0]
    back = await issuer.http.get(onward.replace("&amp;", "&"))
    said = claims((await app.redeem(app.query(back)["code"])).json()["access_token"])
    assert (said["acr"], list(said["amr"])) == (TWO_FACTORS, ["pwd", "otp", "mfa"])


async def test_setting_up_on_the_way_needs_a_fresh_password(issuer, app):
    await issuer.sign_in()
    issuer.clock.advance(FRESH)
    page = await issuer.follow(await app.authorize(acr_values=TWO_FACTORS))
    assert page.headers["location"].startswith(f"{ISSUER}/login?flow=")
    back = await issuer.enter(page)
    assert asks_for(await issuer.follow(back), "account/second-factor")


@pytest.mark.spec("RFC 9470", "5", "MAY")
async def test_who_does_not_want_one_goes_back_to_the_app_which_is_told(issuer, app):
    await issuer.sign_in()
    page = await issuer.follow(await app.authorize(acr_values=TWO_FACTORS))
    assert "Back to Windrose without it" in page.text
    answer = await issuer.submit(f"{PAGE}/decline", fields(page))
    assert app.query(answer)["error"] == "unmet_authentication_requirements"
    assert app.query(answer)["state"] == "a state"


async def test_a_factor_that_was_set_up_in_another_tab_is_asked_for(weak, issuer, app):
    answer = await app.authorize(acr_values=TWO_FACTORS)
    flow = app.query(answer)["flow"]
    page = await issuer.http.get(PAGE, params={"flow": flow})
    assert page.status_code == 303
    assert page.headers["location"].startswith(f"{ISSUER}/")
