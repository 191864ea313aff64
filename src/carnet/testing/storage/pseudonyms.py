"""OpenID Connect Core section 8: whatever takes somebody's tokens back takes back those that know them by another name."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from carnet.issuer.storage.ports import Store
from carnet.issuer.storage.records import Pseudonym, Revocation
from carnet.testing.storage.samples import NOW, account, revocation, session, settle

ADA = Pseudonym(value="p-ada", sector="shop.example", subject="ada")
SESSION = Pseudonym(value="p-s1", sector="shop.example", subject="ada", sid="s1")
OTHER = Pseudonym(value="q-ada", sector="mail.example", subject="ada")
BOB = Pseudonym(value="p-bob", sector="shop.example", subject="bob")

OF_SUBJECTS: dict[str, Callable[[Store], Coroutine[Any, Any, object]]] = {
    "the subject signs out everywhere": lambda store: store.sessions.end_all("ada", at=NOW, lifetime=400),
    "the epoch is raised": lambda store: store.accounts.replace(
        account(), account(epoch=1), revocations=[revocation("ada", "subject", epoch=1)]
    ),
    "the account is removed": lambda store: store.accounts.remove(
        "ada", at=NOW, revocations=[revocation("ada", "subject", epoch=1)]
    ),
    "an entry is written": lambda store: store.revocations.add([revocation("ada", "subject", epoch=1)]),
}


async def written(store: Store, kind: str, *values: str) -> list[Revocation | None]:
    return [await store.revocations.find(kind, value, at=NOW) for value in values]


class TestPseudonyms:
    async def test_they_are_kept_once_and_found(self, store: Store) -> None:
        await settle(store)
        for _ in range(2):
            await store.pseudonyms.keep([ADA, SESSION])
        assert await store.pseudonyms.find("p-ada") == ADA
        assert await store.pseudonyms.find("p-s1") == SESSION
        assert await store.pseudonyms.find("ada") is None

    async def test_nothing_is_kept_of_what_is_not_there(self, store: Store) -> None:
        await settle(store)
        nowhere = Pseudonym(value="p-s9", sector="shop.example", subject="ada", sid="s9")
        await store.pseudonyms.keep([BOB, nowhere, ADA])
        assert await store.pseudonyms.find("p-bob") is None
        assert await store.pseudonyms.find("p-s9") is None
        assert await store.pseudonyms.find("p-ada") == ADA

    @pytest.mark.parametrize("cause", OF_SUBJECTS)
    async def test_an_entry_for_a_subject_is_one_for_each_name_that_it_has(self, store: Store, cause: str) -> None:
        await settle(store, "ada", "bob")
        await store.pseudonyms.keep([ADA, OTHER, SESSION, BOB])
        await OF_SUBJECTS[cause](store)
        entries = await written(store, "subject", "ada", "p-ada", "q-ada")
        assert [entry.epoch for entry in entries if entry is not None] == [1, 1, 1]
        assert await written(store, "subject", "p-s1", "p-bob") == [None, None]
        published = {entry.value for entry in await store.revocations.publish()}
        assert published >= {"ada", "p-ada", "q-ada"}

    async def test_an_entry_for_a_session_is_one_for_each_name_that_it_has(self, store: Store) -> None:
        await settle(store)
        await store.pseudonyms.keep([ADA, SESSION])
        await store.sessions.end("s1", at=NOW, revocations=[revocation("s1")])
        assert None not in await written(store, "session", "s1", "p-s1")
        assert await written(store, "subject", "p-ada") == [None]

    async def test_the_names_of_a_session_that_another_took_the_place_of_are_taken_back_too(self, store: Store) -> None:
        await settle(store)
        await store.pseudonyms.keep([SESSION])
        await store.sessions.start(session("s9", created_at=NOW), ending="s1")
        await store.sessions.end("s9", at=NOW + 1, revocations=[revocation("s9", expires_at=NOW + 401)])
        assert None not in await written(store, "session", "s9", "s1", "p-s1")

    async def test_they_go_with_the_account(self, store: Store) -> None:
        await settle(store)
        await store.pseudonyms.keep([ADA, SESSION])
        await store.accounts.remove("ada", at=NOW)
        assert await store.pseudonyms.find("p-ada") is None
        assert await store.pseudonyms.find("p-s1") is None

    async def test_who_has_kept_one_reads_the_epoch_that_its_entry_names(self, store: Store, peer: Store) -> None:
        """Either the entry names the pseudonym, or what is read after it was kept is the new epoch: never neither."""
        await settle(store)

        async def mint(number: int) -> tuple[str, int]:
            value = f"p-{number}"
            await peer.pseudonyms.keep([Pseudonym(value=value, sector=f"{number}.example", subject="ada")])
            found = await peer.accounts.get("ada")
            assert found is not None
            return value, found.epoch

        minting = [asyncio.create_task(mint(number)) for number in range(12)]
        await asyncio.gather(*(store.sessions.end_all("ada", at=NOW, lifetime=400) for _ in range(3)))
        minted = await asyncio.gather(*minting)
        last = await store.accounts.get("ada")
        assert last is not None
        for value, epoch in minted:
            entry = await store.revocations.find("subject", value, at=NOW)
            assert epoch == last.epoch or (entry is not None and (entry.epoch or 0) > epoch), (value, epoch)
