"""Token Status List: whatever takes a token back shows in its list, and no place is given twice."""

import asyncio
from typing import Any

import pytest

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


class TestStatusLists:
    @pytest.mark.parametrize(
        ("kind", "value", "epoch", "places"),
        [
            ("token", "f2.t2", None, [2]),
            ("family", "f2", None, [2]),
            ("session", "s2", None, [2]),
            ("client", "c2", None, [2]),
            ("key", "k2", None, [2]),
            ("subject", "p2", None, [2]),
            ("subject", "p2", 4, [2]),
            ("subject", "p2", 3, []),
            ("session", "p2", None, []),
            ("token", "t2", None, []),
        ],
    )
    async def test_what_takes_a_token_back_shows_in_its_list(
        self, store: Store, kind: RevocationKind, value: str, epoch: int | None, places: list[int]
    ) -> None:
        for index in (1, 2, 3):
            assert await store.status_lists.place(listed(index))
        assert await store.status_lists.place(
            listed(2, "l2", token_id="other", sid=None, subject="c", client_id="c", kid="k")
        )
        assert await store.status_lists.taken_back("l1", at=NOW) == []
        await store.revocations.add([revocation(value, kind, epoch=epoch)])
        assert await store.status_lists.taken_back("l1", at=NOW) == places
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

    async def test_a_list_goes_with_the_last_token_in_it(self, store: Store) -> None:
        await store.status_lists.place(listed(1))
        await store.status_lists.place(listed(1, "l2", kept_until=NOW + 9_000))
        assert await store.status_lists.published(at=NOW + 7_199) == ["l1", "l2"]
        assert await store.status_lists.published(at=NOW + 7_200) == ["l2"]
        assert await store.status_lists.taken_back("l1", at=NOW + 7_200) is None
        assert await store.status_lists.taken_back("l3", at=NOW) is None
        assert await store.sweep(at=NOW + 7_200) == 1
        assert await store.status_lists.place(listed(1))
