"""Rules O17 and R25: the administrators' pages, and who may use each route of the pages."""

import re
from contextlib import ExitStack

import httpx2
import pytest

from carnet.feed.roster import Introduction, Listener
from carnet.issuer.accounts import invitations, people
from carnet.issuer.acknowledgement import LIVE
from carnet.issuer.endpoints import account as account_endpoints
from carnet.issuer.endpoints import admin as admin_endpoints
from carnet.issuer.freshness import FRESH
from carnet.issuer.storage.records import FeedListener, FeedReport, Revocation

from .conftest import ISSUER, PASSWORD, Issuer, fields

pytestmark = pytest.mark.anyio

ADMIN_ROUTES = [(method, endpoint.path) for endpoint in admin_endpoints.ENDPOINTS for method in endpoint.methods]
ACCOUNT_ROUTES = [(method, endpoint.path) for endpoint in account_endpoints.ENDPOINTS for method in endpoint.methods]
FORMS = [(method, path) for method, path in (*ADMIN_ROUTES, *ACCOUNT_ROUTES) if method == "POST"]

GIVEN = {"roles": "ADMIN", "email": "new@example.com", "sid": "x", "client_id": "x", "password": PASSWORD} | {
    "new_password": "another lantern on the quay",
    "repeated": "another lantern on the quay",
}


@pytest.fixture
async def target(issuer):
    """Whom the administrators act on."""
    return await issuer.person("target@example.com", roles=("USER",))


async def sign_in(issuer: Issuer, *roles: str):
    await issuer.person(roles=roles)
    return await issuer.sign_in()


async def csrf(issuer: Issuer, path: str) -> str:
    page = await issuer.http.get("/admin/people/invite" if path.startswith("/admin") else "/account")
    return fields(page).get("csrf", "")


async def ask(
    issuer: Issuer, method: str, path: str, target, *, csrf: str = "x", origin: str = ISSUER
) -> httpx2.Response:
    url = path.replace("{subject}", target.subject)
    if method == "GET":
        return await issuer.http.get(url)
    return await issuer.http.post(url, data=GIVEN | {"csrf": csrf}, headers={"Origin": origin})


async def state(issuer: Issuer) -> tuple:
    """All that a form could change."""
    store = issuer.desk.store
    accounts = await store.accounts.list()
    sessions = [await store.sessions.of(account.subject, at=issuer.clock.now()) for account in accounts]
    return accounts, sessions, await issuer.events()


def sent_to_sign_in(answer: httpx2.Response) -> bool:
    return answer.status_code == 303 and answer.headers["location"].startswith(f"{ISSUER}/login?back=")


@pytest.mark.parametrize(("method", "path"), [*ADMIN_ROUTES, *ACCOUNT_ROUTES])
async def test_nobody_is_sent_to_the_sign_in_and_changes_nothing(issuer, target, method, path):
    before = await state(issuer)
    assert sent_to_sign_in(await ask(issuer, method, path, target))
    assert await state(issuer) == before


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
async def test_a_user_is_refused_and_changes_nothing(issuer, target, method, path):
    await sign_in(issuer, "USER", "admin", "ADMINISTRATOR")
    before = await state(issuer)
    token = await csrf(issuer, "/account")
    answer = await ask(issuer, method, path, target, csrf=token)
    assert (answer.status_code, "not_administrator" in answer.text) == (403, True)
    assert target.email not in answer.text
    assert await state(issuer) == before


@pytest.mark.parametrize(("method", "path"), FORMS)
@pytest.mark.parametrize("forged", ["csrf", "other purpose", "origin"])
async def test_an_administrators_browser_cannot_be_used_from_elsewhere(issuer, target, method, path, forged):
    await sign_in(issuer, "ADMIN")
    before = await state(issuer)
    good = await csrf(issuer, path)
    other = await csrf(issuer, "/account" if path.startswith("/admin") else "/admin")
    sent = {"csrf": "forged", "other purpose": other, "origin": good}[forged]
    origin = "https://evil.example" if forged == "origin" else ISSUER
    answer = await ask(issuer, method, path, target, csrf=sent, origin=origin)
    assert (answer.status_code, "_form" in answer.text) == (403, True)
    assert await state(issuer) == before


@pytest.mark.parametrize(("method", "path"), [*ADMIN_ROUTES, *ACCOUNT_ROUTES])
async def test_an_administrator_is_let_in(issuer, target, method, path):
    await sign_in(issuer, "ADMIN")
    token = await csrf(issuer, path) if method == "POST" else ""
    answer = await ask(issuer, method, path, target, csrf=token)
    assert not sent_to_sign_in(answer)
    assert answer.status_code in {200, 303, 422}, answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("method", "path"), [route for route in ADMIN_ROUTES if route[0] == "POST"])
async def test_a_change_needs_a_proof_of_the_last_fifteen_minutes(issuer, target, method, path):
    await sign_in(issuer, "ADMIN")
    token = await csrf(issuer, path)
    issuer.clock.advance(FRESH)
    before = await state(issuer)
    answer = await ask(issuer, method, path, target, csrf=token)
    assert sent_to_sign_in(answer)
    assert (await state(issuer))[0] == before[0]
    assert (await state(issuer))[2] == before[2]


async def test_after_the_new_proof_one_is_back_where_one_was(issuer, target):
    await sign_in(issuer, "ADMIN")
    issuer.clock.advance(FRESH)
    place = f"/admin/people/{target.subject}"
    page = await issuer.http.get(place)
    assert "Changes need a fresh proof" in page.text
    again = re.search(r'href="([^"]*/login\?back=[^"]*)"', page.text).group(1)
    answer = await issuer.enter(await issuer.http.get(again))
    assert answer.headers["location"] == ISSUER + place
    assert "Changes need a fresh proof" not in (await issuer.follow(answer)).text


async def test_the_role_counts_that_the_account_has_now(issuer, target):
    me = await sign_in(issuer, "ADMIN")
    await issuer.person("second@example.com", roles=("ADMIN",))
    assert (await issuer.http.get("/admin/people")).status_code == 200
    await people.set_roles(issuer.desk, me.subject, ["USER"], by=people.CLI)
    assert (await issuer.http.get("/admin/people")).status_code == 403
    await people.set_roles(issuer.desk, me.subject, ["ADMIN"], by=people.CLI)
    assert (await issuer.http.get("/admin/people")).status_code == 200


async def submit(issuer: Issuer, path: str, **given: str) -> httpx2.Response:
    return await issuer.submit(path, {"csrf": await csrf(issuer, "/admin")} | given)


async def test_roles_are_set_and_the_actor_is_the_session_and_nobody_whom_the_form_names(issuer, target):
    me = await sign_in(issuer, "ADMIN")
    place = f"/admin/people/{target.subject}"
    answer = await submit(issuer, f"{place}/roles", roles="AUDITOR USER", actor="x", subject=me.subject, by="y")
    assert answer.headers["location"] == f"{ISSUER}{place}?done=roles_set"
    assert "The roles have been set" in (await issuer.follow(answer)).text
    assert (await issuer.desk.store.accounts.get(target.subject)).roles == ("AUDITOR", "USER")
    ((_, event),) = await issuer.desk.store.events.list(limit=1)
    assert (event.name, event.subject, event.actor, event.address) == (
        "roles.changed",
        target.subject,
        me.subject,
        "127.0.0.1",
    )


@pytest.mark.parametrize(("act", "given"), [("roles", {"roles": "USER"}), ("disable", {})])
async def test_the_last_administrator_cannot_take_the_role_from_themself(issuer, act, given):
    me = await sign_in(issuer, "ADMIN")
    answer = await submit(issuer, f"/admin/people/{me.subject}/{act}", **given)
    assert (answer.status_code, "This is the last administrator" in answer.text) == (409, True)
    assert (await issuer.desk.store.accounts.get(me.subject)).roles == ("ADMIN",)
    assert (await issuer.http.get("/admin/people")).status_code == 200


async def test_an_account_is_disabled_and_enabled(issuer, target):
    await sign_in(issuer, "ADMIN")
    place = f"/admin/people/{target.subject}"
    await submit(issuer, f"{place}/disable")
    assert (await issuer.desk.store.accounts.get(target.subject)).disabled_at == issuer.clock.now()
    await submit(issuer, f"{place}/enable")
    assert (await issuer.desk.store.accounts.get(target.subject)).disabled_at is None


async def test_an_invitation_is_shown_once_and_leads_to_an_account(issuer, target):
    await sign_in(issuer, "ADMIN")
    answer = await submit(issuer, "/admin/people/invite", email="new@example.com", name="New", roles="USER AUDITOR")
    assert answer.status_code == 200
    link = re.search(rf"{ISSUER}/welcome\?invitation=[\w-]+", answer.text).group()
    account = await issuer.desk.store.accounts.by_email("new@example.com")
    assert (account.roles, account.password) == (("AUDITOR", "USER"), None)
    assert link not in (await issuer.http.get(f"/admin/people/{account.subject}")).text
    assert (await invitations.invitation(issuer.desk, link.partition("=")[2])).account == account


async def test_what_is_wrong_with_an_invitation_is_said_beside_its_field(issuer, target):
    await sign_in(issuer, "ADMIN")
    for given, field in (({"email": target.email}, "email"), ({"email": "a@b.c", "roles": "a,b"}, "roles")):
        answer = await submit(issuer, "/admin/people/invite", **given)
        assert answer.status_code == 422
        assert f'id="{field}-error"' in answer.text


async def test_people_are_searched_and_paged(issuer, monkeypatch):
    await sign_in(issuer, "ADMIN")
    for n in range(60):
        await people.create(issuer.desk, email=f"person{n:02}@example.com", by=people.CLI)
    seen = []
    page = await issuer.http.get("/admin/people", params={"search": "person"})
    while True:
        seen += re.findall(r">(person\d\d@example\.com)<", page.text)
        onward = re.search(r'href="([^"]+)">Next page', page.text)
        if onward is None:
            break
        page = await issuer.http.get(onward.group(1).replace("&amp;", "&"))
    assert seen == [f"person{n:02}@example.com" for n in range(60)]


async def test_what_people_type_is_shown_as_text(issuer):
    await sign_in(issuer, "ADMIN")
    nasty = await issuer.person("x@example.com", name='<script>alert(1)</script>"')
    for path in ("/admin/people", f"/admin/people/{nasty.subject}"):
        page = (await issuer.http.get(path)).text
        assert "<script" not in page
        assert "&lt;script&gt;" in page
    page = (await issuer.http.get("/admin/people", params={"search": '"><script>'})).text
    assert "<script" not in page


async def test_an_account_that_is_not_there_is_404(issuer):
    await sign_in(issuer, "ADMIN")
    assert (await issuer.http.get("/admin/people/nobody")).status_code == 404
    assert (await submit(issuer, "/admin/people/nobody/link")).status_code == 404


async def test_clients_keys_and_events_are_shown_without_a_secret(issuer, target):
    await sign_in(issuer, "ADMIN")
    app = await issuer.register(client_name="Order Desk", audiences=("orders",))
    await issuer.desk.keyring.rotate()
    clients = (await issuer.http.get("/admin/clients")).text
    assert "Order Desk" in clients
    assert app.secret not in clients
    keys = (await issuer.http.get("/admin/keys")).text
    assert "In use" in keys
    assert "Published ahead" in keys
    assert keys.count("at the latest") == 1, "guards may let it sign sooner"
    assert '"d"' not in keys
    events = (await issuer.http.get("/admin/events", params={"subject": target.subject})).text
    assert "account.created" in events
    assert "target@example.com" in events
    assert "client.registered" not in events


async def test_events_are_paged_newest_first(issuer):
    me = await sign_in(issuer, "ADMIN")
    for n in range(60):
        await people.note(issuer.desk, f"test.{n:02}", me, people.CLI)
    seen = []
    url = "/admin/events"
    while url:
        page = (await issuer.http.get(url)).text
        seen += re.findall(r">test\.(\d\d)<", page)
        onward = re.search(r'href="([^"]+)">Next page', page)
        url = onward and onward.group(1).replace("&amp;", "&")
    assert seen == [f"{n:02}" for n in reversed(range(60))]


async def test_what_was_taken_back_is_shown_with_the_guards_that_listen_and_how_far_behind_they_are(issuer, target):
    await sign_in(issuer, "ADMIN")
    publisher = issuer.desk.publisher
    await publisher.turn()
    newest = publisher.channel.newest.message
    kid = (await issuer.desk.keyring.signing_key()).kid
    now = issuer.clock.now()
    introductions = [Introduction("orders 1", (kid,)), Introduction("<b>slow", ("another",))]
    with ExitStack() as connected:
        for introduction in introductions:
            listener = Listener(introduction, newest.stream, newest.sequence, since=now, told_at=now, polls=False)
            connected.enter_context(publisher.channel.roster.entered(listener))
        await people.sign_out_everywhere(issuer.desk, target.subject, by=people.CLI)
        await issuer.desk.store.revocations.add([Revocation(kind="session", value="s-1", expires_at=now + 9)])
        await publisher.turn()
        listener.told(newest.sequence + 1, at=now)
        page = (await issuer.http.get("/admin/revocations")).text
    assert f"stands at number <b>{newest.sequence + 2}</b>" in page
    assert re.search(r"orders 1.*?by 2.*?0 s ago.*?All", page, re.DOTALL)
    assert re.search(r"&lt;b&gt;slow.*?by 1.*?1 missing", page, re.DOTALL)
    assert target.email in page
    assert "s-1" in page
    assert page.index("s-1") < page.index(target.email)
    issuer.clock.advance(9)
    page = (await issuer.http.get("/admin/revocations")).text
    assert "s-1" not in page
    assert "No guard listens" in page


async def test_guards_that_listen_to_other_nodes_are_shown_too(issuer):
    await sign_in(issuer, "ADMIN")
    await issuer.desk.publisher.turn()
    now = issuer.clock.now()
    listener = FeedListener(name="orders 9", since=now, told_at=now, behind=0, guards=40, lacks=0)
    other = FeedReport(node="another", told_at=now - LIVE, guards=40, listeners=(listener,))
    await issuer.desk.store.feed_reports.put(other)
    page = (await issuer.http.get("/admin/revocations")).text
    assert "40 in all" in page
    assert re.search(r"orders 9.*?for 40.*?Up to date.*?All.*?another", page, re.DOTALL)
    issuer.clock.advance(1)
    assert "orders 9" not in (await issuer.http.get("/admin/revocations")).text


async def test_entries_are_paged_newest_first(issuer):
    await sign_in(issuer, "ADMIN")
    until = issuer.clock.now() + 400
    for n in range(60):
        await issuer.desk.store.revocations.add([Revocation(kind="session", value=f"s-{n:02}", expires_at=until)])
    await issuer.desk.publisher.turn()
    seen, url = [], "/admin/revocations"
    while url:
        page = (await issuer.http.get(url)).text
        seen += re.findall(r">s-(\d\d)<", page)
        onward = re.search(r'href="([^"]+)">Next page', page)
        url = onward and onward.group(1)
    assert seen == [f"{n:02}" for n in reversed(range(60))]
