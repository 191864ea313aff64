"""RFC 7009, rule O17: what people see and change of their own account."""

import httpx2
import pytest

from .conftest import ISSUER, PASSWORD, fields

pytestmark = pytest.mark.anyio

NEW = "another lantern on the quay"


@pytest.fixture
async def account(issuer):
    return await issuer.sign_in()


async def act(issuer, path: str, **given: str) -> httpx2.Response:
    page = await issuer.http.get("/account")
    return await issuer.submit(path, {"csrf": fields(page)["csrf"]} | given)


async def sessions(issuer, account):
    return await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.now())


async def other_browser(issuer) -> httpx2.AsyncClient:
    """The same person, signed in elsewhere."""
    http = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(issuer.app, client=("198.51.100.7", 1)),
        base_url=ISSUER,
        headers={"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) Version/18.0 Safari/604.1"},
    )
    page = await http.get("/login")
    given = fields(page) | {"email": "ann@example.com", "password": PASSWORD}
    assert (await http.post("/login", data=given, headers={"Origin": ISSUER})).status_code == 303
    return http


async def test_the_page_says_who_one_is_where_and_what_has_access(issuer, account):
    await (await issuer.register(client_name="Photo Printer")).tokens(scope="openid email")
    await other_browser(issuer)
    page = (await issuer.http.get("/account")).text
    for shown in ("ann@example.com", "This browser", "Safari, iPhone", "198.51.100.7", "Photo Printer"):
        assert shown in page
    assert "See your email address" in page, "of an app of the issuer's own too, though nobody was asked"
    assert "See your name" not in page
    assert "/admin" not in page


async def test_a_password_is_changed_with_the_current_one_and_all_else_is_signed_out(issuer, account):
    app = await issuer.register()
    tokens = await app.tokens()
    elsewhere = await other_browser(issuer)
    before = issuer.http.cookies["carnet_session"]
    answer = await act(issuer, "/account/password", password=PASSWORD, new_password=NEW, repeated=NEW)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{ISSUER}/account?done=password_changed")
    assert "Your password has been changed" in (await issuer.follow(answer)).text
    assert issuer.http.cookies["carnet_session"] != before
    assert (await elsewhere.get("/account")).status_code == 303
    assert not await app.active(tokens["access_token"])
    assert (await app.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert len(await sessions(issuer, account)) == 1


@pytest.mark.parametrize(
    ("given", "status", "sentence"),
    [
        ({"password": "wrong"}, 403, "The current password is not right."),
        ({"password": ""}, 403, "The current password is not right."),
        ({"new_password": "short", "repeated": "short"}, 422, "too short"),
        ({"repeated": "different"}, 422, "are not the same"),
        ({"new_password": "ann@example.com!", "repeated": "ann@example.com!"}, 422, "mostly your name"),
    ],
)
async def test_a_password_is_not_changed_otherwise(issuer, account, given, status, sentence):
    asked = {"password": PASSWORD, "new_password": NEW, "repeated": NEW} | given
    answer = await act(issuer, "/account/password", **asked)
    assert (answer.status_code, sentence in answer.text) == (status, True)
    stored = (await issuer.desk.store.accounts.get(account.subject)).password
    assert await issuer.desk.passwords.verify(PASSWORD, stored)
    assert len(await sessions(issuer, account)) == 1


async def test_guessing_the_current_password_is_throttled(issuer, account):
    statuses = [
        (await act(issuer, "/account/password", password="wrong", new_password=NEW, repeated=NEW)).status_code
        for _ in range(22)
    ]
    assert statuses[-1] == 429
    assert 403 in statuses


async def test_one_session_is_ended_and_the_others_go_on(issuer, account):
    elsewhere = await other_browser(issuer)
    (away,) = [one for one in await sessions(issuer, account) if one.address == "198.51.100.7"]
    answer = await act(issuer, "/account/sessions/end", sid=away.sid)
    assert answer.headers["location"] == f"{ISSUER}/account?done=session_ended"
    assert (await elsewhere.get("/account")).status_code == 303
    assert (await issuer.http.get("/account")).status_code == 200
    assert (await issuer.desk.store.revocations.find("session", away.sid, at=issuer.clock.now())) is not None


async def test_ending_ones_own_session_signs_out(issuer, account):
    (here,) = await sessions(issuer, account)
    answer = await act(issuer, "/account/sessions/end", sid=here.sid)
    assert (answer.status_code, "You are signed out" in answer.text) == (200, True)
    assert "carnet_session" not in issuer.http.cookies
    assert (await issuer.http.get("/account")).status_code == 303


async def test_a_session_of_somebody_else_cannot_be_ended(issuer, account):
    await issuer.person("bob@example.com")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(issuer.app), base_url=ISSUER) as bobs:
        given = fields(await bobs.get("/login")) | {"email": "bob@example.com", "password": PASSWORD}
        await bobs.post("/login", data=given, headers={"Origin": ISSUER})
        bob = issuer.accounts["bob@example.com"]
        (his,) = await sessions(issuer, bob)
        await act(issuer, "/account/sessions/end", sid=his.sid)
        assert (await bobs.get("/account")).status_code == 200


async def test_signing_out_everywhere_leaves_nothing(issuer, account):
    app = await issuer.register()
    tokens = await app.tokens()
    elsewhere = await other_browser(issuer)
    answer = await act(issuer, "/account/sign-out-everywhere")
    assert "You are signed out" in answer.text
    assert await sessions(issuer, account) == []
    assert (await elsewhere.get("/account")).status_code == 303
    assert not await app.active(tokens["access_token"])
    assert "account.signed_out_everywhere" in await issuer.events()


async def test_signing_out_ends_the_session_and_what_hangs_on_it(issuer, account):
    app = await issuer.register()
    tokens = await app.tokens()
    await act(issuer, "/account/sign-out")
    assert await sessions(issuer, account) == []
    assert not await app.active(tokens["access_token"])
    assert (await app.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert "session.ended" in await issuer.events()


async def test_an_apps_access_is_taken_back(issuer, account):
    app = await issuer.register(client_name="Photo Printer")
    tokens = await app.tokens()
    answer = await act(issuer, "/account/apps/revoke", client_id=app.client_id)
    assert "Photo Printer" not in (await issuer.follow(answer)).text
    assert (await app.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert not await app.active(tokens["access_token"])


async def test_a_consent_without_tokens_is_listed_and_can_be_taken_back(issuer, account):
    app = await issuer.register(client_name="Photo Printer", first_party=False)
    page = await issuer.follow(await app.authorize())
    await issuer.submit("/consent", fields(page) | {"decision": "allow"})
    shown = await issuer.http.get("/account")
    assert "Photo Printer" in shown.text
    await act(issuer, "/account/apps/revoke", client_id=app.client_id)
    assert "Photo Printer" not in (await issuer.http.get("/account")).text
    assert (await app.authorize()).headers["location"].startswith(f"{ISSUER}/consent")


async def test_only_known_notices_are_shown(issuer, account):
    page = (await issuer.http.get("/account", params={"done": "<b>hello"})).text
    assert "hello" not in page
    assert 'role="status"' not in page
