"""The epoch map: entries are numbered once they are committed, without a gap, and merged so that they refuse more."""

from msgspec.structs import replace

from carnet.issuer.storage.ports import Store
from carnet.issuer.storage.records import Stream
from carnet.testing.storage.samples import NOW, revocation


class TestRevocations:
    async def test_entries_are_numbered_in_the_order_of_their_commits(self, store: Store) -> None:
        assert await store.revocations.head() == await store.revocations.settled() == 0
        assert await store.revocations.publish() == []
        entries = [revocation(value) for value in ("c", "a", "b")]
        await store.revocations.add(entries[:1])
        await store.revocations.add(entries[1:])
        assert await store.revocations.settled() is None, "some wait for their numbers"
        assert await store.revocations.since(0, at=NOW) == []
        assert await store.revocations.find("session", "a", at=NOW) == revocation("a")
        published = [replace(entry, sequence=number) for number, entry in enumerate(entries, start=1)]
        assert await store.revocations.publish() == published
        assert await store.revocations.publish() == []
        assert await store.revocations.head() == await store.revocations.settled() == 3
        assert await store.revocations.since(0, at=NOW) == published
        assert await store.revocations.since(1, at=NOW) == published[1:]
        assert await store.revocations.since(0, at=NOW, limit=2) == published[:2]
        assert await store.revocations.since(3, at=NOW) == []
        assert await store.revocations.find("session", "a", at=NOW) == published[1]
        assert await store.revocations.find("token", "a", at=NOW) is None

    async def test_publishing_goes_on_where_it_stopped(self, store: Store) -> None:
        await store.revocations.add([revocation(f"s{number}") for number in range(5)])
        numbers = []
        while published := await store.revocations.publish(limit=2):
            assert len(published) <= 2
            numbers += [entry.sequence for entry in published]
        assert numbers == [1, 2, 3, 4, 5]

    async def test_an_entry_counts_until_it_expires(self, store: Store) -> None:
        await store.revocations.add([revocation("a", expires_at=NOW + 10), revocation("b", expires_at=NOW + 20)])
        await store.revocations.publish()
        assert [entry.value for entry in await store.revocations.since(0, at=NOW + 10)] == ["b"]
        assert await store.revocations.find("session", "a", at=NOW + 10) is None
        assert await store.revocations.find("session", "a", at=NOW + 9) is not None

    async def test_entries_about_the_same_thing_become_one_with_a_new_number(self, store: Store) -> None:
        await store.revocations.add([revocation("ada", "subject", epoch=5, expires_at=NOW + 50), revocation("x")])
        await store.revocations.publish()
        await store.revocations.add([revocation("ada", "subject", epoch=3, expires_at=NOW + 90)])
        merged = revocation("ada", "subject", epoch=5, expires_at=NOW + 90)
        # Between the commit and its number, whoever takes a snapshot must still find it.
        assert await store.revocations.since(0, at=NOW, limit=1) == [replace(merged, sequence=1)]
        assert await store.revocations.publish() == [replace(merged, sequence=3)]
        await store.revocations.add([revocation("ada", "subject", epoch=6, expires_at=NOW + 10)])
        await store.revocations.add([revocation("ada", "subject", epoch=7, expires_at=NOW + 10)])
        last = revocation("ada", "subject", epoch=7, expires_at=NOW + 90, sequence=4)
        assert await store.revocations.publish() == [last]
        assert await store.revocations.since(1, at=NOW) == [revocation("x", sequence=2), last]

    async def test_what_refuses_outright_is_never_weakened_to_an_epoch(self, store: Store) -> None:
        await store.revocations.add([revocation("shop", "client")])
        await store.revocations.add([revocation("shop", "client", epoch=5)])
        assert await store.revocations.find("client", "shop", at=NOW) == revocation("shop", "client")
        await store.revocations.add([revocation("mart", "client", epoch=5)])
        await store.revocations.add([revocation("mart", "client")])
        assert await store.revocations.find("client", "mart", at=NOW) == revocation("mart", "client")

    async def test_the_numbers_go_on_when_the_entries_are_gone(self, store: Store) -> None:
        await store.revocations.add([revocation("a"), revocation("b")])
        await store.revocations.publish()
        while await store.sweep(at=NOW + 1000):
            pass
        assert await store.revocations.since(0, at=0) == []
        assert await store.revocations.head() == 2
        await store.revocations.add([revocation("c")])
        assert [entry.sequence for entry in await store.revocations.publish()] == [3]

    async def test_nothing_is_numbered_that_was_swept_before(self, store: Store) -> None:
        await store.revocations.add([revocation("a", expires_at=NOW + 1), revocation("b")])
        while await store.sweep(at=NOW + 1):
            pass
        assert await store.revocations.publish() == [revocation("b", sequence=1)]
        assert await store.revocations.publish() == []

    async def test_the_numbers_belong_to_one_stream_until_it_is_forgotten(self, store: Store, peer: Store) -> None:
        one, two = Stream(name="one", key=b"1"), Stream(name="two", key=b"2")
        assert await store.revocations.stream(one) == one
        assert await peer.revocations.stream(two) == one
        await peer.revocations.forget_stream()
        assert await store.revocations.stream(two) == two
