"""Rules O3 and O8: the one-time links that make the first administrator, invite people and set passwords."""

import asyncio

import httpx2
import pytest

from carnet.issuer.accounts import errors, invitations, people

from .conftest import ISSUER, PASSWORD, fields

pytestmark = pytest.mark.anyio

GOOD = {"email": "root@example.com", "name": "Root", "password": PASSWORD, "repeated": PASSWORD}


async def fill(issuer, link: str, **changes: str) -> httpx2.Response:
    page = await issuer.http.get(link)
    assert page.status_code == 200, page.text
    return await issuer.submit("/welcome", fields(page) | GOOD | changes)


async def test_the_first_link_makes_an_administrator_who_is_then_signed_in(issuer):
    answer = await fill(issuer, await invitations.first_administrator(issuer.desk))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{ISSUER}/admin")
    account = await issuer.desk.store.accounts.by_email("root@example.com")
    assert (account.roles, account.name) == (("ADMIN",), "Root")
    assert (await issuer.http.get("/admin/people")).status_code == 200


async def test_there_is_no_first_link_once_there_is_an_account(issuer):
    link = await invitations.first_administrator(issuer.desk)
    await issuer.person()
    assert await invitations.first_administrator(issuer.desk) is None
    assert (await issuer.http.get(link)).status_code == 410


async def test_links_come_from_the_configured_issuer(issuer):
    assert (await invitations.first_administrator(issuer.desk)).startswith(f"{ISSUER}/welcome?invitation=")


async def test_looking_at_a_link_does_not_spend_it(issuer):
    link = await invitations.first_administrator(issuer.desk)
    for _ in range(3):
        assert (await issuer.http.get(link)).status_code == 200
    assert (await fill(issuer, link)).status_code == 303


async def test_a_link_works_once(issuer):
    account = await issuer.person("new@example.com", password=None)
    link = await invitations.invite(issuer.desk, account.subject, by=people.CLI)
    assert (await fill(issuer, link)).status_code == 303
    answer = await issuer.http.get(link)
    assert (answer.status_code, "link_spent" in answer.text) == (410, True)


async def test_of_many_who_spend_a_link_at_once_one_wins(issuer):
    account = await issuer.person("new@example.com", password=None)
    link = await invitations.invite(issuer.desk, account.subject, by=people.CLI)
    token = link.partition("=")[2]
    passwords = [f"{PASSWORD} {n}" for n in range(8)]
    results = await asyncio.gather(
        *(invitations.accept(issuer.desk, token, email="", name=None, password=password) for password in passwords),
        return_exceptions=True,
    )
    (winner,) = [n for n, result in enumerate(results) if not isinstance(result, Exception)]
    assert {type(result) for n, result in enumerate(results) if n != winner} == {errors.LinkSpentError}
    stored = (await issuer.desk.store.accounts.get(account.subject)).password
    assert await issuer.desk.passwords.verify(passwords[winner], stored)


async def test_a_link_lapses(issuer, config):
    account = await issuer.person("new@example.com", password=None)
    link = await invitations.invite(issuer.desk, account.subject, by=people.CLI)
    issuer.clock.advance(config.lifetimes.invitation - 1)
    assert (await issuer.http.get(link)).status_code == 200
    issuer.clock.advance(1)
    assert (await issuer.http.get(link)).status_code == 410


async def test_a_newer_link_replaces_the_one_before(issuer):
    account = await issuer.person("new@example.com", password=None)
    old = await invitations.invite(issuer.desk, account.subject, by=people.CLI)
    new = await invitations.invite(issuer.desk, account.subject, by=people.CLI)
    assert (await issuer.http.get(old)).status_code == 410
    assert (await issuer.http.get(new)).status_code == 200
    first = await invitations.first_administrator(issuer.desk)
    assert first is None


@pytest.mark.parametrize("token", ["", "A" * 43, "é", "x"])
async def test_a_link_that_was_never_made_is_gone(issuer, token):
    assert (await issuer.http.get("/welcome", params={"invitation": token})).status_code == 410


async def test_a_link_of_a_disabled_account_is_worth_nothing(issuer):
    account = await issuer.person("new@example.com", password=None)
    link = await invitations.invite(issuer.desk, account.subject, by=people.CLI)
    await people.disable(issuer.desk, account.subject, by=people.CLI)
    assert (await issuer.http.get(link)).status_code == 410
    with pytest.raises(errors.DisabledError):
        await invitations.invite(issuer.desk, account.subject, by=people.CLI)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"password": "short", "repeated": "short"}, "too short"),
        ({"password": "password" * 3, "repeated": "password" * 3}, "what everybody uses"),
        ({"password": "root@example.com!", "repeated": "root@example.com!"}, "mostly your name"),
        ({"repeated": "another"}, "are not the same"),
        ({"email": "no address"}, "not an email address"),
        ({"name": "x" * 201}, "at most 200 characters"),
    ],
)
async def test_what_is_refused_leaves_the_link_good_and_the_fields_filled(issuer, changes, sentence):
    link = await invitations.first_administrator(issuer.desk)
    answer = await fill(issuer, link, **changes)
    assert (answer.status_code, sentence in answer.text) == (422, True)
    assert 'aria-invalid="true"' in answer.text
    assert PASSWORD not in answer.text
    assert await issuer.desk.store.accounts.count() == 0
    assert (await fill(issuer, link)).status_code == 303


async def test_an_invited_person_cannot_choose_another_address_or_role(issuer):
    account = await issuer.person("new@example.com", password=None, roles=("USER",))
    link = await invitations.invite(issuer.desk, account.subject, by=people.CLI)
    await fill(issuer, link, email="root@example.com", roles="ADMIN", subject="x")
    after = await issuer.desk.store.accounts.get(account.subject)
    assert (after.email, after.roles) == ("new@example.com", ("USER",))


async def test_a_password_link_ends_what_was_signed_in_before(issuer):
    account = await issuer.sign_in()
    link = await invitations.invite(issuer.desk, account.subject, by=people.CLI)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(issuer.app), base_url=ISSUER) as http:
        page = await http.get(link)
        given = fields(page) | {"password": PASSWORD + " anew", "repeated": PASSWORD + " anew"}
        answer = await http.post("/welcome", data=given, headers={"Origin": ISSUER})
        assert answer.headers["location"] == f"{ISSUER}/account"
        assert (await http.get("/account")).status_code == 200
    assert (await issuer.http.get("/account")).status_code == 303


async def test_a_link_is_not_followed_from_another_site(issuer):
    link = await invitations.first_administrator(issuer.desk)
    page = await issuer.http.get(link)
    headers = {"Origin": "https://evil.example"}
    answer = await issuer.http.post("/welcome", data=fields(page) | GOOD, headers=headers)
    assert answer.status_code == 403
    assert await issuer.desk.store.accounts.count() == 0


async def test_the_audit_trail_never_holds_the_link(issuer):
    account = await issuer.person("new@example.com", password=None)
    link = await invitations.invite(issuer.desk, account.subject, by=people.CLI)
    await fill(issuer, link)
    events = await issuer.desk.store.events.list()
    assert link.partition("=")[2] not in repr(events)
    assert {event.name for _, event in events} >= {"account.created", "account.invited", "password.set"}
