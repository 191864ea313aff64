"""RFC 9470 as people see it: something that needs a second proof, setting that up on the way, and back to what was typed."""

import pytest
from playwright.sync_api import expect

from carnet.ambient import SYSTEM
from carnet.testing.authenticator import Authenticator

TYPED = "NL00 WIND 0000 0020 07"


@pytest.fixture
def ben(demo):
    """Ben, who has no second factor: neither before nor after."""
    account = next(account for account in demo.accounts if account["email"].startswith("ben"))
    yield account
    demo.command("user", "reset-factors", account["email"])


def fill_in(page, iban: str) -> None:
    page.get_by_label("IBAN").fill(iban)
    page.get_by_role("button", name="Change payment method").click()


def test_a_second_proof_is_set_up_on_the_way_and_what_was_typed_is_kept(demo, shop, page, sign_in, ben, photograph):
    sign_in(page, "ben")
    page.get_by_role("link", name="Go to your orders").click()
    page.get_by_role("link", name="Payment method").click()
    photograph(page, "shop-payment")
    page.get_by_label("Account holder").fill("Benedict Okafor")
    fill_in(page, TYPED)

    # The Order service wants a second proof; Ben has none yet.
    expect(page.get_by_role("heading", level=1)).to_have_text("Set up a second factor")
    expect(page.get_by_text("Windrose Supply asks for a second proof")).to_be_visible()
    assert page.url.startswith(demo.urls["issuer"])
    photograph(page, "second-factor-set-up")
    phone = Authenticator.reading(page.content())
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not the app's code.")
    photograph(page, "second-factor-wrong-code")
    page.get_by_label("Code").fill(phone.code(SYSTEM.now()))
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Keep these recovery codes")
    photograph(page, "second-factor-recovery-codes")
    recovery = page.locator(".recovery-codes code").all_inner_texts()
    assert len(recovery) == 10
    page.get_by_role("link", name="I have kept them, back to Windrose Supply").click()

    # Back at the form, as it was left.
    page.wait_for_url(f"{shop}/payment")
    expect(page.get_by_label("Account holder")).to_have_value("Benedict Okafor")
    expect(page.get_by_label("IBAN")).to_have_value(TYPED)
    photograph(page, "shop-payment-after-step-up")
    page.get_by_role("button", name="Change payment method").click()
    expect(page.get_by_role("status")).to_have_text("The payment method is changed.")
    expect(page.get_by_text("•••• 2007")).to_be_visible()

    # From now on signing in asks for both, and changing it again right after that for nothing more.
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in").first.click()
    page.get_by_label("Email address").fill(ben["email"])
    page.get_by_label("Password").fill(ben["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Enter your code")
    photograph(page, "second-proof")
    page.get_by_label("Code", exact=True).fill(phone.code(SYSTEM.now(), steps=-1))
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("alert")).to_contain_text("has been used")
    photograph(page, "second-proof-refused")
    page.get_by_text("I do not have the app at hand").click()
    page.get_by_label("Recovery code").fill(recovery[0])
    photograph(page, "second-proof-recovery")
    page.get_by_role("button", name="Use the recovery code").click()
    page.wait_for_url(f"{shop}/")
    page.goto(f"{shop}/payment")
    fill_in(page, "not an account")
    expect(page.get_by_role("status")).to_contain_text("This is not an account number")
    fill_in(page, "NL00 WIND 0000 0030 08")
    expect(page.get_by_text("•••• 3008")).to_be_visible()


def test_who_does_not_want_a_second_proof_comes_back_and_nothing_is_changed(shop, page, sign_in, ben, photograph):
    sign_in(page, "ben")
    page.goto(f"{shop}/payment")
    before = page.locator(".facts code").inner_text()
    fill_in(page, TYPED)
    page.get_by_role("button", name="Back to Windrose Supply without it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Not without a second proof.")
    photograph(page, "shop-not-without")
    page.get_by_role("link", name="Back", exact=True).click()
    expect(page.get_by_label("IBAN")).to_have_value(TYPED)
    assert page.locator(".facts code").inner_text() == before


def test_the_second_factor_is_changed_on_the_account_page(demo, page, sign_in, ben, photograph):
    sign_in(page, "ben")
    page.goto(f"{demo.urls['issuer']}/account")
    photograph(page, "account-without-second-factor")
    page.get_by_role("link", name="Set it up").click()
    phone = Authenticator.reading(page.content())
    page.get_by_label("Code").fill(phone.code(SYSTEM.now()))
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("Recovery codes left: 10")).to_be_visible()
    photograph(page, "account-with-second-factor")
    page.get_by_role("link", name="Change").click()
    photograph(page, "second-factor")
    page.get_by_role("button", name="Remove the second factor").click()
    expect(page.get_by_role("status")).to_contain_text("The second factor has been removed.")
