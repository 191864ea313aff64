"""RFC 6265bis, Fetch, rules O15 and O20: cookies, sessions and forms."""

import httpx2
import pytest

from carnet.issuer.accounts import people
from carnet.issuer.app import create_app
from carnet.issuer.config import Config
from carnet.testing import Clock

from .conftest import ISSUER, PASSWORD, fields

pytestmark = pytest.mark.anyio

FORM = "application/x-www-form-urlencoded"


def set_cookies(answer: httpx2.Response) -> dict[str, str]:
    return {line.split("=")[0]: line.partition(";")[2] for line in answer.headers.get_list("set-cookie")}


async def signed_in(issuer) -> bool:
    return (await issuer.http.get("/account")).status_code == 200


@pytest.mark.spec("RFC 6265bis", "4.1.3.2", "SHOULD")
async def test_over_tls_every_cookie_is_secure_with_the_host_prefix(tmp_path):
    config = Config(issuer="https://id.example", data=tmp_path, trusted_proxies=("10.0.0.0/8",))
    app = create_app(config, Clock().ambient, secret=b"s" * 43)
    transport = httpx2.ASGITransport(app, client=("10.0.0.1", 1))
    headers = {"X-Forwarded-Proto": "https", "Origin": "https://id.example"}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="https://id.example", headers=headers) as http,
    ):
        await people.create(app.state.desk, email="ann@example.com", password=PASSWORD, by=people.CLI)
        page = await http.get("/login")
        answer = await http.post("/login", data=fields(page) | {"email": "ann@example.com", "password": PASSWORD})
        assert answer.status_code == 303
        cookies = set_cookies(page) | set_cookies(answer)
        assert (await http.get("/account")).status_code == 200
    assert set(cookies) == {"__Host-carnet_browser", "__Host-carnet_session", "__Host-carnet_device"}
    for attributes in cookies.values():
        assert "Path=/;" in attributes
        assert "HttpOnly" in attributes
        assert "SameSite=Lax" in attributes
        assert attributes.endswith("; Secure")
        assert "Domain" not in attributes


async def test_a_loopback_issuer_has_cookies_without_secure_that_no_script_sees(issuer):
    attributes = set_cookies(await issuer.http.get("/login"))["carnet_browser"]
    assert "HttpOnly; SameSite=Lax" in attributes
    assert "Secure" not in attributes


async def test_a_browser_keeps_its_cookie_and_a_malformed_one_is_replaced(issuer):
    await issuer.http.get("/login")
    assert set_cookies(await issuer.http.get("/login")) == {}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(issuer.app), base_url=ISSUER) as http:
        answer = await http.get("/login", headers={"Cookie": 'carnet_browser="x y"; carnet_session=short'})
    assert set(set_cookies(answer)) == {"carnet_browser"}


async def test_endpoints_for_programs_set_no_cookie(issuer):
    for path in ("/jwks", "/.well-known/openid-configuration", "/assets/style.css"):
        assert "set-cookie" not in (await issuer.http.get(path)).headers


async def test_the_database_holds_no_cookie(issuer):
    account = await issuer.sign_in()
    (session,) = await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.now())
    assert len(session.digest) == 32
    assert issuer.http.cookies["carnet_session"] not in repr(session)


async def test_a_session_that_is_left_alone_ends(issuer, config):
    await issuer.sign_in()
    issuer.clock.advance(config.lifetimes.session_idle - 1)
    assert await signed_in(issuer)
    issuer.clock.advance(config.lifetimes.session_idle - 1)
    assert await signed_in(issuer)
    issuer.clock.advance(config.lifetimes.session_idle)
    assert not await signed_in(issuer)


async def test_a_session_ends_after_its_lifetime_however_much_it_is_used(issuer, config):
    await issuer.sign_in()
    step = 8 * 3600
    for _ in range(config.lifetimes.session // step - 1):
        issuer.clock.advance(step)
        assert await signed_in(issuer)
    issuer.clock.advance(step - 1)
    assert await signed_in(issuer)
    issuer.clock.advance(1)
    assert not await signed_in(issuer)


async def test_that_a_session_was_seen_is_written_at_most_once_a_minute(issuer):
    account = await issuer.sign_in()

    async def seen_at():
        (session,) = await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.now())
        return session.seen_at - 1_800_000_000

    for seconds, written in ((59, 0), (1, 60), (59, 60), (1, 120)):
        issuer.clock.advance(seconds)
        assert await signed_in(issuer)
        assert await seen_at() == written


async def test_a_disabled_account_is_out_at_once_and_enabling_it_brings_no_session_back(issuer):
    account = await issuer.sign_in()
    await people.disable(issuer.desk, account.subject, by=people.CLI)
    assert not await signed_in(issuer)
    await people.enable(issuer.desk, account.subject, by=people.CLI)
    assert not await signed_in(issuer)


async def leave(issuer, *, csrf: str | None = None, headers: dict[str, str] | None = None, **others: str):
    page = await issuer.http.get("/account")
    data = {"csrf": fields(page)["csrf"] if csrf is None else csrf} | others
    return await issuer.http.post(
        "/account/sign-out", data=data, headers={"Origin": ISSUER} if headers is None else headers
    )


async def test_a_form_of_ours_is_accepted(issuer):
    await issuer.sign_in()
    assert (await leave(issuer)).status_code == 200
    assert not await signed_in(issuer)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8081"},
        {"Origin": "http://127.0.0.1:8080.evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
        {},
    ],
)
async def test_a_form_that_was_not_sent_from_our_origin_is_refused(issuer, headers):
    await issuer.sign_in()
    answer = await leave(issuer, headers=headers)
    assert (answer.status_code, "foreign_form" in answer.text) == (403, True)
    assert await signed_in(issuer)


async def test_where_there_is_no_origin_fetch_metadata_speaks(issuer):
    await issuer.sign_in()
    assert (await leave(issuer, headers={"Sec-Fetch-Site": "same-origin"})).status_code == 200


@pytest.mark.parametrize("csrf", ["", "wrong", "A" * 43, "é"])
async def test_a_form_without_its_own_csrf_field_is_refused(issuer, csrf):
    await issuer.sign_in()
    answer = await leave(issuer, csrf=csrf)
    assert (answer.status_code, "stale_form" in answer.text) == (403, True)
    assert await signed_in(issuer)


async def test_a_csrf_field_serves_one_purpose(issuer):
    login = fields(await issuer.http.get("/login"))["csrf"]
    await issuer.sign_in()
    assert (await leave(issuer, csrf=login)).status_code == 403


async def test_a_csrf_field_serves_one_browser_and_one_session(issuer):
    await issuer.sign_in()
    csrf = fields(await issuer.http.get("/account"))["csrf"]
    browser = issuer.http.cookies["carnet_browser"]
    issuer.http.cookies.delete("carnet_browser")
    assert (await leave(issuer, csrf=csrf)).status_code == 403
    issuer.http.cookies.delete("carnet_browser")
    issuer.http.cookies.set("carnet_browser", browser, domain="127.0.0.1")
    issuer.http.cookies.delete("carnet_session")
    await issuer.sign_in()
    assert (await leave(issuer, csrf=csrf)).status_code == 403
    assert await signed_in(issuer)


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{}", "application/json", 415),
        (b"csrf=x", "multipart/form-data; boundary=x", 415),
        (b"csrf=x", "text/plain", 415),
        (b"csrf=x&csrf=y", FORM, 400),
        (b"csrf=%ZZ", FORM, 400),
        (b"csrf=%FF", FORM, 400),
        (b"&".join(b"a%d=1" % n for n in range(101)), FORM, 400),
        (b"csrf=" + b"x" * 65_536, FORM, 413),
    ],
)
async def test_a_form_is_read_strictly(issuer, content, content_type, status):
    await issuer.sign_in()
    headers = {"Origin": ISSUER, "Content-Type": content_type}
    assert (await issuer.http.post("/account/sign-out", content=content, headers=headers)).status_code == status
    assert await signed_in(issuer)


async def test_a_link_with_a_damaged_query_gets_a_page_and_not_a_crash(issuer):
    answer = await issuer.http.get("/login?flow=%FF")
    assert (answer.status_code, "bad_link" in answer.text) == (400, True)
