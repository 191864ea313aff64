"""OpenID Connect Core section 3.1.2.3, rules O9 to O15: the sign-in page."""

from html import unescape

import httpx2
import pytest

from carnet.issuer.accounts import people
from carnet.issuer.app import create_app
from carnet.issuer.config import Config
from carnet.issuer.login import throttle
from carnet.issuer.login.throttle import ACCOUNT, ACCOUNT_DAILY, ADDRESS, KNOWN_BROWSER
from carnet.issuer.passwords import Cost, Passwords, PasswordsBusyError
from carnet.testing import Clock

from .conftest import ISSUER, PASSWORD, Issuer, fields

pytestmark = pytest.mark.anyio

EMAIL = "ann@example.com"


def stranger(issuer: Issuer, address: str = "192.0.2.1") -> httpx2.AsyncClient:
    """Another browser, without any cookie."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(issuer.app, client=(address, 1)), base_url=ISSUER)


async def attempt(http: httpx2.AsyncClient, email: str = EMAIL, password: str = "wrong") -> httpx2.Response:
    page = await http.get("/login")
    if page.is_redirect:
        http.cookies.delete("carnet_session")
        page = await http.get("/login")
    given = fields(page) | {"email": email, "password": password}
    return await http.post("/login", data=given, headers={"Origin": ISSUER})


@pytest.fixture
def quick(issuer, monkeypatch):
    """Passwords are right or wrong without being hashed, where a test needs thousands."""

    async def verify(password, stored):
        return stored is not None and password == PASSWORD

    monkeypatch.setattr(issuer.desk.passwords, "verify", verify)
    return issuer


async def test_the_right_password_makes_a_session_and_leads_to_the_account(issuer):
    account = await issuer.person()
    answer = await attempt(issuer.http, password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{ISSUER}/account")
    (session,) = await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.now())
    assert (session.amr, session.auth_time) == (("pwd",), issuer.clock.now())
    assert "sign_in.succeeded" in await issuer.events()


async def test_the_email_address_is_looked_up_without_regard_to_case_and_spaces(issuer):
    await issuer.person()
    assert (await attempt(issuer.http, email="  Ann@EXAMPLE.com ", password=PASSWORD)).status_code == 303


async def test_no_session_exists_before_the_proof_is_complete(issuer):
    await issuer.person()
    answer = await attempt(issuer.http)
    assert "carnet_session" not in issuer.http.cookies
    assert answer.status_code == 403


async def test_unknown_wrong_disabled_and_invited_look_the_same(issuer):
    await issuer.person()
    shut = await issuer.person("shut@example.com")
    await people.disable(issuer.desk, shut.subject, by=people.CLI)
    await issuer.person("new@example.com", password=None)
    answers = []
    for email, password in (
        (EMAIL, "wrong"),
        ("nobody@example.com", "wrong"),
        ("shut@example.com", PASSWORD),
        ("new@example.com", "wrong"),
    ):
        async with stranger(issuer) as http:
            answer = await attempt(http, email, password)
        csrf = fields(answer)["csrf"]
        page = answer.text.replace(csrf, "").replace(email, "")
        answers.append((answer.status_code, page, sorted(set(answer.headers) - {"content-length"})))
    assert len(set(map(repr, answers))) == 1
    assert "The email address or the password is not right." in unescape(answers[0][1])


async def test_an_unknown_account_costs_the_same_hash(issuer, monkeypatch):
    await issuer.person()
    costs = []
    verify = issuer.desk.passwords.verify

    async def counted(password, stored):
        costs.append(stored.phc.split("$")[3] if stored else issuer.desk.passwords._nobodys.phc.split("$")[3])
        return await verify(password, stored)

    monkeypatch.setattr(issuer.desk.passwords, "verify", counted)
    await attempt(issuer.http)
    await attempt(issuer.http, "nobody@example.com")
    assert len(costs) == 2
    assert costs[0] == costs[1]


async def test_a_password_is_hashed_anew_at_todays_cost_when_it_is_next_used(issuer):
    account = await issuer.person()
    costlier = Passwords(issuer.clock.ambient, cost=Cost(memory=128, passes=1, lanes=1))
    object.__setattr__(issuer.desk, "passwords", costlier)
    assert (await attempt(issuer.http, password=PASSWORD)).status_code == 303
    stored = (await issuer.desk.store.accounts.get(account.subject)).password
    assert "m=128,t=1,p=1" in stored.phc
    assert await costlier.verify(PASSWORD, stored)


async def test_each_sign_in_has_a_new_session_and_ends_the_one_before(issuer):
    account = await issuer.sign_in()
    first = issuer.http.cookies["carnet_session"]
    (before,) = await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.now())
    issuer.clock.advance(16 * 60)
    await people.set_roles(issuer.desk, account.subject, ["ADMIN"], by=people.CLI)
    again = await issuer.http.get("/admin/people/invite")
    await issuer.enter(again)
    assert issuer.http.cookies["carnet_session"] != first
    (after,) = await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.now())
    assert after.sid != before.sid
    async with stranger(issuer) as http:
        http.cookies.set("carnet_session", first)
        assert (await http.get("/account")).status_code == 303


async def test_signing_in_as_somebody_else_ends_the_other_persons_session_with_what_its_apps_hold(issuer):
    app = await issuer.register()
    ann = await issuer.sign_in()
    tokens = await app.tokens()
    page = await issuer.http.get((await app.authorize(prompt="login")).headers["location"])
    await issuer.person("bob@example.com")
    await issuer.enter(page, "bob@example.com")
    assert await issuer.desk.store.sessions.of(ann.subject, at=issuer.clock.now()) == []
    assert (await app.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_proof_that_is_older_than_a_sign_out_everywhere_starts_no_session(issuer, monkeypatch):
    account = await issuer.person()
    verify = issuer.desk.passwords.verify

    async def overtaken(password, stored):
        proved = await verify(password, stored)
        await people.set_password(issuer.desk, account.subject, "another lantern on the quay", by=people.CLI)
        return proved

    monkeypatch.setattr(issuer.desk.passwords, "verify", overtaken)
    answer = await attempt(issuer.http, password=PASSWORD)
    assert answer.status_code == 403
    assert "carnet_session" not in issuer.http.cookies
    assert await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.now()) == []


async def test_a_session_id_that_somebody_planted_is_not_taken(issuer):
    await issuer.person()
    issuer.http.cookies.set("carnet_session", "A" * 43)
    await attempt(issuer.http, password=PASSWORD)
    values = {cookie.value for cookie in issuer.http.cookies.jar if cookie.name == "carnet_session"}
    assert values - {"A" * 43}
    async with stranger(issuer) as http:
        http.cookies.set("carnet_session", "A" * 43)
        assert (await http.get("/account")).status_code == 303


async def test_an_account_that_is_guessed_at_is_throttled_with_429_and_retry_after(issuer):
    await issuer.person()
    for n in range(ACCOUNT.tries):
        async with stranger(issuer, f"192.0.2.{n}") as http:
            assert (await attempt(http)).status_code == 403
    async with stranger(issuer, "192.0.2.200") as http:
        answer = await attempt(http, password=PASSWORD)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, str(ACCOUNT.window))
    issuer.clock.advance(ACCOUNT.window)
    async with stranger(issuer) as http:
        assert (await attempt(http, password=PASSWORD)).status_code == 303


async def test_an_account_that_does_not_exist_is_throttled_like_one_that_does(issuer):
    for n in range(ACCOUNT.tries):
        async with stranger(issuer, f"192.0.2.{n}") as http:
            await attempt(http, "nobody@example.com")
    async with stranger(issuer, "192.0.2.200") as http:
        assert (await attempt(http, "Nobody@example.com")).status_code == 429


async def test_an_owner_is_not_locked_out_of_a_browser_that_they_have_used(quick):
    await quick.sign_in()
    quick.http.cookies.delete("carnet_session")
    for n in range(60):
        async with stranger(quick, f"2001:db8:{n:x}::1") as http:
            await attempt(http)
    async with stranger(quick, "192.0.2.9") as http:
        assert (await attempt(http, password=PASSWORD)).status_code == 429
    for _ in range(20):
        assert (await attempt(quick.http, password=PASSWORD)).status_code == 303


async def test_a_guesser_has_at_most_a_hundred_tries_a_day_from_however_many_addresses(quick):
    await quick.person()
    looked_at = 0
    for n in range(130):
        async with stranger(quick, f"198.51.100.{n}") as http:
            looked_at += (await attempt(http)).status_code == 403
        quick.clock.advance(280)
    assert looked_at == ACCOUNT_DAILY.tries


async def test_a_known_browser_has_tries_of_its_own_and_no_more(quick):
    await quick.sign_in()
    quick.http.cookies.delete("carnet_session")
    tries = 0
    while (await attempt(quick.http)).status_code == 403:
        tries += 1
    assert tries == KNOWN_BROWSER.tries + ACCOUNT.tries


async def test_whoever_gets_in_counts_for_nothing_however_many_come_from_one_address(quick):
    await quick.person()
    for _ in range(ADDRESS.tries + ACCOUNT.tries):
        async with stranger(quick) as http:
            assert (await attempt(http, password=PASSWORD)).status_code == 303


async def test_an_owner_who_gets_in_takes_none_of_a_guessers_tries_back(quick):
    await quick.person()
    for n in range(ACCOUNT.tries):
        async with stranger(quick, f"192.0.2.{n}") as http:
            assert (await attempt(http)).status_code == 403
        if n < ACCOUNT.tries - 1:
            async with stranger(quick, "192.0.2.200") as http:
                assert (await attempt(http, password=PASSWORD)).status_code == 303
    async with stranger(quick, "192.0.2.201") as http:
        assert (await attempt(http)).status_code == 429


async def test_a_browser_that_knows_one_account_is_a_stranger_to_the_others(quick):
    await quick.sign_in()
    await quick.person("bob@example.com")
    for n in range(ACCOUNT.tries):
        async with stranger(quick, f"192.0.2.{n}") as http:
            await attempt(http, "bob@example.com")
    assert (await attempt(quick.http, "bob@example.com", PASSWORD)).status_code == 429


async def test_a_device_cookie_that_was_altered_is_worth_nothing(quick):
    await quick.sign_in()
    value = quick.http.cookies["carnet_device"]
    for n in range(ACCOUNT.tries):
        async with stranger(quick, f"192.0.2.{n}") as http:
            await attempt(http)
    async with stranger(quick, "192.0.2.200") as http:
        http.cookies.set("carnet_device", value[:-2] + ("AA" if value[-2:] != "AA" else "BB"))
        assert (await attempt(http, password=PASSWORD)).status_code == 429
    async with stranger(quick, "192.0.2.200") as http:
        http.cookies.set("carnet_device", value)
        assert (await attempt(http, password=PASSWORD)).status_code == 303


async def test_an_address_is_throttled_over_all_accounts_and_ipv6_by_its_64(quick):
    for n in range(ADDRESS.tries):
        async with stranger(quick, f"2001:db8:0:1::{n:x}") as http:
            assert (await attempt(http, f"person{n}@example.com")).status_code == 403
    async with stranger(quick, "2001:db8:0:1:ffff::1") as http:
        answer = await attempt(http, "another@example.com")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, str(ADDRESS.window))
    async with stranger(quick, "2001:db8:0:2::1") as http:
        assert (await attempt(http, "another@example.com")).status_code == 403


async def test_there_is_a_limit_over_all_accounts_and_addresses(quick, monkeypatch):
    monkeypatch.setattr(throttle, "EVERYWHERE", throttle.Limit(5, 60))
    for n in range(5):
        async with stranger(quick, f"192.0.2.{n}") as http:
            assert (await attempt(http, f"person{n}@example.com")).status_code == 403
    async with stranger(quick, "192.0.2.9") as http:
        assert (await attempt(http, "another@example.com")).status_code == 429


async def test_more_sign_ins_than_can_be_checked_get_503_and_retry_after(issuer, monkeypatch):
    await issuer.person()

    async def busy(password, stored):
        raise PasswordsBusyError

    monkeypatch.setattr(issuer.desk.passwords, "verify", busy)
    answer = await attempt(issuer.http, password=PASSWORD)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_a_failed_sign_in_is_noted_without_what_was_typed(issuer):
    await issuer.person()
    await attempt(issuer.http, EMAIL, "canary-password")
    await attempt(issuer.http, "canary-email@example.com", "canary-password")
    events = [event for _, event in await issuer.desk.store.events.list() if event.name == "sign_in.failed"]
    assert len(events) == 2
    assert "canary" not in repr(events)
    assert events[0].address == "127.0.0.1"


@pytest.mark.parametrize(
    ("given", "sentence"), [({"email": ""}, "Enter your email"), ({"password": ""}, "Enter your password")]
)
async def test_what_is_missing_is_asked_for_beside_its_field(issuer, given, sentence):
    page = await issuer.http.get("/login")
    filled = fields(page) | {"email": EMAIL, "password": "x"} | given
    answer = await issuer.submit("/login", filled)
    assert answer.status_code == 403
    assert sentence in answer.text
    name = next(iter(given))
    assert f'aria-describedby="{name}-error"' in answer.text
    assert f'id="{name}-error" role="alert"' in answer.text


async def test_a_sign_in_for_an_app_goes_back_to_the_request_and_says_whose_it_is(issuer):
    app = await issuer.register(client_name="Order <i>Desk</i>")
    await issuer.person()
    redirect = await app.authorize(login_hint=EMAIL)
    page = await issuer.follow(redirect)
    assert "to continue to <b>Order &lt;i&gt;Desk&lt;/i&gt;</b>" in page.text
    assert f'value="{EMAIL}"' in page.text
    assert "form-action 'self' https:;" in page.headers["content-security-policy"]
    onward = await issuer.enter(page)
    assert onward.headers["location"].startswith(f"{ISSUER}/authorize?flow=")
    assert "code" in app.query(await issuer.follow(onward))


async def test_a_flow_that_is_another_browsers_is_refused(issuer):
    app = await issuer.register()
    redirect = await app.authorize()
    async with stranger(issuer) as http:
        answer = await http.get(redirect.headers["location"])
    assert (answer.status_code, "stale_flow" in answer.text) == (400, True)


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "/admin", "AAAA", "A" * 80])
async def test_no_parameter_can_say_where_a_sign_in_leads(issuer, back):
    await issuer.person()
    page = await issuer.http.get("/login", params={"back": back, "next": back, "return_to": back})
    answer = await issuer.enter(page)
    assert answer.headers["location"] == f"{ISSUER}/account"


async def test_the_way_back_is_only_good_in_the_browser_that_it_was_made_for(issuer):
    await issuer.person()
    link = (await issuer.http.get("/admin/keys")).headers["location"]
    async with stranger(issuer) as http:
        page = await http.get(link)
        given = fields(page) | {"email": EMAIL, "password": PASSWORD}
        answer = await http.post("/login", data=given, headers={"Origin": ISSUER})
    assert answer.headers["location"] == f"{ISSUER}/account"
    assert (await issuer.enter(await issuer.http.get(link))).headers["location"] == f"{ISSUER}/admin/keys"


async def test_the_way_back_lapses(issuer):
    await issuer.person()
    link = (await issuer.http.get("/admin/keys")).headers["location"]
    issuer.clock.advance(1800)
    assert (await issuer.enter(await issuer.http.get(link))).headers["location"] == f"{ISSUER}/account"


async def test_who_is_signed_in_is_led_on_from_the_sign_in_page(issuer):
    await issuer.sign_in()
    answer = await issuer.http.get("/login")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{ISSUER}/account")


async def test_under_a_path_all_links_and_redirects_stand_under_it(tmp_path):
    config = Config(issuer="http://127.0.0.1:8080/id", data=tmp_path)
    app = create_app(config, Clock().ambient, secret=b"s" * 43)
    transport = httpx2.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=ISSUER) as http:
        answer = await http.get("/id/account")
        assert answer.headers["location"].startswith("http://127.0.0.1:8080/id/login?back=")
        page = await http.get(answer.headers["location"])
        assert 'action="/id/login"' in page.text
        assert 'href="/id/assets/style.css?v=' in page.text
