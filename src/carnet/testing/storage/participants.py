"""OpenID Connect Back-Channel Logout section 2.5: whoever takes part in a session is told of its end, however it ends."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from carnet.issuer.storage.ports import Store
from carnet.issuer.storage.records import Participant
from carnet.testing.storage.samples import DAY, NOW, account, client, session, settle

PAUSES = (10, 60)

SHOP = Participant(sid="s1", client_id="shop", subject="ada", told="s1")

ENDS: dict[str, Callable[[Store], Coroutine[Any, Any, object]]] = {
    "the session is ended": lambda store: store.sessions.end("s1", at=NOW + 5),
    "the subject signs out everywhere": lambda store: store.sessions.end_all("ada", at=NOW + 5, lifetime=400),
    "the account is disabled": lambda store: store.accounts.replace(account(), account(disabled_at=NOW + 5)),
    "the account is removed": lambda store: store.accounts.remove("ada", at=NOW + 5),
    "another person signs in": lambda store: store.sessions.start(
        session("s9", subject="bob", created_at=NOW + 5), ending="s1"
    ),
}


async def due(store: Store, at: int) -> list[Participant]:
    return await store.participants.due(at=at, pauses=PAUSES)


class TestParticipants:
    async def test_nobody_is_told_while_the_session_lives(self, store: Store) -> None:
        await settle(store)
        for _ in range(2):
            assert await store.participants.join("s1", "shop", at=NOW)
        assert await store.participants.of("s1") == [SHOP]
        assert await store.participants.of("s2") == []
        assert await due(store, NOW + 1_000) == []

    @pytest.mark.parametrize("end", ENDS)
    async def test_whatever_ends_the_session_makes_them_due(self, store: Store, end: str) -> None:
        await settle(store, "ada", "bob")
        await store.participants.join("s1", "shop", at=NOW)
        await store.participants.join("s2", "shop", at=NOW)
        await ENDS[end](store)
        assert await due(store, NOW + 4) == []
        assert await due(store, NOW + 5) == [SHOP]

    async def test_who_joins_too_late_is_due_at_once(self, store: Store) -> None:
        await settle(store)
        await store.sessions.end("s1", at=NOW)
        assert not await store.participants.join("s1", "shop", at=NOW + 3)
        assert await due(store, NOW + 3) == [SHOP]

    async def test_nobody_joins_what_is_not_there(self, store: Store) -> None:
        await settle(store)
        assert not await store.participants.join("s9", "shop", at=NOW)
        assert not await store.participants.join("s1", "nobody", at=NOW)
        await store.sessions.end("s1", at=NOW)
        assert await due(store, NOW) == []

    async def test_one_that_could_not_be_told_is_due_again_later_each_time_and_then_forgotten(
        self, store: Store
    ) -> None:
        await settle(store)
        await store.participants.join("s1", "shop", at=NOW)
        await store.sessions.end("s1", at=NOW)
        for at, tries in ((NOW, 0), (NOW + 10, 1), (NOW + 70, 2)):
            assert await due(store, at - 1) == []
            [one] = await due(store, at)
            assert one.tries == tries
        assert await due(store, NOW + 10_000) == []
        assert await store.participants.of("s1") == []

    async def test_one_that_has_been_told_is_not_told_again(self, store: Store) -> None:
        await settle(store)
        await store.participants.join("s1", "shop", at=NOW)
        await store.sessions.end("s1", at=NOW)
        [one] = await due(store, NOW)
        await store.participants.leave(one)
        assert await due(store, NOW + 10_000) == []

    async def test_a_new_sign_in_passes_them_on_and_they_are_told_of_both_names(self, store: Store) -> None:
        await settle(store)
        await store.participants.join("s1", "shop", at=NOW)
        assert await store.sessions.start(session("s2", created_at=NOW + 1), ending="s1")
        assert await store.sessions.start(session("s3", created_at=NOW + 2), ending="s2")
        assert await due(store, NOW + 2) == []
        await store.sessions.end("s3", at=NOW + 3)
        assert {(one.sid, one.told) for one in await due(store, NOW + 3)} == {("s3", "s1"), ("s3", "s2"), ("s3", "s3")}

    async def test_each_is_taken_by_one_node(self, store: Store, peer: Store) -> None:
        await settle(store)
        names = [f"c{number}" for number in range(12)]
        for name in names:
            await store.clients.add(client(name))
            await store.participants.join("s1", name, at=NOW)
        await store.sessions.end("s1", at=NOW)
        taken = await asyncio.gather(
            *(node.participants.due(at=NOW, pauses=PAUSES, limit=3) for node in [store, peer] * 8)
        )
        assert sorted(one.client_id for some in taken for one in some) == sorted(names)

    async def test_they_go_with_their_client(self, store: Store) -> None:
        await settle(store, "ada", "bob")
        for sid in ("s1", "s2"):
            await store.participants.join(sid, "shop", at=NOW)
        await store.accounts.remove("ada", at=NOW)
        await store.clients.remove("shop", at=NOW)
        for sid in ("s1", "s2"):
            assert await store.participants.of(sid) == []
        assert await due(store, NOW) == []

    async def test_of_a_session_that_has_run_out_and_was_swept_nobody_is_told(self, store: Store) -> None:
        await settle(store)
        await store.participants.join("s1", "shop", at=NOW)
        while await store.sweep(at=NOW + 365 * DAY):
            pass
        assert await store.sessions.get("s1") is None
        assert await store.participants.of("s1") == []
        assert await store.accounts.remove("ada", at=NOW + 365 * DAY)
        assert await due(store, NOW + 366 * DAY) == []
