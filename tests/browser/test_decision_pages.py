"""RFC 8628, OpenID CIBA Core: the pages on which people decide for apps elsewhere, in a browser without JavaScript."""

from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from .conftest import PASSWORD

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
CIBA = "urn:openid:params:grant-type:ciba"
WIDTHS = (360, 1280)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """Fails the test if the page's own policy blocks something."""
    context = chromium.new_context(java_script_enabled=False)
    context.set_default_timeout(20_000)
    page = context.new_page()
    seen: list[str] = []
    page.on("console", lambda message: seen.append(message.text))
    yield page
    context.close()
    assert [text for text in seen if "Failed to load resource" not in text] == []


def sign_in(page: Page) -> None:
    page.get_by_label("Email address").fill("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def fits(page: Page) -> None:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (page.url, width)


def test_a_device_is_connected_from_a_link_that_holds_the_code(page, issuer):
    tv = issuer.command("client", "create", "The TV", "--public", "--grant", DEVICE, "--json")
    given = {"client_id": tv["client_id"], "scope": "openid profile"}
    asked = httpx2.post(f"{issuer.url}/device_authorization", data=given).json()
    page.goto(asked["verification_uri_complete"])
    sign_in(page)
    expect(page.get_by_label("Code")).to_have_value(asked["user_code"])
    page.get_by_text("Go on with your phone").click()
    picture = page.get_by_role("img", name="A QR code")
    expect(picture).to_be_visible()
    assert picture.evaluate("picture => picture.complete && picture.naturalWidth > 100")
    fits(page)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("The TV")).to_be_visible()
    fits(page)
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("heading", name="The device is connected")).to_be_visible()
    redeemed = httpx2.post(
        f"{issuer.url}/token",
        data={"grant_type": DEVICE, "client_id": tv["client_id"], "device_code": asked["device_code"]},
    )
    assert redeemed.status_code == 200, redeemed.text


def test_a_wrong_code_is_said_beside_the_field(page, issuer):
    page.goto(f"{issuer.url}/device")
    sign_in(page)
    page.get_by_label("Code").fill("bcdf")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("is not valid")
    expect(page.get_by_label("Code")).to_be_focused()
    fits(page)


def test_what_an_app_asks_is_denied_on_the_person_s_page(page, issuer):
    bank = issuer.command("client", "create", "The Bank", "--grant", CIBA, "--json")
    auth = (bank["client_id"], bank["client_secret"])
    given = {"scope": "openid", "login_hint": "ada@example.com", "binding_message": "W" * 100}
    asked = httpx2.post(f"{issuer.url}/backchannel_authentication", data=given, auth=auth).json()
    page.goto(f"{issuer.url}/approvals")
    sign_in(page)
    expect(page.get_by_role("heading", name="The Bank")).to_be_visible()
    fits(page)
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("status")).to_contain_text("You have denied it")
    polled = httpx2.post(
        f"{issuer.url}/token", data={"grant_type": CIBA, "auth_req_id": asked["auth_req_id"]}, auth=auth
    )
    assert polled.json()["error"] == "access_denied"
