"""The audit trail: numbered lines, newest first, which go when their time is over."""

from typing import Any

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

    async def test_events_are_listed_by_what_is_asked_for(self, store: Store) -> None:
        events = [
            Event(at=NOW, name="client.changed", client_id="shop", actor="cli"),
            Event(at=NOW + 1, name="client.changed", client_id="other", actor="cli"),
            Event(at=NOW + 2, name="roles.changed", subject="ada", actor="cli"),
            Event(at=NOW + 3, name="client.changed", client_id="shop", actor="bob"),
        ]
        for event in events:
            await store.events.add(event)

        async def found(**asked: Any) -> list[int]:
            return [event.at - NOW for _, event in await store.events.list(**asked)]

        assert await found(client_id="shop") == [3, 0]
        assert await found(name="client.changed") == [3, 1, 0]
        assert await found(name="client.changed", actor="cli") == [1, 0]
        assert await found(since=NOW + 1, until=NOW + 3) == [2, 1]
        assert await found(since=NOW + 1, actor="bob", limit=1) == [3]
        assert await found(subject="ada", client_id="shop") == []

    async def test_old_events_go_in_small_steps_and_no_others(self, store: Store) -> None:
        for number in range(7):
            await store.events.add(Event(at=NOW + number, name="sign_in.succeeded"))
        assert await store.events.sweep(before=NOW + 5, limit=3) == 3
        assert [event.at for _, event in await store.events.list()] == [NOW + 6, NOW + 5, NOW + 4, NOW + 3]
        assert await store.events.sweep(before=NOW + 5, limit=3) == 2
        assert await store.events.sweep(before=NOW + 5, limit=3) == 0
        assert [event.at for _, event in await store.events.list()] == [NOW + 6, NOW + 5]
