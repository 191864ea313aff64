"""OpenID Connect Core section 3.1.2.4, RFC 8252 section 8.6: what a person is asked, and what an answer is worth."""

import pytest

from carnet.issuer.definition import ScopeDefinition
from carnet.issuer.definitions import define

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(issuer):
    await issuer.sign_in()
    return await issuer.register(first_party=False, client_name="Photo <b>Printer</b>")


def asks(answer) -> bool:
    return answer.status_code == 303 and answer.headers["location"].startswith("http://127.0.0.1:8080/consent?flow=")


async def decide(issuer, answer, decision: str):
    page = await issuer.follow(answer)
    assert page.status_code == 200, page.text
    return await issuer.submit("/consent", issuer.fields(page) | {"decision": decision})


async def test_a_foreign_app_is_allowed_once_and_remembered(issuer, app):
    answer = await app.authorize()
    assert asks(answer)
    done = await issuer.follow(await decide(issuer, answer, "allow"))
    assert "code" in app.query(done)
    assert "code" in app.query(await app.authorize())
    assert "consent.granted" in await issuer.events()


async def test_the_page_says_who_asks_for_what(issuer, app):
    page = await issuer.follow(await app.authorize(scope="openid email"))
    assert "Photo &lt;b&gt;Printer&lt;/b&gt;" in page.text
    assert "See your email address" in page.text
    assert "ann@example.com" in page.text
    assert "form-action 'self' https:;" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


async def test_a_scope_of_the_deployments_own_is_shown_by_its_name_and_once(issuer):
    await issuer.sign_in()
    app = await issuer.register(first_party=False, scope="photos:print")
    page = await issuer.follow(await app.authorize(scope="photos:print"))
    assert page.text.count("photos:print") == 1


@pytest.mark.spec("OAuth 2.1", "7.9", "SHOULD")
async def test_a_defined_scope_value_is_shown_in_the_reader_s_language_and_on_their_account_page(issuer):
    sentences = {"en": "See your photos", "de-AT": "Ihre Fotos sehen"}
    wanted = ScopeDefinition(name="photos:print", description=sentences)
    await define(issuer.desk, wanted, before=None, actor="test")
    await issuer.sign_in()
    app = await issuer.register(first_party=False, scope="photos:print", client_name="Printer")
    asked = (await app.authorize(scope="photos:print")).headers["location"]
    for languages, shown in (
        ("de-AT, en;q=0.5", "Ihre Fotos sehen"),
        ("de-at-1996", "Ihre Fotos sehen"),
        ("fr, en-GB", "See your photos"),
        ("fr", "See your photos"),
        ("", "See your photos"),
    ):
        page = await issuer.http.get(asked, headers={"Accept-Language": languages})
        assert (shown in page.text, sum(one in page.text for one in sentences.values())) == (True, 1), languages
    await issuer.submit("/consent", issuer.fields(page) | {"decision": "allow"})
    account = await issuer.http.get("/account")
    assert '<span title="photos:print">See your photos</span>' in account.text
    revoke = issuer.fields(account) | {"client_id": app.client_id}
    await issuer.submit("/account/apps/revoke", revoke)
    assert "Printer" not in (await issuer.http.get("/account")).text
    assert asks(await app.authorize(scope="photos:print"))


@pytest.mark.spec("RFC 6749", "4.1.2.1", "MUST")
async def test_a_person_who_says_no_sends_the_app_access_denied(issuer, app):
    denied = app.query(await decide(issuer, await app.authorize(), "deny"))
    assert (denied["error"], denied["state"], denied["iss"]) == ("access_denied", "a state", "http://127.0.0.1:8080")
    assert asks(await app.authorize())


async def test_more_than_was_allowed_is_asked_for_again(issuer, app):
    await decide(issuer, await app.authorize(scope="openid profile"), "allow")
    assert "code" in app.query(await app.authorize(scope="openid"))
    assert asks(await app.authorize(scope="openid email"))


async def test_with_prompt_none_a_missing_consent_is_consent_required(issuer, app):
    assert app.query(await app.authorize(prompt="none"))["error"] == "consent_required"
    await decide(issuer, await app.authorize(), "allow")
    assert "code" in app.query(await app.authorize(prompt="none"))


async def test_prompt_consent_asks_once_more(issuer, app):
    await decide(issuer, await app.authorize(), "allow")
    issuer.clock.advance(1)
    answer = await app.authorize(prompt="consent")
    assert asks(answer)
    assert "code" in app.query(await issuer.follow(await decide(issuer, answer, "allow")))


async def test_an_app_of_the_issuers_own_does_not_ask(issuer, app):
    own = await issuer.register()
    assert "code" in app.query(await own.authorize())


@pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "SHOULD")
async def test_an_app_of_the_issuers_own_that_wants_people_to_be_asked_has_them_asked(issuer, app):
    own = await issuer.register()
    answer = await own.authorize(prompt="consent")
    assert asks(answer)
    assert "code" in app.query(await issuer.follow(await decide(issuer, answer, "allow")))
    issuer.clock.advance(1)
    assert "code" in app.query(await own.authorize())
    again = await own.authorize(prompt="consent")
    assert app.query(await decide(issuer, again, "deny"))["error"] == "access_denied"


@pytest.mark.spec("RFC 8252", "8.6", "SHOULD NOT")
async def test_a_public_client_that_can_be_impersonated_is_asked_for_each_time(issuer, app):
    native = await issuer.public(first_party=False, redirect_uris=("http://127.0.0.1/cb",))
    answer = await native.authorize()
    done = await issuer.follow(await decide(issuer, answer, "allow"))
    assert "code" in app.query(done)
    issuer.clock.advance(1)
    assert asks(await native.authorize())
    assert app.query(await native.authorize(prompt="none"))["error"] == "consent_required"


async def test_a_public_client_behind_an_https_address_is_remembered(issuer, app):
    spa = await issuer.public(first_party=False)
    await decide(issuer, await spa.authorize(), "allow")
    issuer.clock.advance(1)
    assert "code" in app.query(await spa.authorize())


async def test_the_form_is_taken_from_our_own_page_and_this_browser_alone(issuer, app):
    page = await issuer.follow(await app.authorize())
    form = issuer.fields(page) | {"decision": "allow"}
    foreign = await issuer.http.post("/consent", data=form, headers={"Origin": "https://evil.example"})
    assert (foreign.status_code, "foreign_form" in foreign.text) == (403, True)
    forged = await issuer.submit("/consent", form | {"csrf": "x"})
    assert (forged.status_code, "stale_form" in forged.text) == (403, True)
    undecided = await issuer.submit("/consent", form | {"decision": "maybe"})
    assert undecided.status_code == 400
    assert asks(await app.authorize())


async def test_who_has_signed_out_meanwhile_is_sent_to_sign_in(issuer, app):
    answer = await app.authorize()
    issuer.clock.advance(issuer.desk.config.lifetimes.session_idle)
    answer = await app.authorize()
    consent = answer.headers["location"].replace("/login?", "/consent?")
    back = await issuer.http.get(consent)
    assert back.headers["location"].startswith("http://127.0.0.1:8080/authorize?flow=")
    assert (await issuer.follow(back)).headers["location"].startswith("http://127.0.0.1:8080/login?flow=")


@pytest.mark.parametrize("flow", ["", "flow=made-up"])
async def test_without_a_request_there_is_nothing_to_allow(issuer, app, flow):
    page = await issuer.http.get(f"/consent?{flow}")
    assert (page.status_code, "stale_flow" in page.text) == (400, True)
