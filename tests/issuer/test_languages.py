"""OpenID Connect Core section 3.1.2.1 (`ui_locales`), RFC 9110 section 12.5.4: in which language somebody gets the pages."""

import pytest

from carnet.issuer.accounts import invitations
from carnet.issuer.clients import ClientError
from carnet.issuer.config import Config
from carnet.issuer.definition import ScopeDefinition
from carnet.issuer.definitions import define
from carnet.issuer.pages.catalogues import LANGUAGES, MESSAGES, catalogue
from carnet.issuer.registration import gathered
from carnet.oauth.acr import TWO_FACTORS

from .conftest import ISSUER, PASSWORD
from .test_second_factor import give, set_up

pytestmark = pytest.mark.anyio

GERMAN = {"Accept-Language": "de-AT, de;q=0.9, en;q=0.5"}


def spoken(page) -> str:
    """The language of a page, as its header and its markup say."""
    language = page.headers["content-language"]
    assert f'<html lang="{language}">' in page.text
    return language


def says(page, key: str, language: str) -> bool:
    """Whether a page has a sentence without blanks of one language, and not that of another."""
    assert spoken(page) == language
    return catalogue(language)[key] in page.text


@pytest.fixture
async def app(issuer):
    await issuer.person()
    return await issuer.register(first_party=False, client_name="Printer")


@pytest.mark.spec("OpenID Connect Discovery", "3", "OPTIONAL")
async def test_discovery_names_exactly_the_languages_that_there_are(issuer):
    metadata = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    assert metadata["ui_locales_supported"] == list(LANGUAGES) == sorted(file.stem for file in MESSAGES.iterdir())
    assert "claims_locales_supported" not in metadata


@pytest.mark.spec("OpenID Connect Core", "3.1.2.1", "OPTIONAL")
async def test_a_flow_speaks_as_its_request_asks_from_the_first_page_to_the_last(issuer, app):
    """And not as the browser asks, whose person may be at a friend's."""
    page = await issuer.follow(await app.authorize(ui_locales="sv-SE fr-CA de"))
    assert says(page, "login.submit", "fr")
    wrong = await issuer.http.post(
        "/login",
        data=issuer.fields(page) | {"email": "ann@example.com", "password": "wrong"},
        headers={"Origin": ISSUER} | GERMAN,
    )
    assert (wrong.status_code, says(wrong, "login.not_right", "fr")) == (403, True)
    asked = await issuer.follow(await issuer.enter(wrong))
    consent = await issuer.http.get(asked.headers["location"], headers=GERMAN)
    assert says(consent, "consent.allow", "fr")
    assert catalogue("fr")["scope.email"] in consent.text
    assert all(catalogue(language)["scope.email"] not in consent.text for language in ("en", "de"))
    undecided = await issuer.submit("/consent", issuer.fields(consent))
    assert (undecided.status_code, says(undecided, "error.no_form.title", "fr")) == (400, True)
    done = await issuer.follow(await issuer.submit("/consent", issuer.fields(consent) | {"decision": "allow"}))
    assert done.headers["location"].startswith(app.redirect_uri)
    assert spoken(await issuer.http.get("/account")) == "en"


async def test_second_factors_speak_as_the_request_asks(issuer):
    ann = await set_up(issuer)
    app = await issuer.register()
    issuer.http.cookies.delete("carnet_session")
    page = await issuer.follow(await app.authorize(ui_locales="ja"))
    code = await issuer.submit("/login", issuer.fields(page) | {"email": "ann@example.com", "password": PASSWORD})
    assert says(code, "second_proof.code_hint", "ja")
    wrong = await give(issuer.http, code, "000000")
    assert says(wrong, "second_proof.code_not_right", "ja")
    done = await issuer.follow(await give(issuer.http, wrong, await ann.fresh_code()))
    assert "code" in app.query(done)


async def test_setting_up_a_factor_and_choosing_an_account_speak_as_the_request_asks(issuer, app):
    await issuer.sign_in()
    chosen = await issuer.follow(await app.authorize(prompt="select_account", ui_locales="es"))
    assert says(chosen, "account_choice.another", "es")
    missing = await issuer.submit("/login/account", issuer.fields(chosen))
    assert says(missing, "error.no_form.title", "es")
    stronger = await issuer.follow(await app.authorize(acr_values=TWO_FACTORS, ui_locales="es"))
    assert says(stronger, "second_factor.set_up_title", "es")
    wrong = await issuer.submit("/account/second-factor", issuer.fields(stronger) | {"code": "000000"})
    assert (wrong.status_code, says(wrong, "second_factor.wrong_code", "es")) == (422, True)


async def test_errors_of_a_flow_speak_as_its_request_asks(issuer, app):
    unknown = await app.authorize(client_id="nobody", ui_locales="de")
    assert (unknown.status_code, says(unknown, "error.unknown_client.title", "de")) == (400, True)
    foreign = await app.authorize(redirect_uri="https://evil.example/", ui_locales="nl")
    assert says(foreign, "error.foreign_redirect_uri.title", "nl")
    asked = await app.authorize(ui_locales="it")
    page = await issuer.follow(asked)
    forged = await issuer.submit("/login", issuer.fields(page) | {"csrf": "x"})
    assert (forged.status_code, says(forged, "error.stale_form.title", "it")) == (403, True)
    issuer.clock.advance(3_600)
    stale = await issuer.follow(asked)
    assert (stale.status_code, says(stale, "error.stale_flow.title", "it")) == (400, True)
    lost = await issuer.http.get("/nowhere", headers=GERMAN)
    assert (lost.status_code, says(lost, "error.nowhere.title", "de")) == (404, True)


async def test_a_pushed_request_speaks_for_itself_and_nothing_beside_it_counts(issuer, app):
    parameters = {name: value for name, value in app.request(ui_locales="ja").items() if name != "client_id"}
    name = (await app.post("/par", **parameters)).json()["request_uri"]
    brought = {"client_id": app.client_id, "request_uri": name, "ui_locales": "de"}
    page = await issuer.follow(await issuer.http.get("/authorize", params=brought))
    assert says(page, "login.submit", "ja")


WISHES = (
    (None, "", "en"),
    (None, "de", "de"),
    (None, "DE-ch", "de"),
    (None, "en;q=0.3, ja;q=0.7", "ja"),
    (None, "sv, pt-PT;q=0.9", "pt-BR"),
    (None, "de;q=0, fr;q=0.1", "fr"),
    (None, "xx, *", "en"),
    (None, "," * 300, "en"),
    (None, "🙂 é\t;;;q=", "en"),
    ("fr", "de", "fr"),
    ("xx yy", "de", "de"),
    ("de_DE <b> " + "x" * 500, "it", "it"),
    ("a-" * 1_000, "nl", "nl"),
    ("en-GB", "de", "en"),
)
"""`ui_locales`, Accept-Language, and the language that comes of them."""


@pytest.mark.spec("RFC 9110", "12.5.4", "MUST")
@pytest.mark.spec("RFC 4647", "3.4", "MUST")
async def test_the_request_s_wish_goes_before_the_browser_s_and_no_wish_is_an_error(issuer, app):
    for asked, browser, language in WISHES:
        answer = await app.authorize(ui_locales=asked)
        assert answer.status_code == 303
        page = await issuer.http.get(answer.headers["location"], headers={b"Accept-Language": browser.encode()})
        assert (page.status_code, spoken(page)) == (200, language), (asked, browser)
        assert page.headers["vary"] == "Accept-Language, Cookie"
        carried = issuer.fields(page).get("ui_locales", "")
        assert len(carried) <= 100
        assert "<b>" not in carried


@pytest.mark.spec("RP-Initiated Logout", "2", "OPTIONAL")
async def test_a_sign_out_speaks_as_its_request_asks(issuer, app):
    await issuer.sign_in()
    for answer in (
        await issuer.http.get("/end_session", params={"ui_locales": "sv pt"}),
        await issuer.follow(await issuer.http.post("/end_session", data={"ui_locales": "pt", "other": "x"})),
    ):
        assert says(answer, "sign_out.effect", "pt-BR")
    wrong = await issuer.http.get("/end_session", params={"ui_locales": "fr", "client_id": "nobody"})
    assert says(wrong, "error.unknown_client.title", "fr")
    done = await issuer.submit("/end_session", issuer.fields(answer))
    assert (done.status_code, says(done, "signed_out.lead", "pt-BR")) == (200, True)


async def test_a_person_chooses_a_language_for_their_browser(issuer):
    await issuer.sign_in()
    account = await issuer.http.get("/account", headers=GERMAN)
    assert says(account, "account.language_title", "de")
    assert all(
        f'<option value="{tag}" lang="{tag}">{catalogue(tag)["language"]}</option>' in account.text for tag in LANGUAGES
    )
    chosen = await issuer.submit("/account/language", issuer.fields(account) | {"language": "ja"})
    assert chosen.status_code == 303
    page = await issuer.http.get(chosen.headers["location"], headers=GERMAN)
    assert says(page, "notice.language_chosen", "ja")
    assert '<option value="ja" lang="ja" selected>' in page.text
    app = await issuer.register(first_party=False)
    assert spoken(await issuer.follow(await app.authorize())) == "ja"
    assert spoken(await issuer.follow(await app.authorize(ui_locales="fr"))) == "fr"
    assert (await issuer.submit("/account/language", issuer.fields(page) | {"language": "sv"})).status_code == 400
    await issuer.submit("/account/language", issuer.fields(page) | {"language": ""})
    assert spoken(await issuer.http.get("/account", headers=GERMAN)) == "de"


async def test_a_cookie_that_is_none_of_ours_chooses_nothing(issuer):
    for value in ["xx", "de fr", "<b>", "x" * 4_000, ""]:
        page = await issuer.http.get("/login", headers={"Cookie": f"carnet_language={value}", "Accept-Language": "fr"})
        assert spoken(page) == "fr", value


async def test_pages_for_administrators_and_developers_are_in_english_and_say_so(issuer):
    await issuer.person(roles=("ADMIN",))
    await issuer.sign_in()
    for path in ("/admin/people", "/admin/clients", "/admin/keys", "/admin/revocations", "/admin/events", "/debugger"):
        page = await issuer.http.get(path, headers=GERMAN)
        assert (page.status_code, spoken(page), page.headers.get("vary")) == (200, "en", None), path
    account = await issuer.http.get("/account", headers=GERMAN)
    assert says(account, "account.administration", "de")


async def test_other_pages_speak_as_the_browser_asks(issuer):
    welcome = await issuer.http.get(await invitations.first_administrator(issuer.desk), headers=GERMAN)
    assert says(welcome, "welcome.first_submit", "de")
    weak = await issuer.http.post(
        "/welcome",
        data=issuer.fields(welcome) | {"email": "root@example.com", "password": "short", "repeated": "short"},
        headers={"Origin": ISSUER} | GERMAN,
    )
    assert (weak.status_code, says(weak, "password.short", "de")) == (422, True)
    await issuer.sign_in()
    for path, key in (
        ("/device", "device.hint"),
        ("/approvals", "approvals.nothing"),
        ("/account/second-factor", "second_factor.scan"),
    ):
        assert says(await issuer.http.get(path, headers=GERMAN), key, "de"), path


class TestInGermanByDefault:
    @pytest.fixture
    def config(self, tmp_path) -> Config:
        return Config(issuer=ISSUER, data=tmp_path, language="de")

    async def test_who_asks_for_nothing_that_there_is_gets_the_deployment_s_language(self, issuer):
        for browser, language in [("", "de"), ("sv", "de"), ("en", "en"), ("sv, fr", "fr")]:
            assert spoken(await issuer.http.get("/login", headers={"Accept-Language": browser})) == language

    async def test_sentences_of_scope_values_go_by_it_too(self, issuer):
        wanted = ScopeDefinition(name="photos:print", description={"en": "See your photos", "de": "Ihre Fotos sehen"})
        await define(issuer.desk, wanted, before=None, actor="test")
        await issuer.sign_in()
        app = await issuer.register(first_party=False, scope="photos:print")
        page = await issuer.follow(await app.authorize(scope="photos:print"))
        assert "Ihre Fotos sehen" in page.text


@pytest.mark.spec("WCAG 2.2", "3.1.2", "AA")
async def test_a_sentence_in_another_language_than_its_page_says_so(issuer):
    wanted = ScopeDefinition(name="photos:print", description={"sv": "Se dina foton", "fr": "Voir vos photos"})
    await define(issuer.desk, wanted, before=None, actor="test")
    await issuer.sign_in()
    app = await issuer.register(first_party=False, scope="photos:print")
    page = await issuer.follow(await app.authorize(scope="photos:print", ui_locales="de"))
    assert '<span lang="sv">Se dina foton</span>' in page.text
    page = await issuer.follow(await app.authorize(scope="photos:print", ui_locales="fr-CH"))
    assert "Voir vos photos <code>" in page.text


@pytest.mark.spec("RFC 7591", "2.2", "OPTIONAL")
async def test_a_client_is_called_as_the_page_s_reader_would_call_it(issuer):
    await issuer.sign_in()
    names = {"client_name#de": "Drucker", "client_name#ja-Jpan": "印刷機", "client_name#fr": "Imprimante <b>"}
    app = await issuer.register(first_party=False, client_name="Printer", metadata=names)
    for asked, name in (
        ("de-AT", "<b>Drucker</b>"),
        ("ja", "<b>印刷機</b>"),
        ("fr", "<b>Imprimante &lt;b&gt;</b>"),
        ("es", "<b>Printer</b>"),
        (None, "<b>Printer</b>"),
    ):
        page = await issuer.follow(await app.authorize(ui_locales=asked))
        assert name in page.text, asked
    await issuer.submit("/consent", issuer.fields(page) | {"decision": "allow"})
    assert "<strong>Drucker</strong>" in (await issuer.http.get("/account", headers=GERMAN)).text
    issuer.http.cookies.delete("carnet_session")
    page = await issuer.follow(await app.authorize(ui_locales="de"))
    assert "weiter zu <b>Drucker</b>" in page.text


async def test_a_name_that_people_cannot_read_is_refused_in_every_language(issuer):
    for names in (
        {"client_name#": "X"},
        {"client_name#de_DE": "X"},
        {"client_name#de": " "},
        {"client_name#de": "x" * 101},
        {"client_name#de": "a\u202eb"},
        {"client_name#de": 7},
        {"client_name#de": "X", "client_name#DE": "Y"},
        {f"client_name#x{number}": "X" for number in range(51)},
    ):
        with pytest.raises(ClientError):
            await issuer.register(metadata=names)


def test_a_name_in_another_language_stands_in_a_registration_as_all_that_a_client_says_of_itself():
    """In `carnet.toml`, and in a file of the command."""
    given = {"client_name": "Shop", "client_name#de": "Laden", "client_name#fr": None}
    assert gathered(given, {"client_name#fr": "Magasin", "tos_uri": "https://shop.example/"}) == {
        "client_name": "Shop",
        "metadata": {"client_name#de": "Laden", "tos_uri": "https://shop.example/"},
    }


@pytest.mark.spec("RFC 6749", "5.2", "MUST NOT")
async def test_what_programs_are_told_stays_in_ascii(issuer, app):
    await issuer.sign_in()
    refused = await app.authorize(scope="openid nothing", ui_locales="ja")
    told = app.query(refused)
    assert (told["error"], told["error_description"].isascii()) == ("invalid_scope", True)
    answer = await issuer.direct.post("/token", data={"grant_type": "x"}, headers=GERMAN)
    assert answer.json()["error_description"].isascii()
    assert "content-language" not in answer.headers
    assert "accept-language" not in answer.headers.get("vary", "").lower()
