"""Rule O12: counters that slow guessing down."""

from carnet.issuer.storage.ports import Store
from carnet.testing.storage.samples import DAY, NOW


class TestThrottle:
    async def test_each_key_is_counted_by_itself_until_its_window_is_over(self, store: Store) -> None:
        hits = [await store.throttle.hit("ada", at=NOW + second, window=60) for second in (0, 1, 59, 60, 61)]
        assert hits == [1, 2, 3, 1, 2]
        assert await store.throttle.hit("bob", at=NOW, window=60) == 1

    async def test_a_key_may_be_any_text(self, store: Store) -> None:
        for key in ("", "é", "\0", "\ud800", "k" * 10_000):
            assert [await store.throttle.hit(key, at=NOW, window=60) for _ in range(2)] == [1, 2]

    async def test_what_is_taken_back_is_not_counted(self, store: Store) -> None:
        for key in ("ada", "ada", "bob"):
            await store.throttle.hit(key, at=NOW, window=60)
        for _ in range(2):
            await store.throttle.take_back(["bob", "unknown", "ada"])
        assert [await store.throttle.hit(key, at=NOW, window=60) for key in ("ada", "bob", "unknown")] == [1, 1, 1]

    async def test_clearing_begins_anew(self, store: Store) -> None:
        await store.throttle.hit("ada", at=NOW, window=60)
        await store.throttle.hit("bob", at=NOW, window=60)
        await store.throttle.clear("ada")
        await store.throttle.clear("unknown")
        assert await store.throttle.hit("ada", at=NOW, window=60) == 1
        assert await store.throttle.hit("bob", at=NOW, window=60) == 2

    async def test_a_clock_that_is_set_back_does_not_lock_anybody_out_for_long(self, store: Store) -> None:
        for _ in range(5):
            await store.throttle.hit("ada", at=NOW, window=60)
        assert await store.throttle.hit("ada", at=NOW - DAY, window=60) == 1
        assert await store.throttle.hit("ada", at=NOW - DAY + 1, window=60) == 2
