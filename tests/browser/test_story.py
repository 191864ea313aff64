"""The demo as people see it, in a real browser: sign in, be refused, be let in, be refreshed, be demoted, sign out."""

import re

import pytest
from playwright.sync_api import Page, expect

TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
PAGES = ("/", "/orders", "/stock", "/invoices", "/admin", "/token")


def go(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Shop").get_by_role("link", name=name, exact=True).click()


def issued(page: Page) -> str:
    return page.locator("[data-papers]").get_attribute("data-issued") or ""


def refreshed(page: Page) -> int:
    """How often the page says that the token was refreshed."""
    said = re.search(r"Refreshed\s+(\d+)\s+times?", page.locator(".papers").inner_text())
    assert said
    return int(said[1])


def wait_for_refresh(page: Page, before: str) -> None:
    page.wait_for_function("before => document.querySelector('[data-papers]').dataset.issued !== before", arg=before)


def test_a_user_sees_their_orders_and_places_one(page, sign_in, shop, photograph):
    page.goto(shop)
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing leaves this quay without its papers.")
    photograph(page, "shop-signed-out")
    sign_in(page, "ben")
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome aboard, Ben Okafor.")
    photograph(page, "shop-home")
    go(page, "Orders")
    rows = page.get_by_role("row")
    before = rows.count()
    page.get_by_label("Goods").select_option("LAMP-BR")
    page.get_by_label("Quantity").fill("2")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("status")).to_contain_text("is placed")
    expect(rows).to_have_count(before + 1)
    expect(rows.nth(1)).to_contain_text("2 × Brass storm lamp")
    photograph(page, "shop-orders")
    go(page, "Invoices")
    expect(page.get_by_role("row").nth(1)).to_contain_text("158.00")
    photograph(page, "shop-invoices")
    go(page, "Stock")
    expect(page.get_by_role("row", name="Brass storm lamp")).to_contain_text("10")
    photograph(page, "shop-stock")
    go(page, "Home")
    expect(page.get_by_text("2 x Brass storm lamp")).to_be_visible()


def test_what_is_sold_out_or_too_much_is_refused_in_words(page, sign_in, photograph):
    sign_in(page, "ben")
    go(page, "Orders")
    page.get_by_label("Goods").select_option("COAT-YL")
    page.get_by_label("Quantity").fill("20")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("status")).to_have_text("There are only 7 of Oilskin coat, yellow.")
    photograph(page, "shop-orders-refused")


def test_a_user_is_refused_where_an_admin_is_asked_for(page, sign_in, photograph):
    sign_in(page, "ben")
    with page.expect_response("**/admin") as answer:
        go(page, "Admin")
    assert answer.value.status == 403
    expect(page.get_by_role("heading", level=1)).to_have_text("This door opens for the role ADMIN alone.")
    expect(page.get_by_text("GET /orders/all")).to_be_visible()
    expect(page.get_by_text("403 insufficient_scope")).to_be_visible()
    expect(page.locator("[data-live]").get_by_text("USER", exact=True)).to_be_visible()
    photograph(page, "shop-refused")


def test_an_admin_is_let_in_and_corrects_the_stock(page, sign_in, photograph):
    sign_in(page, "ada")
    go(page, "Admin")
    expect(page.get_by_role("heading", level=1)).to_have_text("The officers’ deck")
    expect(page.get_by_role("cell", name="Ben Okafor").first).to_be_visible()
    page.get_by_label("Goods").select_option("BELL-06")
    page.get_by_label("Counted").fill("5")
    page.get_by_role("button", name="Correct").click()
    expect(page.get_by_role("status")).to_have_text("Brass bell, 6 inches: 5 are there now.")
    photograph(page, "shop-admin")


def test_the_token_is_shown_in_three_parts_with_each_claim_explained(page, sign_in, photograph):
    sign_in(page, "ben")
    go(page, "Token")
    for name in ("alg", "kid", "typ", "iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "roles"):
        expect(page.locator(".claims dt").get_by_text(name, exact=True)).to_be_visible()
    assert not [meaning for meaning in page.locator(".claims .meaning").all_inner_texts() if not meaning.strip()]
    colours = page.locator(".token span:not(.dot)").evaluate_all(
        "parts => parts.map(part => getComputedStyle(part).color)"
    )
    assert len(set(colours)) == 3
    assert set(page.locator(".token .part-signature").inner_text()) == {"•"}
    photograph(page, "shop-token")


def test_the_lifetime_ticks_down_and_the_token_is_refreshed_without_being_noticed(page, sign_in, photograph):
    sign_in(page, "ben")
    go(page, "Orders")
    page.get_by_label("Quantity").fill("7")
    address, before, count = page.url, issued(page), refreshed(page)
    left = page.locator(".papers [data-left]")
    first = left.inner_text()
    expect(left).not_to_have_text(first)
    wait_for_refresh(page, before)
    assert refreshed(page) > count
    assert page.url == address
    assert page.get_by_label("Quantity").input_value() == "7", "a half-filled form stays"
    before, count = issued(page), refreshed(page)
    wait_for_refresh(page, before)
    assert refreshed(page) > count
    go(page, "Token")
    expect(page.locator("main")).to_contain_text("without you noticing")
    assert refreshed(page) > 1


def test_a_demotion_by_an_admin_is_seen_at_the_next_refresh(page, new_browser, sign_in, shop, demo, photograph):
    sign_in(page, "cleo")
    go(page, "Admin")
    expect(page.get_by_role("heading", level=1)).to_have_text("The officers’ deck")
    office = new_browser().new_page()
    sign_in(office, "ada")
    office.get_by_role("link", name="People and roles").click()
    photograph(office, "issuer-people")
    office.get_by_role("link", name="cleo@windrose.example").click()
    office.get_by_role("textbox", name="Roles").fill("USER")
    photograph(office, "issuer-person")
    office.get_by_role("button", name=re.compile("roles", re.IGNORECASE)).click()
    expect(office.get_by_role("status")).to_be_visible()
    try:
        wait_for_refresh(page, issued(page))
        expect(page.locator("[data-who] .role")).to_have_text(["USER"])
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("This door opens for the role ADMIN alone.")
    finally:
        demo.command("user", "set-roles", "cleo@windrose.example", "ADMIN", "USER")


def test_signing_out_ends_the_session_here_and_at_the_issuer(page, sign_in, shop, demo, photograph):
    sign_in(page, "ben")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(demo.urls["issuer"] + "/**")
    photograph(page, "issuer-sign-out")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(shop + "/")
    expect(page.get_by_role("link", name="Sign in").first).to_be_visible()
    page.goto(shop + "/orders")
    expect(page).to_have_url(re.compile(re.escape(demo.urls["issuer"]) + "/login"))


def test_a_session_that_is_ended_elsewhere_ends_here_too(page, sign_in, shop, demo):
    sign_in(page, "ben")
    demo.command("user", "sign-out", "ben@windrose.example")
    expect(page.get_by_role("link", name="Sign in").first).to_be_visible(timeout=15_000)


def test_no_token_is_within_the_reach_of_scripts(page, sign_in, shop):
    bodies: list[str] = []
    page.on(
        "response", lambda answer: bodies.append(answer.text()) if answer.url.startswith(shop) and answer.ok else None
    )
    sign_in(page, "ada")
    for path in (*PAGES, "/auth/session"):
        page.goto(shop + path)
        assert page.evaluate("document.cookie") == ""
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0
        assert not TOKEN.search(page.evaluate("document.documentElement.outerHTML"))
        assert not TOKEN.search(page.evaluate("document.documentElement.textContent"))
    assert len(bodies) > len(PAGES)
    assert not [body for body in bodies if TOKEN.search(body)]
    for cookie in page.context.cookies():
        assert cookie["httpOnly"]
        assert cookie["sameSite"] in {"Lax", "Strict"}
        assert not TOKEN.search(cookie["value"])


def test_a_form_of_another_site_is_not_taken(page, new_browser, sign_in, shop):
    sign_in(page, "ben")
    page.goto(shop + "/orders")
    before = page.get_by_role("row").count()
    page.route(
        "https://elsewhere.example/",
        lambda route: route.fulfill(
            content_type="text/html",
            body=(
                f'<form method="post" action="{shop}/orders"><input name="sku" value="ROPE-20">'
                '<input name="quantity" value="1"></form>'
            ),
        ),
    )
    page.goto("https://elsewhere.example/")
    with page.expect_response(shop + "/orders") as answer:
        page.evaluate("document.forms[0].submit()")
    assert answer.value.status in {303, 403}
    page.goto(shop + "/orders")
    expect(page.get_by_role("row")).to_have_count(before)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_third_party_app_asks_for_consent(page, sign_in, demo, photograph, allowed):
    callback = "https://parcel-radar.example/callback"
    client = demo.command(
        *("client", "create", "Parcel Radar", "--redirect-uri", callback),
        *("--scope", "openid", "--scope", "email", "--scope", "orders:read", "--audience", "orders"),
    )
    sign_in(page, "ben")
    page.route("https://parcel-radar.example/**", lambda route: route.fulfill(body="Back at the app."))
    page.goto(
        f"{demo.urls['issuer']}/authorize?response_type=code&client_id={client['client_id']}&redirect_uri={callback}"
        "&scope=openid+email+orders:read&state=s&code_challenge_method=S256"
        "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )
    expect(page.get_by_text("Parcel Radar").first).to_be_visible()
    photograph(page, "issuer-consent")
    page.get_by_role("button", name="Allow" if allowed else "Cancel").click()
    page.wait_for_url(callback + "**")
    assert ("code=" in page.url) == allowed
    assert ("error=access_denied" in page.url) != allowed
    assert "state=s" in page.url


def test_without_javascript_everything_but_the_ticking_works(new_browser, sign_in, shop, photograph):
    page = new_browser(java_script_enabled=False).new_page()
    page.goto(shop + "/orders")
    photograph(page, "issuer-sign-in")
    page.get_by_label("Email address").fill("ben@windrose.example")
    page.get_by_label("Password").fill("not the right password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").or_(page.locator(".error")).first).to_be_visible()
    photograph(page, "issuer-sign-in-refused")
    page.context.clear_cookies()
    sign_in(page, "ben")
    go(page, "Orders")
    page.get_by_label("Goods").select_option("KNIF-RG")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("status")).to_contain_text("is placed")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(shop + "/")


def test_an_address_that_is_not_there_gets_a_page(page, sign_in, shop, photograph):
    sign_in(page, "ben")
    page.goto(shop + "/nowhere")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here.")
    photograph(page, "shop-nothing")
