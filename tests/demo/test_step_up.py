"""RFC 9470: the running demo's payment method, which a token of one proof does not change."""

import re
from html import unescape

import httpx2
import pytest

from carnet.ambient import SYSTEM
from carnet.oauth.acr import TWO_FACTORS
from carnet.testing.authenticator import Authenticator
from carnet.testing.http_browser import HttpBrowser

IBAN = "NL00 WIND 0000 0020 07"


@pytest.fixture
def ben(demo):
    """Somebody without a second factor: neither before nor after."""
    account = demo.account(admin=False)
    yield account
    demo.command("user", "reset-factors", account["email"])


@pytest.fixture
def browser(demo, ben):
    """In which Ben has signed in to the shop."""
    with HttpBrowser() as browser:
        browser.open(demo.urls["shop"] + "/auth/login")
        browser.submit(to="/login", email=ben["email"], password=ben["password"])
        yield browser


def put(demo, token: str, **body) -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}"}
    return httpx2.put(demo.urls["order"] + "/payment-method", headers=headers, json=body, trust_env=False)


@pytest.mark.spec("RFC 9470", "3", "MUST")
def test_the_service_refuses_a_token_of_one_proof_and_says_what_it_wants(demo, user_tokens):
    refused = put(demo, user_tokens["access_token"], holder="Mallory", iban=IBAN)
    assert refused.status_code == 401
    assert refused.json()["error"] == "insufficient_user_authentication"
    challenge = refused.headers["www-authenticate"]
    assert f'acr_values="{TWO_FACTORS}"' in challenge
    assert 'max_age="300"' in challenge


def test_who_may_not_do_it_at_all_is_not_asked_for_another_proof(demo):
    assert put(demo, "x", holder="Mallory", iban=IBAN).json()["error"] == "invalid_token"


def test_the_shop_sends_to_the_issuer_keeps_what_was_typed_and_changes_it_after_that(demo, browser):
    shop, issuer = demo.urls["shop"], demo.urls["issuer"]
    browser.open(f"{shop}/payment")
    page = browser.submit(to="/payment", holder="Benedict Okafor", iban=IBAN)
    assert str(page.url).startswith(f"{issuer}/account/second-factor?flow=")
    assert "WIND" not in "".join(str(one.url) for one in (*page.history, page))
    phone = Authenticator.reading(page.text)
    done = browser.submit(to="/account/second-factor", code=phone.code(SYSTEM.now()))
    onward = re.search(r'class="button main" href="([^"]+)"', done.text)
    assert onward
    back = browser.open(unescape(onward[1]))
    assert str(back.url) == f"{shop}/payment"
    form = next(form for form in browser.forms if form.action == "/payment")
    assert (form.fields["holder"], form.fields["iban"]) == ("Benedict Okafor", IBAN)
    saved = browser.submit(to="/payment")
    assert "The payment method is changed." in saved.text
    assert "•••• 2007" in saved.text
    assert "windrose_draft" not in browser.cookies


def test_the_draft_is_sealed_and_is_nobody_elses(demo, browser):
    shop = demo.urls["shop"]
    browser.open(f"{shop}/payment")
    browser.submit(to="/payment", holder="Benedict Okafor", iban=IBAN)
    draft = browser.cookies["windrose_draft"]
    assert "Benedict" not in draft
    ada = demo.account(admin=True)
    with HttpBrowser() as hers:
        hers.open(f"{shop}/auth/login")
        hers.submit(to="/login", email=ada["email"], password=ada["password"])
        hers.cookies.set("windrose_draft", draft, domain="127.0.0.1", path="/payment")
        assert "Benedict" not in hers.open(f"{shop}/payment").text


def test_what_is_no_account_number_is_refused_in_words(demo, browser):
    """After the proof: what is typed wrong stays to be mended."""
    shop = demo.urls["shop"]
    browser.open(f"{shop}/payment")
    page = browser.submit(to="/payment", holder="Ben", iban="not one")
    phone = Authenticator.reading(page.text)
    browser.submit(to="/account/second-factor", code=phone.code(SYSTEM.now()))
    browser.open(f"{shop}/auth/login?return_to=/payment&acr_values={TWO_FACTORS}&max_age=300")
    refused = browser.submit(to="/payment")
    assert refused.status_code == 409
    assert "This is not an account number" in refused.text
    assert 'value="not one"' in refused.text
