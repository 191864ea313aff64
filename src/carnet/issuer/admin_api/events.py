"""The audit trail, newest first."""

from typing import Any

from msgspec import Struct

from carnet.ambient import Instant
from carnet.issuer.admin_api.resource import Asked, Operation, PageQuery, Resource, page
from carnet.issuer.storage.records import Event as Stored


class EventQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    subject: str | None = None
    client_id: str | None = None
    name: str | None = None
    actor: str | None = None
    since: Instant | None = None
    until: Instant | None = None
    """This instant is not in it."""


class Event(Struct, frozen=True, kw_only=True):
    number: int
    at: Instant
    name: str
    subject: str | None
    client_id: str | None
    sid: str | None
    actor: str | None
    """Who did it, if that is not the subject."""
    actor_client_id: str | None
    """The app whose access token they did it with, if it is not the actor itself."""
    address: str | None
    detail: dict[str, Any]


class Events(Struct, frozen=True, kw_only=True):
    items: list[Event]
    next: str | None
    """The cursor of the next page; None: this is the last."""


async def list_(asked: Asked) -> Events:
    query: EventQuery = asked.query

    async def read(after: int | None, limit: int) -> list[tuple[int, Stored]]:
        return await asked.desk.store.events.list(
            before=after,
            limit=limit,
            subject=query.subject,
            client_id=query.client_id,
            name=query.name,
            actor=query.actor,
            since=query.since,
            until=query.until,
        )

    found, more = await page(asked, "events", read, lambda line: line[0])
    names = Stored.__struct_fields__
    items = [Event(number=number, **{name: getattr(event, name) for name in names}) for number, event in found]
    return Events(items=items, next=more)


RESOURCE = Resource(
    "events",
    (
        Operation(
            method="GET", path="/events", summary="List the audit trail", act=list_, query=EventQuery, answer=Events
        ),
    ),
)
