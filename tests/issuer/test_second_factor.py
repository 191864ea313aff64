"""RFC 6238, rules O9, O10, O12, O13 and R3: setting up a second factor, signing in with it, losing it."""

import asyncio
import re
from dataclasses import dataclass
from html import unescape

import httpx2
import pytest

from carnet.issuer.accounts import factors, people
from carnet.issuer.accounts.errors import ContentionError
from carnet.issuer.freshness import FRESH
from carnet.issuer.login import throttle, ticket
from carnet.issuer.storage.records import Account
from carnet.oauth.acr import ONE_FACTOR, TWO_FACTORS
from carnet.testing.authenticator import Authenticator

from .conftest import ISSUER, PASSWORD, Issuer, fields

pytestmark = pytest.mark.anyio

PAGE = "/account/second-factor"


def field(page: httpx2.Response, name: str) -> str:
    return fields(page)[name]


def shown_codes(page: httpx2.Response) -> list[str]:
    return re.findall(r"<li><code>([a-z2-7-]+)</code></li>", page.text)


@dataclass
class Enrolled:
    """Ann, with an app on her phone and a list of recovery codes."""

    issuer: Issuer
    account: Account
    app: Authenticator
    recovery_codes: list[str]

    def code(self, steps: int = 0) -> str:
        return self.app.code(self.issuer.clock.now(), steps=steps)

    async def fresh_code(self) -> str:
        """One that was not used yet."""
        self.issuer.clock.advance(60)
        return self.code()

    async def half_way(self, http: httpx2.AsyncClient | None = None) -> httpx2.Response:
        """The page that asks for the code, after the right password; in a browser that is signed out."""
        http = http or self.issuer.http
        if "carnet_session" in http.cookies:
            http.cookies.delete("carnet_session")
        page = await http.get("/login")
        return await post(http, "/login", fields(page) | {"email": self.account.email, "password": PASSWORD})

    async def stored(self) -> Account:
        account = await self.issuer.desk.store.accounts.get(self.account.subject)
        assert account is not None
        return account


async def post(http: httpx2.AsyncClient, path: str, data: dict[str, str]) -> httpx2.Response:
    return await http.post(path, data=data, headers={"Origin": ISSUER})


async def give(http: httpx2.AsyncClient, page: httpx2.Response, code: str, **other: str) -> httpx2.Response:
    """Fill in the page that asks for the code."""
    return await post(http, "/login/second", fields(page) | {"method": "totp", "code": code} | other)


async def give_recovery(http: httpx2.AsyncClient, page: httpx2.Response, code: str) -> httpx2.Response:
    return await post(http, "/login/second", fields(page) | {"method": "recovery_code", "recovery_code": code})


def other_browser(issuer: Issuer) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(issuer.app), base_url=ISSUER)


async def set_up(issuer: Issuer) -> Enrolled:
    account = await issuer.sign_in()
    page = await issuer.http.get(PAGE)
    app = Authenticator.reading(page.text)
    done = await issuer.submit(PAGE, fields(page) | {"code": app.code(issuer.clock.now())})
    assert done.status_code == 200, done.text
    return Enrolled(issuer, account, app, shown_codes(done))


@pytest.fixture
async def ann(issuer) -> Enrolled:
    return await set_up(issuer)


async def sessions(issuer: Issuer, account: Account):
    return await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.now())


# Setting up


async def test_the_key_is_shown_as_a_picture_and_as_text_within_the_pages_policy(issuer):
    await issuer.sign_in()
    page = await issuer.http.get(PAGE)
    assert 'src="data:image/svg+xml' in page.text
    assert "img-src 'self' data:" in page.headers["content-security-policy"]
    assert "script-src" not in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert "otpauth://totp/127.0.0.1:ann@example.com?secret=" in unescape(page.text)


async def test_nothing_is_stored_before_the_first_code(issuer):
    account = await issuer.sign_in()
    page = await issuer.http.get(PAGE)
    wrong = await issuer.submit(PAGE, fields(page) | {"code": "000000"})
    assert wrong.status_code == 422
    assert Authenticator.reading(wrong.text).code(0) == Authenticator.reading(page.text).code(0), "the same key"
    assert (await issuer.desk.store.accounts.get(account.subject)).totp is None
    code = Authenticator.reading(page.text).code(issuer.clock.now())
    assert (await issuer.submit(PAGE, fields(wrong) | {"code": code})).status_code == 200


async def test_the_key_is_sealed_and_recovery_codes_are_kept_as_digests(ann):
    account = await ann.stored()
    raw = repr(account) + repr(account.totp.sealed) + repr(account.recovery_codes)
    assert ann.app._key not in account.totp.sealed
    assert repr(account.totp.sealed) not in repr(account)
    assert len(ann.recovery_codes) == len(set(ann.recovery_codes)) == len(account.recovery_codes) == 10
    assert not [code for code in ann.recovery_codes if code in raw or code.replace("-", "") in raw]


async def test_a_sealed_key_is_good_for_its_account_alone(ann, issuer):
    from msgspec.structs import replace

    from carnet.sealing import SealBrokenError

    bob = await issuer.person("bob@example.com")
    stolen = (await ann.stored()).totp
    await issuer.desk.store.accounts.replace(bob, replace(bob, totp=stolen))
    issuer.clock.advance(60)
    with pytest.raises(SealBrokenError):
        await factors.spend_code(issuer.desk, bob.subject, ann.code())


async def test_setting_up_makes_the_session_one_of_two_factors_with_a_new_id(issuer):
    account = await issuer.sign_in()
    (before,) = await sessions(issuer, account)
    assert (before.amr, before.acr) == (("pwd",), ONE_FACTOR)
    await set_up(issuer)
    passwords, after = sorted(await sessions(issuer, account), key=lambda session: session.acr == TWO_FACTORS)
    assert passwords == before, "of another browser, as it were"
    assert (after.amr, after.acr, after.auth_time) == (("pwd", "otp", "mfa"), TWO_FACTORS, issuer.clock.now())
    assert after.sid != before.sid
    assert "second_factor.enrolled" in await issuer.events()


async def test_setting_up_needs_a_fresh_proof(issuer):
    await issuer.sign_in()
    page = await issuer.http.get(PAGE)
    issuer.clock.advance(FRESH)
    code = Authenticator.reading(page.text).code(issuer.clock.now())
    answer = await issuer.submit(PAGE, fields(page) | {"code": code})
    assert answer.headers["location"].startswith(f"{ISSUER}/login?back=")
    again = await issuer.http.get(PAGE)
    back = await issuer.enter(again)
    assert back.headers["location"] == ISSUER + PAGE


async def test_an_enrolment_of_another_browser_or_session_is_refused(ann, issuer):
    await issuer.person("bob@example.com")
    async with other_browser(issuer) as http:
        page = await http.get("/login")
        await post(http, "/login", fields(page) | {"email": "bob@example.com", "password": PASSWORD})
        hers = await http.get(PAGE)
        foreign = fields(hers) | {"code": Authenticator.reading(hers.text).code(issuer.clock.now())}
    await issuer.person("cleo@example.com")
    await issuer.sign_in("cleo@example.com")
    mine = await issuer.http.get(PAGE)
    answer = await issuer.submit(PAGE, fields(mine) | {"enrolment": foreign["enrolment"], "code": foreign["code"]})
    assert answer.status_code == 403
    assert "stale_form" in answer.text


async def test_a_second_enrolment_does_not_take_the_place_of_the_first(issuer):
    """Two tabs: both show a key, and the first that is confirmed stands."""
    account = await issuer.sign_in()
    keys = [b"1" * 20, b"2" * 20]
    codes = [factors.totp.code_at(key, factors.totp.step_at(issuer.clock.now())) for key in keys]
    done = await asyncio.gather(
        *(
            factors.enrol(issuer.desk, account, key, code, by=people.Actor(account.subject))
            for key, code in zip(keys, codes, strict=True)
        ),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in done) == ["AlreadyEnrolledError", "Enrolled"]


async def test_a_sign_out_everywhere_ends_an_enrolment_that_is_under_way(issuer):
    """Whoever is thrown out cannot lock the owner out with a factor of their own."""
    account = await issuer.sign_in()
    await people.sign_out_everywhere(issuer.desk, account.subject, by=people.CLI)
    key = factors.new_key(issuer.desk)
    code = factors.totp.code_at(key, factors.totp.step_at(issuer.clock.now()))
    with pytest.raises(ContentionError):
        await factors.enrol(issuer.desk, account, key, code, by=people.Actor(account.subject))
    assert (await issuer.desk.store.accounts.get(account.subject)).totp is None


# Signing in


async def test_signing_in_asks_for_the_code_and_the_session_names_both_proofs(ann, issuer):
    code = await ann.fresh_code()
    page = await ann.half_way()
    assert page.status_code == 200
    answer = await give(issuer.http, page, code)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{ISSUER}/account")
    newest = (await sessions(issuer, ann.account))[0]
    assert (newest.amr, newest.acr, newest.auth_time) == (("pwd", "otp", "mfa"), TWO_FACTORS, issuer.clock.now())


@pytest.mark.spec("OpenID Connect Core", "2", "MUST")
async def test_tokens_say_how_strong_the_sign_in_was(ann, issuer, claims):
    app = await issuer.register()
    tokens = await app.tokens()
    for token in (tokens["access_token"], tokens["id_token"]):
        said = claims(token)
        assert (said["acr"], list(said["amr"])) == (TWO_FACTORS, ["pwd", "otp", "mfa"])


async def test_a_half_done_sign_in_gives_no_session_and_no_tokens(ann, issuer):
    """Rule O9: it is of another type than a session, and nothing takes it for one."""
    app = await issuer.register()
    before = await sessions(issuer, ann.account)
    page = await ann.half_way()
    assert "carnet_session" not in issuer.http.cookies
    assert [session.sid for session in await sessions(issuer, ann.account)] == [session.sid for session in before]
    assert (await app.authorize()).headers["location"].startswith(f"{ISSUER}/login?flow=")
    assert app.query(await app.authorize(prompt="none"))["error"] == "login_required"
    assert (await issuer.http.get("/account")).headers["location"].startswith(f"{ISSUER}/login")
    half = field(page, "ticket")
    for cookie in ("carnet_session", "carnet_browser"):
        async with other_browser(issuer) as http:
            http.cookies.set(cookie, half)
            assert (await http.get("/account")).status_code == 303
    refused = await app.redeem(half)
    assert refused.json()["error"] == "invalid_grant"


async def test_a_code_is_good_once(ann, issuer):
    code = await ann.fresh_code()
    assert (await give(issuer.http, await ann.half_way(), code)).status_code == 303
    again = await give(issuer.http, await ann.half_way(), code)
    assert again.status_code == 403
    assert "has been used" in again.text
    assert "second_factor.failed" in await issuer.events()


async def test_the_code_that_set_the_factor_up_is_spent(ann, issuer):
    assert (await give(issuer.http, await ann.half_way(), ann.code())).status_code == 403


@pytest.mark.parametrize(("steps", "status"), [(-2, 403), (-1, 303), (0, 303), (1, 303), (2, 403)])
async def test_the_neighbours_of_the_present_code_are_accepted_and_no_others(ann, issuer, steps, status):
    issuer.clock.advance(300)
    assert (await give(issuer.http, await ann.half_way(), ann.code(steps))).status_code == status


async def test_an_older_code_is_refused_after_a_newer_one(ann, issuer):
    issuer.clock.advance(300)
    assert (await give(issuer.http, await ann.half_way(), ann.code(1))).status_code == 303
    for steps in (-1, 0, 1):
        assert (await give(issuer.http, await ann.half_way(), ann.code(steps))).status_code == 403


async def test_of_many_uses_of_one_code_at_once_one_wins(ann, issuer):
    code = await ann.fresh_code()
    uses = [factors.spend_code(issuer.desk, ann.account.subject, code) for _ in range(4)]
    done = await asyncio.gather(*uses, return_exceptions=True)
    assert sum(isinstance(one, Account) for one in done) == 1


async def test_a_ticket_is_good_in_its_own_browser_alone(ann, issuer):
    code = await ann.fresh_code()
    page = await ann.half_way()
    async with other_browser(issuer) as http:
        own = await ann.half_way(http)
        stolen = await give(http, own, code, ticket=field(page, "ticket"))
        assert stolen.status_code == 403
        assert "stale_ticket" in stolen.text
    assert (await give(issuer.http, page, code)).status_code == 303, "and it was not used up by that"


async def test_a_ticket_is_good_for_one_session(ann, issuer):
    page = await ann.half_way()
    code = await ann.fresh_code()
    assert (await give(issuer.http, page, code)).status_code == 303
    issuer.clock.advance(60)
    issuer.http.cookies.delete("carnet_session")
    again = await give(issuer.http, page, ann.code())
    assert again.status_code == 403
    assert "stale_ticket" in again.text


async def test_a_ticket_lasts_ten_minutes(ann, issuer):
    page = await ann.half_way()
    issuer.clock.advance(ticket.LIFETIME)
    late = await give(issuer.http, page, ann.code())
    assert late.status_code == 403
    assert "stale_ticket" in late.text


async def test_a_sign_out_everywhere_ends_half_done_sign_ins_too(ann, issuer):
    page = await ann.half_way()
    await people.sign_out_everywhere(issuer.desk, ann.account.subject, by=people.CLI)
    assert "stale_ticket" in (await give(issuer.http, page, await ann.fresh_code())).text


async def test_a_disabled_account_cannot_finish_a_sign_in(ann, issuer):
    page = await ann.half_way()
    await people.disable(issuer.desk, ann.account.subject, by=people.CLI)
    assert (await give(issuer.http, page, await ann.fresh_code())).status_code == 403
    assert await sessions(issuer, ann.account) == []


async def test_two_tabs_can_be_half_way_at_once(ann, issuer):
    first, second = await ann.half_way(), await ann.half_way()
    assert field(first, "ticket") != field(second, "ticket")
    assert (await give(issuer.http, first, await ann.fresh_code())).status_code == 303
    late = await give(issuer.http, second, await ann.fresh_code())
    assert "stale_form" in late.text, "somebody is signed in meanwhile: the page says so"
    assert (await issuer.http.get("/account")).status_code == 200


async def test_an_app_is_reached_through_both_proofs(ann, issuer):
    app = await issuer.register()
    issuer.http.cookies.delete("carnet_session")
    page = await issuer.follow(await app.authorize())
    page = await post(issuer.http, "/login", fields(page) | {"email": ann.account.email, "password": PASSWORD})
    assert "form-action 'self' https:;" in page.headers["content-security-policy"]
    back = await give(issuer.http, page, await ann.fresh_code())
    assert "code" in app.query(await issuer.follow(back))


# Guessing


async def wrong_codes(http: httpx2.AsyncClient, page: httpx2.Response, count: int) -> list[int]:
    return [(await give(http, page, "000000")).status_code for _ in range(count)]


async def test_guessing_codes_is_slowed_down_per_account_wherever_it_comes_from(ann, issuer):
    issuer.clock.advance(300)
    async with other_browser(issuer) as http:
        assert await wrong_codes(http, await ann.half_way(http), 3) == [403] * 3
    async with other_browser(issuer) as http:
        page = await ann.half_way(http)
        assert await wrong_codes(http, page, 3) == [403, 403, 429]
        refused = await give(http, page, ann.code())
        assert refused.status_code == 429, "the right one is refused too"
        assert refused.headers["retry-after"] == str(throttle.CODES.window)
        recovery = await give_recovery(http, page, ann.recovery_codes[0])
        assert recovery.status_code == 429, "and there is no way around it by the other field"


async def test_whoever_guesses_does_not_shut_the_owner_out(ann, issuer):
    """Rule O13: the browser in which she has signed in before is counted apart."""
    issuer.clock.advance(300)
    async with other_browser(issuer) as http:
        await wrong_codes(http, await ann.half_way(http), throttle.CODES.tries + 1)
    assert (await give(issuer.http, await ann.half_way(), ann.code())).status_code == 303


async def test_a_known_browser_is_slowed_down_too(ann, issuer):
    issuer.clock.advance(300)
    page = await ann.half_way()
    tries = throttle.CODES_KNOWN_BROWSER.tries
    assert await wrong_codes(issuer.http, page, tries + 1) == [403] * tries + [429]


async def test_in_a_day_there_are_so_many_tries_and_no_more(ann, issuer):
    count = 0
    async with other_browser(issuer) as http:
        for _ in range(20):
            page = await ann.half_way(http)
            count += (await wrong_codes(http, page, throttle.CODES.tries)).count(403)
            issuer.clock.advance(throttle.CODES.window)
    assert count == throttle.CODES_DAILY.tries


async def test_a_code_that_is_missing_counts_as_no_try(ann, issuer):
    page = await ann.half_way()
    for _ in range(throttle.CODES_KNOWN_BROWSER.tries + 1):
        assert (await give(issuer.http, page, "")).status_code == 403
    assert (await give(issuer.http, page, await ann.fresh_code())).status_code == 303


# Recovery codes


async def test_a_recovery_code_signs_in_once(ann, issuer):
    code = ann.recovery_codes[3]
    assert (await give_recovery(issuer.http, await ann.half_way(), code)).status_code == 303
    again = await give_recovery(issuer.http, await ann.half_way(), code)
    assert again.status_code == 403
    assert "Take another one" in again.text
    assert (await give_recovery(issuer.http, await ann.half_way(), ann.recovery_codes[4])).status_code == 303
    assert len((await ann.stored()).recovery_codes) == 8
    assert (await issuer.events()).count("recovery_code.used") == 2


async def test_a_recovery_code_is_read_as_people_write_it(ann, issuer):
    written = ann.recovery_codes[0].upper().replace("-", " ")
    assert (await give_recovery(issuer.http, await ann.half_way(), f" {written} ")).status_code == 303


async def test_of_many_uses_of_one_recovery_code_at_once_one_wins(ann, issuer):
    by = people.Actor(ann.account.subject)
    uses = [
        factors.spend_recovery_code(issuer.desk, ann.account.subject, ann.recovery_codes[0], by=by) for _ in range(4)
    ]
    done = await asyncio.gather(*uses, return_exceptions=True)
    assert sum(isinstance(one, Account) for one in done) == 1


async def test_a_recovery_code_of_somebody_else_is_refused(ann, issuer):
    bob = await issuer.person("bob@example.com")
    key = factors.new_key(issuer.desk)
    code = factors.totp.code_at(key, factors.totp.step_at(issuer.clock.now()))
    his = await factors.enrol(issuer.desk, bob, key, code, by=people.CLI)
    assert (await give_recovery(issuer.http, await ann.half_way(), his.recovery_codes[0])).status_code == 403


async def test_new_recovery_codes_take_the_place_of_the_old_ones(ann, issuer):
    page = await issuer.http.get(PAGE)
    renewed = await issuer.submit(f"{PAGE}/codes", fields(page))
    codes = shown_codes(renewed)
    assert len(codes) == 10
    assert not set(codes) & set(ann.recovery_codes)
    assert (await give_recovery(issuer.http, await ann.half_way(), ann.recovery_codes[0])).status_code == 403
    assert (await give_recovery(issuer.http, await ann.half_way(), codes[0])).status_code == 303


async def test_spending_codes_changes_nothing_that_apps_are_told(ann, issuer):
    before = (await ann.stored()).updated_at
    await give(issuer.http, await ann.half_way(), await ann.fresh_code())
    await give_recovery(issuer.http, await ann.half_way(), ann.recovery_codes[0])
    assert (await ann.stored()).updated_at == before


# Taking it away


async def test_removing_needs_both_proofs_afresh(ann, issuer):
    page = await issuer.http.get(PAGE)
    issuer.clock.advance(FRESH)
    refused = await issuer.submit(f"{PAGE}/remove", fields(page))
    assert refused.headers["location"].startswith(f"{ISSUER}/login?back=")
    assert (await ann.stored()).totp is not None
    page = await issuer.follow(refused)
    half = await issuer.submit("/login", fields(page) | {"email": ann.account.email, "password": PASSWORD})
    back = await give(issuer.http, half, ann.code())
    assert back.headers["location"] == ISSUER + PAGE
    done = await issuer.submit(f"{PAGE}/remove", fields(await issuer.follow(back)))
    assert "Your password alone signs you in" in (await issuer.follow(done)).text
    account = await ann.stored()
    assert (account.totp, account.recovery_codes) == (None, ())
    assert "second_factor.removed" in await issuer.events()
    await issuer.sign_in()


async def test_a_session_of_one_factor_from_before_cannot_touch_the_second(issuer):
    """Whoever stole the password, and signed in before the factor was set up, cannot take it away or change the password."""
    await issuer.person()
    async with other_browser(issuer) as http:
        login = await http.get("/login")
        await post(http, "/login", fields(login) | {"email": "ann@example.com", "password": PASSWORD})
        await set_up(issuer)
        assert (await http.get(PAGE)).headers["location"].startswith(f"{ISSUER}/login?back=")
        given = fields(await http.get("/account"))
        new = {
            "password": PASSWORD,
            "new_password": "quite another long phrase",
            "repeated": "quite another long phrase",
        }
        changed = await post(http, "/account/password", given | new)
        assert changed.headers["location"].startswith(f"{ISSUER}/login?back=")


async def test_a_changed_password_leaves_a_session_of_two_factors(ann, issuer):
    given = fields(await issuer.http.get("/account"))
    new = {"password": PASSWORD, "new_password": "quite another long phrase", "repeated": "quite another long phrase"}
    await issuer.submit("/account/password", given | new)
    (only,) = await sessions(issuer, ann.account)
    assert only.acr == TWO_FACTORS


async def test_a_link_that_sets_a_password_is_one_proof_of_two(ann, issuer):
    from carnet.issuer.accounts.invitations import invite

    link = await invite(issuer.desk, ann.account.subject, by=people.CLI)
    async with other_browser(issuer) as http:
        page = await http.get(link)
        new = {"name": "Ann", "password": "quite another long phrase", "repeated": "quite another long phrase"}
        answer = await post(http, "/welcome", fields(page) | new)
        assert answer.headers["location"] == f"{ISSUER}/login"
        assert "carnet_session" not in http.cookies
    assert await sessions(issuer, ann.account) == []


async def test_an_administrator_resets_the_factor_of_who_has_lost_it(ann, issuer):
    await issuer.person("root@example.com", roles=("ADMIN",))
    await issuer.sign_in("root@example.com")
    place = f"/admin/people/{ann.account.subject}"
    page = await issuer.http.get(place)
    assert "Remove the second factor" in page.text
    issuer.clock.advance(FRESH)
    refused = await issuer.submit(f"{place}/reset-factors", fields(page))
    assert refused.headers["location"].startswith(f"{ISSUER}/login")
    assert (await ann.stored()).totp is not None
    await issuer.sign_in("root@example.com")
    done = await issuer.submit(f"{place}/reset-factors", fields(await issuer.http.get(place)))
    assert "The second factor has been removed" in (await issuer.follow(done)).text
    assert (await ann.stored()).totp is None
    assert "second_factor.reset" in await issuer.events()


async def test_an_administrator_with_a_second_factor_has_to_have_proved_it(issuer):
    await issuer.person("root@example.com", roles=("ADMIN",))
    async with other_browser(issuer) as http:
        login = await http.get("/login")
        await post(http, "/login", fields(login) | {"email": "root@example.com", "password": PASSWORD})
        await issuer.sign_in("root@example.com")
        page = await issuer.http.get(PAGE)
        app = Authenticator.reading(page.text)
        await issuer.submit(PAGE, fields(page) | {"code": app.code(issuer.clock.now())})
        assert (await http.get("/admin/people/invite")).headers["location"].startswith(f"{ISSUER}/login?back=")
        assert (await issuer.http.get("/admin/people/invite")).status_code == 200


async def test_the_pages_of_others_factors_are_nobodys(issuer):
    """R25: without a session each route leads to the sign-in or refuses."""
    async with other_browser(issuer) as http:
        assert (await http.get(PAGE)).headers["location"].startswith(f"{ISSUER}/login?back=")
        assert (await http.get("/login/second")).headers["location"] == f"{ISSUER}/login"
        for path in (PAGE, f"{PAGE}/codes", f"{PAGE}/remove", f"{PAGE}/decline", "/login/second"):
            assert (await post(http, path, {"csrf": "x"})).status_code == 403
