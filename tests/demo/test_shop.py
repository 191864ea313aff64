"""Browser-based apps BCP section 6.1: what the running shop sends to browsers, and what it takes from them."""

import re

import httpx2
import pytest

from carnet.testing.http_browser import HttpBrowser

TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@pytest.fixture(scope="module")
def browser(demo):
    """A browser without JavaScript, in which a USER has signed in to the shop."""
    account = demo.account(admin=False)
    with HttpBrowser() as browser:
        browser.open(demo.urls["shop"] + "/auth/login")
        browser.submit(to="/login", email=account["email"], password=account["password"])
        yield browser


@pytest.fixture
def shop(demo) -> str:
    return demo.urls["shop"]


@pytest.mark.parametrize(
    "path", ["/", "/orders", "/payment", "/stock", "/invoices", "/admin", "/token", "/nowhere", "/auth/session"]
)
def test_every_answer_is_dressed_and_holds_no_token(browser, shop, path):
    page = browser.open(shop + path)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-store"
    assert not TOKEN.search(page.text)
    assert not TOKEN.search(re.sub(r"<[^>]*>", "", page.text))
    assert "refresh_token" not in page.text


def test_pages_hold_no_script_and_no_style_of_their_own(browser, shop):
    for path in ("/", "/orders", "/token"):
        page = browser.open(shop + path).text
        assert re.findall(r"<script[^>]*>", page) == ['<script src="/static/shop.js" defer>']
        assert "<style" not in page
        assert not re.search(r"\son\w+=|\sstyle=", page)


def test_the_sessions_cookie_is_out_of_reach_of_scripts_and_of_other_sites(browser):
    cookie = next(cookie for cookie in browser.cookies.jar if cookie.name == "windrose")
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "Lax"
    assert cookie.path == "/"
    assert not TOKEN.search(cookie.value)


@pytest.mark.parametrize("origin", ["https://attacker.example", "http://127.0.0.1:1", "null"])
@pytest.mark.parametrize("path", ["/", "/orders", "/auth/session", "/auth/logout"])
def test_no_other_origin_may_read_anything(browser, shop, origin, path):
    for method in ("OPTIONS", "GET"):
        headers = {"origin": origin, "access-control-request-method": "POST"}
        response = httpx2.request(method, shop + path, headers=headers, cookies=browser.cookies, trust_env=False)
        assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/orders", "/payment", "/admin/stock", "/auth/logout"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://attacker.example"},
        {"origin": "https://attacker.example", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "null"},
        {},
    ],
)
def test_a_form_of_another_site_is_refused_even_with_the_session_and_the_csrf_field(browser, shop, path, headers):
    browser.open(shop + "/orders")
    fields = {"csrf": browser.forms[0].fields["csrf"], "sku": "ROPE-20", "quantity": "1", "available": "1"}
    response = httpx2.post(shop + path, headers=headers, cookies=browser.cookies, data=fields, trust_env=False)
    assert response.status_code == 403
    assert "Sign out" in browser.open(shop + "/").text


@pytest.mark.parametrize("csrf", [None, "", "0" * 64])
def test_a_form_without_the_sessions_csrf_field_is_refused(browser, shop, csrf):
    fields = {"sku": "ROPE-20", "quantity": "1"} | ({} if csrf is None else {"csrf": csrf})
    headers = {"origin": shop, "sec-fetch-site": "same-origin"}
    response = httpx2.post(shop + "/orders", headers=headers, cookies=browser.cookies, data=fields, trust_env=False)
    assert response.status_code == 403
    assert "Nothing was changed" in response.text


def test_a_host_that_is_not_its_own_is_refused(shop):
    assert httpx2.get(shop, headers={"host": "attacker.example"}, trust_env=False).status_code == 400


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/"])
def test_nothing_but_the_static_files_is_served(shop, path):
    assert httpx2.get(shop + path, trust_env=False).status_code in {400, 404}


@pytest.mark.parametrize("cookie", ["", "1.AAAA", "1." + "A" * 500, "4.x", "9.x", "ø"])
def test_a_cookie_that_this_shop_has_not_sealed_is_nobodys(shop, cookie):
    response = httpx2.get(shop + "/orders", headers={"cookie": f"windrose={cookie}".encode()}, trust_env=False)
    assert response.status_code == 303
    assert response.headers["location"] == "/auth/login?return_to=/orders"


@pytest.mark.parametrize("target", ["https://attacker.example/", "//attacker.example", "/\\attacker.example"])
def test_signing_in_returns_to_the_shop_alone(browser, shop, target):
    """The browser is signed in at the issuer, so that it comes straight back."""
    page = browser.open(f"{shop}/auth/login?return_to={target}")
    assert str(page.url) == shop + "/"
