"""Rules O3 and O4: whatever may happen once happens once, however many ask at the same time and at whichever node."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest

from carnet.issuer.storage.ports import AlreadyExistsError, Fresh, Spent, StaleError, Store
from carnet.issuer.storage.records import Stream
from carnet.testing.storage.samples import (
    NOW,
    account,
    artifact,
    client,
    consent,
    digest,
    lives,
    ownerless,
    revocation,
    rotate,
    session,
    settle,
    signing_key,
)

T = TypeVar("T")
RIVALS = 64
ENDS: dict[str, Callable[[Store], Coroutine[Any, Any, object]]] = {
    "the session has ended": lambda store: store.sessions.end("s1", at=NOW),
    "the subject has signed out everywhere": lambda store: store.sessions.end_all("ada", at=NOW, lifetime=400),
    "the account is disabled": lambda store: store.accounts.replace(account(), account(disabled_at=NOW)),
    "the account is removed": lambda store: store.accounts.remove("ada", at=NOW),
    "the client is removed": lambda store: store.clients.remove("shop", at=NOW),
}


async def race(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T | BaseException]:
    """Run them all at once; the answers in the same order, errors among them."""
    return await asyncio.gather(*calls, return_exceptions=True)


def both(store: Store, peer: Store) -> list[Store]:
    return [store, peer] * (RIVALS // 2)


class TestRaces:
    async def test_of_64_redemptions_of_one_code_one_wins_and_63_learn_that_they_lost(
        self, store: Store, peer: Store
    ) -> None:
        await settle(store)
        await store.artifacts.put(artifact("code", "code"))
        answers = await race(
            [
                node.artifacts.spend(
                    "code", digest("code"), at=NOW, into=[artifact(f"r{number}")], receipt=b"%d" % number
                )
                for number, node in enumerate(both(store, peer))
            ]
        )
        [winner] = [number for number, answer in enumerate(answers) if isinstance(answer, Fresh)]
        lost = Spent(artifact("code", "code"), NOW, receipt=b"%d" % winner, successor_unused=True, replays=0)
        assert [answer for number, answer in enumerate(answers) if number != winner] == [lost] * (RIVALS - 1)
        alive = [number for number in range(RIVALS) if await lives(peer, f"r{number}")]
        assert alive == [winner]

    async def test_of_64_uses_of_one_refresh_token_one_wins_at_each_generation(self, store: Store, peer: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r"))
        current = "r"
        for generation in range(4):
            names = [f"{generation}.{number}" for number in range(RIVALS)]
            answers = await race(
                [rotate(node, current, name) for node, name in zip(both(store, peer), names, strict=True)]
            )
            [winner] = [name for name, answer in zip(names, answers, strict=True) if isinstance(answer, Fresh)]
            assert sum(isinstance(answer, Spent) for answer in answers) == RIVALS - 1
            assert [name for name in names if await lives(store, name)] == [winner]
            current = winner

    async def test_a_replay_id_is_taken_once(self, store: Store, peer: Store) -> None:
        answers = await race([node.artifacts.put(ownerless("jti")) for node in both(store, peer)])
        assert answers.count(True) == 1
        assert sum(isinstance(answer, AlreadyExistsError) for answer in answers) == RIVALS - 1

    async def test_what_has_no_owner_is_spent_once(self, store: Store, peer: Store) -> None:
        await store.artifacts.put(ownerless("ticket", "ticket"))
        answers = await race([node.artifacts.spend("ticket", digest("ticket"), at=NOW) for node in both(store, peer)])
        assert sum(isinstance(answer, Fresh) for answer in answers) == 1
        assert sum(isinstance(answer, Spent) for answer in answers) == RIVALS - 1

    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
    async def test_when_the_end_has_come_nothing_more_is_handed_out(
        self, store: Store, peer: Store, end: Callable[[Store], Coroutine[Any, Any, object]]
    ) -> None:
        names = await self._race_with_an_end(store, peer, end(store), newcomers=8)
        for node in (store, peer):
            assert [name for name in names if await lives(node, name)] == []
            assert await node.artifacts.families("ada", at=NOW) == []

    async def test_when_a_consent_has_been_withdrawn_nothing_lives_on(self, store: Store, peer: Store) -> None:
        names = await self._race_with_an_end(
            store, peer, store.consents.withdraw("ada", "shop", at=NOW, lifetime=400), newcomers=0
        )
        assert [name for name in names if await lives(peer, name)] == []

    async def test_when_a_family_has_been_revoked_none_of_it_lives_on(self, store: Store, peer: Store) -> None:
        await settle(store)
        for number in range(8):
            family = f"f{number}"
            await store.artifacts.put(artifact(f"{number}.0", family=family))
            ended, *_ = await race(
                [
                    peer.artifacts.revoke_family(family, at=NOW),
                    *(self._rotate_on(store, f"{number}.", 6, family=family) for _ in range(2)),
                ]
            )
            assert ended == 1
            assert [step for step in range(8) if await lives(store, f"{number}.{step}")] == []

    async def test_a_family_that_passes_to_a_new_session_is_neither_lost_nor_doubled(
        self, store: Store, peer: Store
    ) -> None:
        await settle(store)
        await store.artifacts.put(artifact("0.0"))
        answers = await race(
            [
                self._rotate_on(store, "0.", 12),
                peer.sessions.start(session("s2"), ending="s1"),
                self._later(peer.sessions.start(session("s3"), ending="s2")),
            ]
        )
        assert answers == [12, True, True]
        [last] = await store.artifacts.families("ada", at=NOW)
        assert last.document == b"0.12"
        assert last.sid in {"s2", "s3"}

    async def test_a_record_is_replaced_by_one_of_many(self, store: Store, peer: Store) -> None:
        await settle(store)
        people = await race(
            [
                node.accounts.replace(account(), account(name=f"{number}"))
                for number, node in enumerate(both(store, peer))
            ]
        )
        assert people.count(None) == 1
        assert sum(isinstance(answer, StaleError) for answer in people) == RIVALS - 1
        clients = await race(
            [
                node.clients.replace(client(), client(client_name=f"{number}"))
                for number, node in enumerate(both(store, peer))
            ]
        )
        assert clients.count(None) == 1
        assert sum(isinstance(answer, StaleError) for answer in clients) == RIVALS - 1

    async def test_an_email_is_given_to_one_of_many(self, store: Store, peer: Store) -> None:
        answers = await race(
            [
                node.accounts.add(account(f"a{number}", email="Ada@example.org"))
                for number, node in enumerate(both(store, peer))
            ]
        )
        assert answers.count(None) == 1
        assert sum(isinstance(answer, AlreadyExistsError) for answer in answers) == RIVALS - 1
        assert await store.accounts.count() == 1

    async def test_two_people_who_take_one_email_at_once_do_not_both_get_it(self, store: Store, peer: Store) -> None:
        await store.accounts.add(account("ada"))
        await store.accounts.add(account("bob"))
        answers = await race(
            [
                node.accounts.replace(account(name), account(name, email="One@example.org"))
                for node, name in ((store, "ada"), (peer, "bob"))
            ]
        )
        assert answers.count(None) == 1
        assert sum(isinstance(answer, AlreadyExistsError) for answer in answers) == 1

    async def test_the_epoch_is_raised_by_each_who_raises_it(self, store: Store, peer: Store) -> None:
        await settle(store)
        epochs = await race([node.sessions.end_all("ada", at=NOW, lifetime=400) for node in both(store, peer)])
        assert sorted(epoch for epoch in epochs if isinstance(epoch, int)) == list(range(1, RIVALS + 1))
        assert await store.accounts.get("ada") == account(epoch=RIVALS)

    async def test_every_hit_is_counted(self, store: Store, peer: Store) -> None:
        hits = await race([node.throttle.hit("ada", at=NOW, window=60) for node in both(store, peer)])
        assert sorted(hit for hit in hits if isinstance(hit, int)) == list(range(1, RIVALS + 1))

    async def test_so_many_replays_are_answered_and_no_more(self, store: Store, peer: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        await rotate(store, "r0", "r1")
        answers = await race(
            [
                node.artifacts.replay("refresh_token", digest("r0"), at=NOW, window=10, per_hour=3)
                for node in both(store, peer)
            ]
        )
        assert answers.count(b"r1") == 3
        assert answers.count(None) == RIVALS - 3

    async def test_consents_given_at_once_add_up(self, store: Store, peer: Store) -> None:
        await settle(store)
        await race([node.consents.grant(consent(f"{number}")) for number, node in enumerate(both(store, peer))])
        granted = await store.consents.get("ada", "shop")
        assert granted is not None
        assert sorted(granted.scope, key=int) == [str(number) for number in range(RIVALS)]

    async def test_the_first_key_is_made_by_one_of_many(self, store: Store, peer: Store) -> None:
        answers = await race(
            [
                node.signing_keys.add(signing_key(f"k{number}"), only_if_none=True)
                for number, node in enumerate(both(store, peer))
            ]
        )
        assert answers.count(True) == 1
        assert answers.count(False) == RIVALS - 1
        [first] = await store.signing_keys.list()
        rotations = await race(
            [
                node.signing_keys.add(signing_key(f"n{number}"), retiring=first.kid, retires_at=NOW + 900)
                for number, node in enumerate(both(store, peer))
            ]
        )
        assert rotations.count(True) == 1
        assert rotations.count(False) == RIVALS - 1
        assert len(await store.signing_keys.list()) == 2

    async def test_entries_are_numbered_without_a_gap_while_others_are_written(self, store: Store, peer: Store) -> None:
        seen: list[int] = []

        async def publish(node: Store) -> None:
            while len(seen) < 2 * RIVALS:
                seen.extend(entry.sequence or 0 for entry in await node.revocations.publish(limit=7))

        async def revoke(node: Store, number: int) -> None:
            await node.revocations.add([revocation(f"{number}.{part}") for part in "ab"])

        await asyncio.wait_for(
            asyncio.gather(
                publish(store),
                publish(peer),
                *(revoke(node, number) for number, node in enumerate(both(store, peer))),
            ),
            timeout=60,
        )
        assert sorted(seen) == list(range(1, 2 * RIVALS + 1))
        published = await store.revocations.since(0, at=NOW)
        assert [entry.sequence for entry in published] == list(range(1, 2 * RIVALS + 1))
        assert await peer.revocations.head() == 2 * RIVALS

    async def test_all_nodes_name_the_stream_alike(self, store: Store, peer: Store) -> None:
        streams = await race(
            [
                node.revocations.stream(Stream(name=f"{number}", key=b"%d" % number))
                for number, node in enumerate(both(store, peer))
            ]
        )
        assert streams == [streams[0]] * RIVALS
        assert isinstance(streams[0], Stream)

    async def test_whoever_follows_the_numbers_misses_nothing(self, store: Store, peer: Store) -> None:
        followed: list[str] = []
        written: set[str] = set()
        done = asyncio.Event()

        async def follow() -> None:
            last = 0
            while not (done.is_set() and last == await store.revocations.head()):
                for entry in await peer.revocations.since(last, at=NOW, limit=5):
                    assert entry.sequence == last + 1
                    last = entry.sequence
                    followed.append(entry.value)

        async def revoke(node: Store, number: int) -> None:
            value = f"r{number}"
            await node.revocations.add([revocation(value)])
            written.add(value)
            await node.revocations.publish(limit=3)

        async def work() -> None:
            await asyncio.gather(*(revoke(node, number) for number, node in enumerate(both(store, peer))))
            while await store.revocations.publish():
                pass
            done.set()

        await asyncio.wait_for(asyncio.gather(follow(), work()), timeout=60)
        assert set(followed) == written
        assert len(followed) == RIVALS

    async def test_sweeping_beside_the_work_takes_nothing_that_is_needed(self, store: Store, peer: Store) -> None:
        await settle(store)
        # Each is renewed at the very second from which the sweep looks at its family.
        at = NOW + 100
        for number in range(8):
            await store.artifacts.put(artifact(f"{number}.0", family=f"f{number}", expires_at=at))
        answers = await race(
            [
                *(rotate(store, f"{number}.0", f"{number}.1", at=at - 1, family=f"f{number}") for number in range(8)),
                *(peer.sweep(at=at) for _ in range(4)),
            ]
        )
        for number, answer in enumerate(answers[:8]):
            fresh = isinstance(answer, Fresh)
            assert fresh or answer is None
            assert await lives(peer, f"{number}.1", at=at) == fresh

    async def _race_with_an_end(
        self, store: Store, peer: Store, end: Coroutine[Any, Any, object], *, newcomers: int
    ) -> list[str]:
        """Eight families rotate and new ones come while all of them end; the answer is what they were or would have been."""
        await settle(store)
        for number in range(8):
            await store.artifacts.put(artifact(f"{number}.0", family=f"f{number}"))
        answers = await race(
            [
                *(self._rotate_on(store, f"{number}.", 6, family=f"f{number}") for number in range(4)),
                end,
                *(self._rotate_on(peer, f"{number}.", 6, family=f"f{number}") for number in range(4, 8)),
                *(peer.artifacts.put(artifact(f"new{number}", family=f"n{number}")) for number in range(newcomers)),
            ]
        )
        assert [answer for answer in answers if isinstance(answer, BaseException)] == []
        names = [f"{number}.{step}" for number in range(8) for step in range(7)]
        return names + [f"new{number}" for number in range(newcomers)]

    async def _rotate_on(self, node: Store, stem: str, times: int, **members: Any) -> int:
        """Rotate `stem0` to `stem1` and so on, until it is refused; the answer is how often it went well."""
        for step in range(times):
            answer = await rotate(node, f"{stem}{step}", f"{stem}{step + 1}", **members)
            if not isinstance(answer, Fresh):
                return step
        return times

    async def _later(self, call: Coroutine[Any, Any, T]) -> T:
        """After others have begun."""
        for _ in range(3):
            await asyncio.sleep(0)
        return await call
