"""The audit trail: numbered lines, newest first."""

from carnet.issuer.storage.ports import Store
from carnet.issuer.storage.records import Event
from carnet.testing.storage.samples import NOW


class TestEvents:
    async def test_events_are_listed_newest_first_and_page_by_page(self, store: Store) -> None:
        events = [
            Event(
                at=NOW + number, name="sign_in.succeeded", subject="ada" if number % 2 else None, detail={"n": number}
            )
            for number in range(5)
        ]
        for event in events:
            await store.events.add(event)
        listed = await store.events.list()
        assert [event for _, event in listed] == events[::-1]
        numbers = [number for number, _ in listed]
        assert numbers == sorted(numbers, reverse=True)
        assert await store.events.list(limit=2) == listed[:2]
        assert await store.events.list(before=numbers[1]) == listed[2:]
        assert [event for _, event in await store.events.list(subject="ada")] == [events[3], events[1]]
        assert await store.events.list(subject="nobody") == []
