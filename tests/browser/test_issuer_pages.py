"""The issuer's pages in a real browser without JavaScript: narrow and wide, light and dark, with nothing blocked by their own policy."""

from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from carnet.issuer.pages.catalogues import LANGUAGES, catalogue
from carnet.testing.running import RunningIssuer, running_issuer

from .conftest import PASSWORD

WIDTHS = (360, 1280)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory) -> Iterator[RunningIssuer]:
    with running_issuer(tmp_path_factory.mktemp("issuer")) as running:
        running.command("user", "create", "ada@example.com", "--role", "ADMIN", "--password-stdin", given=PASSWORD)
        running.command(
            "user", "create", "katherine.johnson.with.a.long.address@subsidiary.example.com", "--role", "USER"
        )
        yield running


@pytest.fixture
def page(chromium: Browser, issuer) -> Iterator[Page]:
    """Fails the test if a page asks another host for something, or its own policy blocks something."""
    context = chromium.new_context(java_script_enabled=False)
    context.set_default_timeout(20_000)
    page = context.new_page()
    seen: list[str] = []
    page.on("console", lambda message: seen.append(message.text))
    page.on("request", lambda request: seen.append(request.url) if foreign(request.url, issuer) else None)
    yield page
    context.close()
    assert [text for text in seen if "Failed to load resource" not in text] == []


def foreign(url: str, issuer: RunningIssuer) -> bool:
    return urlsplit(url).netloc != urlsplit(issuer.url).netloc


def fits(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 740})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (page.url, width)


def sign_in(page: Page, issuer: RunningIssuer, password: str = PASSWORD) -> None:
    page.goto(f"{issuer.url}/login")
    page.get_by_label("Email address").fill("ada@example.com")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_wrong_password_is_said_beside_the_field_which_has_the_focus(page, issuer):
    sign_in(page, issuer, "wrong")
    expect(page.get_by_role("alert")).to_contain_text("is not right")
    expect(page).to_have_title(f"Error: Sign in · {urlsplit(issuer.url).netloc}")
    expect(page.get_by_label("Password")).to_be_focused()
    expect(page.get_by_label("Password")).to_have_accessible_description(
        "The email address or the password is not right. Check both and try again."
    )
    fits(page)


def test_the_pages_fit_a_phone_and_a_desktop(page, issuer):
    page.goto(f"{issuer.url}/login")
    fits(page)
    sign_in(page, issuer)
    expect(page.get_by_role("heading", level=1)).to_have_text("ada@example.com")
    fits(page)
    for path in ("people", "people/invite", "clients", "keys", "revocations", "events"):
        page.goto(f"{issuer.url}/admin/{path}")
        fits(page)


def test_an_administrator_invites_somebody_who_then_signs_in(page, issuer, chromium):
    sign_in(page, issuer)
    page.goto(f"{issuer.url}/admin")
    page.get_by_role("link", name="Invite somebody").click()
    page.get_by_label("Email address").fill("grace@example.com")
    page.get_by_label("Roles").fill("USER")
    page.get_by_role("button", name="Make the link").click()
    link = page.get_by_label("Link").input_value()
    fits(page)
    context = chromium.new_context(java_script_enabled=False)
    theirs = context.new_page()
    theirs.goto(link)
    theirs.get_by_label("Name").fill("Grace Hopper")
    theirs.get_by_label("Password", exact=True).fill(PASSWORD)
    theirs.get_by_label("Password, once more").fill(PASSWORD)
    fits(theirs)
    theirs.get_by_role("button", name="Save and sign in").click()
    expect(theirs.get_by_role("heading", level=1)).to_have_text("Grace Hopper")
    context.close()


def test_one_is_signed_out_by_a_button_that_needs_no_script(page, issuer):
    sign_in(page, issuer)
    page.get_by_role("navigation").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    page.goto(f"{issuer.url}/account")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_the_pages_fit_a_phone_in_every_language(page, issuer):
    app = issuer.command(
        "client", "create", "Donaudampfschifffahrt", "--public", "--redirect-uri", "https://app.example/cb", "--json"
    )
    asked = {"response_type": "code", "client_id": app["client_id"], "redirect_uri": "https://app.example/cb"}
    asked |= {"scope": "openid offline_access", "code_challenge": "x" * 43, "code_challenge_method": "S256"}
    sign_in(page, issuer)
    expect(page.get_by_role("heading", level=1)).to_have_text("ada@example.com")
    page.set_viewport_size({"width": min(WIDTHS), "height": 740})
    for language in LANGUAGES:
        page.context.add_cookies([{"name": "carnet_language", "value": language, "url": issuer.url}])
        for path, key in (
            ("account", "account.sessions_title"),
            (f"authorize?{urlencode(asked)}", "consent.title"),
            ("account/second-factor", "second_factor.set_up_title"),
        ):
            page.goto(f"{issuer.url}/{path}")
            expect(page.get_by_role("heading", name=catalogue(language)[key], exact=True)).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= min(WIDTHS), (language, path)


def test_a_language_is_chosen_without_a_script(page, issuer):
    sign_in(page, issuer)
    page.get_by_label("Language of these pages").select_option(label="日本語")
    page.get_by_role("button", name="Change language").click()
    expect(page.get_by_role("status")).to_have_text("言語を変更しました。")
    expect(page.get_by_label("これらのページの言語")).to_have_value("ja")
    page.get_by_label("これらのページの言語").select_option("")
    page.get_by_role("button", name="言語を変更").click()
    expect(page.get_by_role("status")).to_have_text("The language has been changed.")
