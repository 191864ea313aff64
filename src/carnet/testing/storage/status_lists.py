"""Token Status List: whatever takes a token back shows in its list, and no place is given twice."""

import asyncio
from typing import Any

from carnet.issuer.storage.ports import Store
from carnet.issuer.storage.records import ListedToken, RevocationKind
from carnet.testing.storage.samples import NOW, revocation


def listed(index: int, list_id: str = "l1", **members: Any) -> ListedToken:
    given = {
        "list_id": list_id,
        "index": index,
        "token_id": f"f{index}.t{index}",
        "subject": f"p{index}",
        "client_id": f"c{index}",
        "sid": f"s{index}",
        "epoch": 3,
        "kid": f"k{index}",
        "expires_at": NOW + 300,
        "kept_until": NOW + 7_200,
        **members,
    }
    return ListedToken(**given)


TAKING_BACK: tuple[tuple[RevocationKind, str, int | None, bool], ...] = (
    ("token", "f0.t0", None, True),
    ("family", "f1", None, True),
    ("session", "s2", None, True),
    ("client", "c3", None, True),
    ("key", "k4", None, True),
    ("subject", "p5", None, True),
    ("subject", "p6", 4, True),
    ("subject", "p7", 3, False),
    ("session", "p8", None, False),
    ("token", "t9", None, False),
)
"""The entry for the token in the place of its number, and whether it takes that token back."""


class TestStatusLists:
    async def test_what_takes_a_token_back_shows_in_its_list(self, store: Store) -> None:
        for index in range(len(TAKING_BACK) + 1):
            assert await store.status_lists.place(listed(index))
        assert await store.status_lists.place(
            listed(0, "l2", token_id="t", sid=None, subject="c", client_id="c", kid="k")
        )
        expected: list[int] = []
        for index, (kind, value, epoch, gone) in enumerate(TAKING_BACK):
            assert await store.status_lists.taken_back("l1", at=NOW) == expected
            await store.revocations.add([revocation(value, kind, epoch=epoch)])
            expected += [index] if gone else []
        assert await store.status_lists.taken_back("l1", at=NOW) == expected
        assert await store.status_lists.taken_back("l2", at=NOW) == []

    async def test_a_token_that_has_expired_is_nobody_s_concern(self, store: Store) -> None:
        await store.status_lists.place(listed(1))
        await store.revocations.add([revocation("s1")])
        assert await store.status_lists.taken_back("l1", at=NOW + 299) == [1]
        assert await store.status_lists.taken_back("l1", at=NOW + 300) == []

    async def test_no_place_is_given_twice(self, store: Store, peer: Store) -> None:
        tokens = [listed(7, token_id=f"t{number}") for number in range(6)]
        placed = await asyncio.gather(
            *(node.status_lists.place(token) for token, node in zip(tokens, [store, peer] * 3, strict=True))
        )
        assert sum(placed) == 1
        assert await store.status_lists.place(listed(7, "l2"))
        await store.sweep(at=NOW + 7_199)
        assert not await store.status_lists.place(listed(7))

    async def test_lists_end_when_a_database_is_put_back(self, store: Store) -> None:
        await store.status_lists.place(listed(1))
        assert await store.status_lists.there("l1", at=NOW)
        await store.revocations.forget_stream()
        assert not await store.status_lists.there("l1", at=NOW)
        assert await store.status_lists.published(at=NOW) == []
        assert await store.status_lists.taken_back("l1", at=NOW) is None

    async def test_a_list_goes_with_the_last_token_in_it(self, store: Store) -> None:
        await store.status_lists.place(listed(1))
        await store.status_lists.place(listed(1, "l2", kept_until=NOW + 9_000))
        assert await store.status_lists.published(at=NOW + 7_199) == ["l1", "l2"]
        assert await store.status_lists.published(at=NOW + 7_200) == ["l2"]
        assert await store.status_lists.taken_back("l1", at=NOW + 7_200) is None
        assert await store.status_lists.taken_back("l3", at=NOW) is None
        there = [await store.status_lists.there(name, at=NOW + 7_200) for name in ("l1", "l2", "l3")]
        assert there == [False, True, False]
        assert await store.sweep(at=NOW + 7_200) == 1
        assert await store.status_lists.place(listed(1))
