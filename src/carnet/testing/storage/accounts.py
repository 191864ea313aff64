"""OpenID Connect Core section 2: a subject is never reassigned; an email is found without regard to case."""

import pytest
from msgspec.structs import replace

from carnet.issuer.storage.ports import AlreadyExistsError, StaleError, Store
from carnet.issuer.storage.records import PasswordHash, Totp
from carnet.testing.storage.samples import NOW, account, artifact, consent, digest, lives, revocation, settle


class TestAccounts:
    async def test_an_account_comes_back_as_it_was_added(self, store: Store) -> None:
        ada = account(
            email="Ada@Example.org",
            email_verified=True,
            name="Ada Łøvelace",
            roles=("ADMIN", "USER"),
            password=PasswordHash("$argon2id$v=19$…"),
            totp=Totp(sealed=b"sealed \x00\xff", enrolled_at=NOW, last_step=NOW // 30),
            recovery_codes=(b"\x00" * 32, b"\xff" * 32),
            epoch=7,
        )
        await store.accounts.add(ada)
        assert await store.accounts.get("ada") == ada
        assert await store.accounts.get("bob") is None
        assert await store.accounts.count() == 1

    async def test_an_email_is_found_without_regard_to_case_and_composition(self, store: Store) -> None:
        zoe = account("zoe", email="Zo\u00eb@Stra\u00dfe.example")
        await store.accounts.add(zoe)
        for typed in ("zo\u00eb@stra\u00dfe.example", "ZO\u00cb@STRASSE.EXAMPLE", "zoe\u0308@strasse.example"):
            assert await store.accounts.by_email(typed) == zoe
        assert await store.accounts.by_email("zoe@strasse.example") is None

    async def test_a_subject_or_an_email_is_taken_once(self, store: Store) -> None:
        await store.accounts.add(account())
        for again in (account(email="other@example.org"), account("bob", email="ADA@example.org")):
            with pytest.raises(AlreadyExistsError):
                await store.accounts.add(again)
        assert await store.accounts.count() == 1

    async def test_accounts_are_listed_page_by_page_in_the_order_of_emails(self, store: Store) -> None:
        for letter in "cBaEd":
            await store.accounts.add(account(letter, email=f"{letter}@example.org"))
        first = await store.accounts.list(limit=2)
        assert [one.subject for one in first] == ["a", "B"]
        rest = await store.accounts.list(after=first[-1].email, limit=10)
        assert [one.subject for one in rest] == ["c", "d", "E"]
        assert await store.accounts.list(after="E@example.org") == []

    async def test_a_search_finds_a_part_of_an_email_or_a_name_literally(self, store: Store) -> None:
        await store.accounts.add(account("a", email="a_b@example.org", name="Grace Hopper"))
        await store.accounts.add(account("b", email="axb@example.org", name="100% Grit!"))
        for search, found in {
            "A_B": ["a"],
            "hop": ["a"],
            "100%": ["b"],
            "grit!": ["b"],
            "example": ["a", "b"],
            "%": ["b"],
            "": ["a", "b"],
            "nobody": [],
        }.items():
            assert [one.subject for one in await store.accounts.list(search=search)] == found, search

    async def test_a_record_is_replaced_only_if_it_is_as_it_was_read(self, store: Store) -> None:
        before = account(roles=("ADMIN",), name="Ada")
        await store.accounts.add(before)
        after = replace(before, roles=("USER",), email="ada@new.example", updated_at=NOW + 1)
        entry = revocation("ada", "subject", epoch=1)
        await store.accounts.replace(before, after, revocations=[entry])
        assert await store.accounts.get("ada") == after
        assert await store.accounts.by_email("ada@new.example") == after
        assert await store.accounts.by_email("ada@example.org") is None
        assert await store.revocations.find("subject", "ada", at=NOW) == entry
        with pytest.raises(StaleError):
            await store.accounts.replace(before, replace(before, name="Eve"), revocations=[revocation("x")])
        with pytest.raises(StaleError):
            await store.accounts.replace(account("bob"), account("bob", name="Bob"))
        with pytest.raises(StaleError):
            await store.accounts.replace(after, replace(after, subject="bob"))
        assert await store.accounts.get("ada") == after
        assert await store.revocations.find("session", "x", at=NOW) is None

    async def test_a_change_that_depends_on_another_account_fails_if_that_one_has_changed(self, store: Store) -> None:
        ada, bob = account(), account("bob")
        for one in (ada, bob):
            await store.accounts.add(one)
        renamed = replace(bob, name="Bob")
        await store.accounts.replace(bob, renamed, witness=ada)
        with pytest.raises(StaleError):
            await store.accounts.replace(ada, replace(ada, name="Ada"), witness=bob)
        with pytest.raises(StaleError):
            await store.accounts.remove("ada", at=NOW, witness=bob)
        with pytest.raises(StaleError):
            await store.accounts.remove("ada", at=NOW, witness=renamed, seen=account(name="Another"))
        assert await store.accounts.get("ada") == ada
        assert await store.accounts.remove("ada", at=NOW, witness=renamed)

    async def test_an_account_cannot_take_the_email_of_another(self, store: Store) -> None:
        await store.accounts.add(account())
        await store.accounts.add(account("bob"))
        with pytest.raises(AlreadyExistsError):
            await store.accounts.replace(account("bob"), account("bob", email="ADA@example.org"))
        assert await store.accounts.get("bob") == account("bob")

    async def test_disabling_ends_sessions_and_artifacts_and_enabling_does_not_bring_them_back(
        self, store: Store
    ) -> None:
        await settle(store, "ada", "bob")
        await store.artifacts.put(artifact("r0"))
        await store.artifacts.put(artifact("mail", "invitation", family=None, client_id=None, sid=None))
        await store.artifacts.put(artifact("b0", family="f2", subject="bob", sid="s2"))
        disabled = account(disabled_at=NOW + 5)
        await store.accounts.replace(account(), disabled)
        ended = await store.sessions.get("s1")
        assert ended is not None
        assert ended.ended_at == NOW + 5
        assert not await lives(store, "r0")
        assert not await lives(store, "mail", "invitation")
        assert not await store.artifacts.put(artifact("r1", family="f9", sid=None))
        await store.accounts.replace(disabled, account())
        assert not await lives(store, "r0")
        assert await store.artifacts.spend("invitation", digest("mail"), at=NOW) is None
        assert await store.artifacts.put(artifact("r1", family="f9", sid=None))
        assert await lives(store, "b0")

    async def test_a_change_can_end_everything_in_its_own_transaction(self, store: Store) -> None:
        await settle(store, "ada", "bob")
        await store.artifacts.put(artifact("r0"))
        await store.artifacts.put(artifact("b0", family="f2", subject="bob", sid="s2"))
        with pytest.raises(StaleError):
            await store.accounts.replace(account(name="Eve"), account(name="Ada"), ending_at=NOW + 5)
        assert await lives(store, "r0")
        await store.accounts.replace(account(), account(name="Ada"), ending_at=NOW + 5)
        ended = await store.sessions.get("s1")
        assert ended is not None
        assert ended.ended_at == NOW + 5
        assert not await lives(store, "r0")
        assert await store.artifacts.put(artifact("r1", family="f9", sid=None))
        assert await lives(store, "b0")

    async def test_removing_takes_everything_of_the_account_with_it(self, store: Store) -> None:
        await settle(store, "ada", "bob")
        await store.consents.grant(consent("openid"))
        await store.artifacts.put(artifact("r0"))
        await store.artifacts.put(artifact("mail", "invitation", family=None, client_id=None, sid=None))
        entry = revocation("ada", "subject", epoch=9)
        assert await store.accounts.remove("ada", at=NOW, revocations=[entry])
        assert await store.accounts.get("ada") is None
        assert await store.accounts.by_email("ada@example.org") is None
        assert await store.sessions.get("s1") is None
        assert await store.consents.of("ada") == []
        assert not await lives(store, "r0")
        assert not await lives(store, "mail", "invitation")
        assert await store.revocations.find("subject", "ada", at=NOW) == entry
        assert not await store.accounts.remove("ada", at=NOW, revocations=[revocation("x")])
        assert await store.revocations.find("session", "x", at=NOW) is None
        assert await store.accounts.get("bob") == account("bob")
