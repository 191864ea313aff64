"""Rule O17, section D of the rules: changes of accounts, their revocations and their audit trail."""

import pytest
from msgspec.structs import replace

from carnet.issuer.accounts import errors, people
from carnet.issuer.accounts.people import ADMIN, CLI, Actor
from carnet.issuer.revoking import entry_lifetime
from carnet.issuer.storage.ports import StaleError

from .conftest import PASSWORD

pytestmark = pytest.mark.anyio


async def last_event(issuer):
    ((_, event),) = await issuer.desk.store.events.list(limit=1)
    return event


async def revoked_epoch(issuer, subject):
    found = await issuer.desk.store.revocations.find("subject", subject, at=issuer.clock.now())
    return found and (found.epoch, found.expires_at)


async def test_an_email_address_belongs_to_one_account_without_regard_to_case(issuer):
    await issuer.person()
    with pytest.raises(errors.EmailTakenError):
        await issuer.person("ANN@example.com")


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "a b@example.com",
        "ann@ex ample.com",
        "a\x00@b.c",
        "<a@b.c>",
        "a" * 65 + "@b.c",
        "a@" + "b" * 250,
    ],
)
async def test_what_is_no_email_address_is_refused(issuer, email):
    with pytest.raises(errors.BadEmailError):
        await issuer.person(email)


@pytest.mark.parametrize("role", ["", "two words", "-x", "a,b", "x" * 65, "rôle", "a\n"])
async def test_what_is_no_role_is_refused(issuer, role):
    with pytest.raises(errors.BadRoleError):
        await issuer.person(roles=(role,))


async def test_a_subject_is_random_and_says_nothing(issuer):
    ann, bob = await issuer.person(), await issuer.person("bob@example.com")
    assert len(ann.subject) == len(bob.subject) == 22
    assert ann.subject != bob.subject


async def test_setting_roles_revokes_nothing_and_is_seen_at_the_next_refresh(issuer, claims):
    app = await issuer.register(scope="openid roles")
    account = await issuer.sign_in()
    await people.set_roles(issuer.desk, account.subject, ["USER", ADMIN], by=CLI)
    tokens = await app.tokens(scope="openid roles")
    assert list(claims(tokens["access_token"])["roles"]) == ["ADMIN", "USER"]
    await issuer.person("other@example.com", roles=(ADMIN,))
    await people.set_roles(issuer.desk, account.subject, ["USER"], by=CLI)
    assert await revoked_epoch(issuer, account.subject) is None
    fresh = (await app.refresh(tokens["refresh_token"])).json()
    assert list(claims(fresh["access_token"])["roles"]) == ["USER"]
    event = await last_event_named(issuer, "roles.changed")
    assert (event.actor, event.detail) == ("cli", {"before": ["ADMIN", "USER"], "after": ["USER"]})


async def last_event_named(issuer, name):
    return next(event for _, event in await issuer.desk.store.events.list() if event.name == name)


async def test_disabling_ends_everything_and_raises_the_epoch_in_the_same_transaction(issuer):
    app = await issuer.register()
    account = await issuer.sign_in()
    tokens = await app.tokens()
    after = await people.disable(issuer.desk, account.subject, by=Actor("admin", "192.0.2.1"))
    assert after.epoch == account.epoch + 1
    lives_until = issuer.clock.now() + entry_lifetime(issuer.desk.config)
    assert await revoked_epoch(issuer, account.subject) == (after.epoch, lives_until)
    assert await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.now()) == []
    assert not await app.active(tokens["access_token"])
    assert (await app.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    event = await last_event_named(issuer, "account.disabled")
    assert (event.subject, event.actor, event.address) == (account.subject, "admin", "192.0.2.1")


async def test_disabling_twice_changes_and_notes_nothing_the_second_time(issuer):
    account = await issuer.person()
    first = await people.disable(issuer.desk, account.subject, by=CLI)
    issuer.clock.advance(5)
    assert await people.disable(issuer.desk, account.subject, by=CLI) == first
    assert (await issuer.events()).count("account.disabled") == 1


async def test_signing_out_everywhere_ends_sessions_refresh_tokens_and_access_tokens(issuer):
    app = await issuer.register()
    account = await issuer.sign_in()
    tokens = await app.tokens()
    await people.sign_out_everywhere(issuer.desk, account.subject, by=CLI)
    assert (await issuer.http.get("/account")).status_code == 303
    assert not await app.active(tokens["access_token"])
    assert (await app.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await revoked_epoch(issuer, account.subject))[0] == account.epoch + 1


async def test_setting_a_password_signs_out_everywhere_and_the_old_one_is_worth_nothing(issuer):
    account = await issuer.sign_in()
    after = await people.set_password(issuer.desk, account.subject, "another lantern on the quay", by=CLI)
    assert await issuer.desk.store.sessions.of(account.subject, at=issuer.clock.now()) == []
    assert not await issuer.desk.passwords.verify(PASSWORD, after.password)
    assert await issuer.desk.passwords.verify("another lantern on the quay", after.password)
    assert after == await issuer.desk.store.accounts.get(account.subject)


async def test_removing_takes_back_the_tokens_that_are_out(issuer):
    app = await issuer.register()
    account = await issuer.sign_in()
    tokens = await app.tokens()
    await people.remove(issuer.desk, account.subject, by=CLI)
    assert not await app.active(tokens["access_token"])
    with pytest.raises(errors.UnknownPersonError):
        await people.remove(issuer.desk, account.subject, by=CLI)


@pytest.mark.parametrize(
    "change",
    [
        lambda desk, subject: people.set_roles(desk, subject, [], by=CLI),
        lambda desk, subject: people.disable(desk, subject, by=CLI),
        lambda desk, subject: people.remove(desk, subject, by=CLI),
    ],
    ids=["demote", "disable", "remove"],
)
async def test_the_last_administrator_who_can_sign_in_stays(issuer, change):
    last = await issuer.person(roles=(ADMIN,))
    shut = await issuer.person("shut@example.com", roles=(ADMIN,))
    await people.disable(issuer.desk, shut.subject, by=CLI)
    await issuer.person("invited@example.com", roles=(ADMIN,), password=None)
    await issuer.person("user@example.com", roles=("USER",))
    with pytest.raises(errors.LastAdministratorError):
        await change(issuer.desk, last.subject)
    assert await issuer.desk.store.accounts.get(last.subject) == last
    await issuer.person("second@example.com", roles=(ADMIN,))
    await change(issuer.desk, last.subject)


async def test_a_change_that_somebody_came_between_is_made_on_what_is_there(issuer, monkeypatch):
    account = await issuer.person()
    swap = issuer.desk.store.accounts.replace
    races = [replace(account, name="Meanwhile")]

    async def raced(before, after, **others):
        if races:
            await swap(account, races.pop())
        await swap(before, after, **others)

    monkeypatch.setattr(issuer.desk.store.accounts, "replace", raced)
    after = await people.set_roles(issuer.desk, account.subject, ["USER"], by=CLI)
    assert (after.name, after.roles) == ("Meanwhile", ("USER",))


async def test_a_change_that_never_gets_through_is_refused_with_a_sentence(issuer, monkeypatch):
    account = await issuer.person()

    async def stale(before, after, **others):
        raise StaleError

    monkeypatch.setattr(issuer.desk.store.accounts, "replace", stale)
    with pytest.raises(errors.ContentionError, match="try again"):
        await people.set_roles(issuer.desk, account.subject, ["USER"], by=CLI)


async def test_revoking_an_app_ends_its_families_and_its_consent_and_no_others(issuer):
    account = await issuer.sign_in()
    app, other = await issuer.register(), await issuer.register()
    taken, kept = await app.tokens(), await other.tokens()
    assert await people.revoke_app(issuer.desk, account.subject, app.client_id, by=CLI)
    assert not await app.active(taken["access_token"])
    assert (await app.refresh(taken["refresh_token"])).json()["error"] == "invalid_grant"
    assert await other.active(kept["access_token"])
    assert (await other.refresh(kept["refresh_token"])).status_code == 200


async def test_what_a_person_does_to_themself_has_no_other_actor(issuer):
    account = await issuer.person()
    await people.sign_out_everywhere(issuer.desk, account.subject, by=Actor(account.subject))
    assert (await last_event(issuer)).actor is None
