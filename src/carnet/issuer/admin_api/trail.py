"""The audit trail as somebody's program writes it: whatever an operation notes says by which app it came, and from where."""

from copy import copy
from dataclasses import replace

from msgspec import structs

from carnet.issuer.admin_api.resource import Caller
from carnet.issuer.desk import Desk
from carnet.issuer.storage.ports import Events
from carnet.issuer.storage.records import Event


class CallersEvents:
    """The store's events, for one request."""

    def __init__(self, events: Events, caller: Caller) -> None:
        self._events = events
        self._caller = caller
        self.list = events.list
        self.sweep = events.sweep

    async def add(self, event: Event) -> None:
        actor, app = self._caller.actor, self._caller.client_id
        line = structs.replace(
            event,
            actor_client_id=app if app != actor.subject else None,
            address=actor.address if event.address is None else event.address,
        )
        await self._events.add(line)


def noting(desk: Desk, caller: Caller) -> Desk:
    """The desk at which a caller's operation is done."""
    store = copy(desk.store)
    store.events = CallersEvents(desk.store.events, caller)
    return replace(desk, store=store)
