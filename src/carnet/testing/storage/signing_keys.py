"""RFC 7517: the issuer's keys follow one another, whoever rotates them."""

import pytest
from msgspec.structs import replace

from carnet.issuer.storage.ports import AlreadyExistsError, Store
from carnet.testing.storage.samples import NOW, revocation, signing_key


class TestSigningKeys:
    async def test_keys_are_listed_oldest_first_as_they_were_added(self, store: Store) -> None:
        assert await store.signing_keys.list() == []
        old, new = signing_key("z"), signing_key("a", created_at=NOW + 1)
        assert await store.signing_keys.add(new)
        assert await store.signing_keys.add(old)
        assert await store.signing_keys.list() == [old, new]
        with pytest.raises(AlreadyExistsError):
            await store.signing_keys.add(signing_key("a", alg="RS256"))
        assert await store.signing_keys.list() == [old, new]

    async def test_a_first_key_is_made_once(self, store: Store) -> None:
        assert await store.signing_keys.add(signing_key("k1"), only_if_none=True)
        assert not await store.signing_keys.add(signing_key("k2"), only_if_none=True)
        assert await store.signing_keys.list() == [signing_key("k1")]

    async def test_of_each_further_algorithm_a_key_is_made_once_and_again_when_that_one_has_its_end(
        self, store: Store
    ) -> None:
        await store.signing_keys.add(signing_key("k1"))
        for kid in ("f1", "f2"):
            fresh = signing_key(kid, alg="RS256", purpose="further")
            assert await store.signing_keys.add(fresh, only_if_none=True) is (kid == "f1")
        assert await store.signing_keys.add(signing_key("e1", purpose="encryption"), only_if_none=True)
        await store.signing_keys.retire("f1", at=NOW)
        assert await store.signing_keys.add(signing_key("f3", alg="RS256", purpose="further"), only_if_none=True)
        assert [key.kid for key in await store.signing_keys.list()] == ["e1", "f1", "f3", "k1"]

    async def test_a_key_gets_its_end_when_its_successor_is_made(self, store: Store) -> None:
        await store.signing_keys.add(signing_key("k1"))
        k2 = signing_key("k2", created_at=NOW + 1)
        assert await store.signing_keys.add(k2, retiring="k1", retires_at=NOW + 900)
        k1 = replace(signing_key("k1"), retires_at=NOW + 900)
        assert await store.signing_keys.list() == [k1, k2]
        for retiring in ("k1", "unknown"):
            assert not await store.signing_keys.add(signing_key("k3"), retiring=retiring, retires_at=NOW + 5)
        assert await store.signing_keys.list() == [k1, k2]

    async def test_a_key_that_waits_is_brought_forward_once_and_the_one_before_it_ends_earlier(
        self, store: Store
    ) -> None:
        await store.signing_keys.add(signing_key("k1"))
        k2 = signing_key("k2", created_at=NOW + 1, signs_from=NOW + 500, ready_from=NOW + 100, follows="k1")
        await store.signing_keys.add(k2, retiring="k1", retires_at=NOW + 900)
        assert not await store.signing_keys.bring_forward("k2", signs_from=NOW + 500, retires_at=NOW)
        assert await store.signing_keys.bring_forward("k2", signs_from=NOW + 100, retires_at=NOW + 600)
        after = [
            replace(signing_key("k1"), retires_at=NOW + 600),
            replace(k2, signs_from=NOW + 100, ready_from=None),
        ]
        assert await store.signing_keys.list() == after
        for kid in ("k1", "k2", "unknown"):
            assert not await store.signing_keys.bring_forward(kid, signs_from=NOW, retires_at=NOW)
        assert await store.signing_keys.list() == after

    async def test_a_key_that_is_brought_forward_never_prolongs_the_one_before_it(self, store: Store) -> None:
        await store.signing_keys.add(signing_key("k1"))
        k2 = signing_key("k2", created_at=NOW + 1, signs_from=NOW + 500, ready_from=NOW + 100, follows="k1")
        await store.signing_keys.add(k2, retiring="k1", retires_at=NOW + 900)
        await store.signing_keys.retire("k1", at=NOW + 5)
        assert await store.signing_keys.bring_forward("k2", signs_from=NOW + 100, retires_at=NOW + 600)
        assert [key.retires_at for key in await store.signing_keys.list()] == [NOW + 5, None]

    async def test_a_key_is_retired_and_never_lives_longer_for_it(self, store: Store) -> None:
        await store.signing_keys.add(signing_key("k1"))
        assert await store.signing_keys.retire("k1", at=NOW + 50)
        assert await store.signing_keys.list() == [replace(signing_key("k1"), retires_at=NOW + 50)]
        entry = revocation("k1", "key")
        assert await store.signing_keys.retire("k1", at=NOW + 10, compromised=True, revocations=[entry])
        gone = replace(signing_key("k1"), retires_at=NOW + 10, compromised_at=NOW + 10)
        assert await store.signing_keys.list() == [gone]
        assert await store.revocations.find("key", "k1", at=NOW) == entry
        assert await store.signing_keys.retire("k1", at=NOW + 99, compromised=True)
        assert await store.signing_keys.list() == [gone]
        assert not await store.signing_keys.retire("unknown", at=NOW, revocations=[revocation("x")])
        assert await store.revocations.find("session", "x", at=NOW) is None
