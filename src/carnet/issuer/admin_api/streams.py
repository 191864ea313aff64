"""OpenID Shared Signals Framework section 8: the streams of security events; receivers make them, here they are looked after."""

from typing import Literal

from msgspec import Struct

from carnet.ambient import Instant
from carnet.issuer.admin_api.problems import NotFound, Stale
from carnet.issuer.admin_api.resource import Asked, Operation, PageQuery, Resource, page
from carnet.issuer.revocation import signal_streams
from carnet.issuer.storage.records import SignalStream, StreamStatus


class Stream(Struct, frozen=True, kw_only=True):
    """Never the Authorization header of its pushes."""

    stream_id: str
    client_id: str
    """Of its receiver."""
    delivery: Literal["push", "poll"]
    endpoint_url: str | None
    events_requested: tuple[str, ...] | None
    """None: it was not said; such a stream gets none."""
    description: str | None
    status: StreamStatus
    reason: str | None
    created_at: Instant
    updated_at: Instant


class ListedStream(Stream, frozen=True, kw_only=True):
    waiting: int
    """Events that wait to be delivered."""


class Streams(Struct, frozen=True, kw_only=True):
    items: list[ListedStream]
    next: str | None
    """The cursor of the next page; None: this is the last."""


class Pause(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: str | None = None
    """What its receiver is told."""


_MEMBERS = [name for name in Stream.__struct_fields__ if name != "delivery"]


def _members(stream: SignalStream) -> dict[str, object]:
    delivery = "poll" if stream.endpoint_url is None else "push"
    return {"delivery": delivery, **{name: getattr(stream, name) for name in _MEMBERS}}


def shown(stream: SignalStream) -> Stream:
    return Stream(**_members(stream))  # type: ignore[arg-type]  # the record has the types


async def list_(asked: Asked) -> Streams:
    async def read(after: str | None, limit: int) -> list[tuple[SignalStream, int]]:
        return await asked.desk.store.signals.list(after=after, limit=limit)

    found, more = await page(asked, "streams", read, lambda line: line[0].stream_id)
    items = [ListedStream(waiting=waiting, **_members(stream)) for stream, waiting in found]  # type: ignore[arg-type]
    return Streams(items=items, next=more)


async def show(asked: Asked) -> Stream:
    return shown(await _stream(asked))


async def pause(asked: Asked) -> Stream:
    wanted: Pause = asked.body
    return await _ordered(asked, "paused", wanted.reason)


async def resume(asked: Asked) -> Stream:
    return await _ordered(asked, "enabled", None)


async def _ordered(asked: Asked, status: StreamStatus, reason: str | None) -> Stream:
    stream = await _stream(asked)
    return shown(await signal_streams.order(asked.desk, stream, status, reason, actor=asked.caller.actor.subject))


async def remove(asked: Asked) -> None:
    stream = await _stream(asked)
    asked.check_match(shown(stream))
    await signal_streams.remove(asked.desk, stream, actor=asked.caller.actor.subject)


async def _stream(asked: Asked) -> SignalStream:
    stream = await asked.desk.store.signals.get(asked.path["stream_id"])
    if stream is None:
        raise NotFound(f"There is no stream {asked.path['stream_id']!r}.")
    return stream


ONE = "/streams/{stream_id}"

RESOURCE = Resource(
    "streams",
    (
        Operation(
            method="GET",
            path="/streams",
            summary="List the streams of security events, with how many wait on each",
            act=list_,
            query=PageQuery,
            answer=Streams,
        ),
        Operation(
            method="GET", path=ONE, summary="Show a stream", act=show, answer=Stream, tagged=True, problems=(NotFound,)
        ),
        Operation(
            method="DELETE",
            path=ONE,
            summary="Delete a stream with all that waits on it",
            act=remove,
            problems=(NotFound,),
        ),
        Operation(
            method="POST",
            path=f"{ONE}/pause",
            summary="Hold a stream's events; its receiver is told so",
            act=pause,
            body=Pause,
            answer=Stream,
            tagged=True,
            problems=(NotFound, Stale),
        ),
        Operation(
            method="POST",
            path=f"{ONE}/resume",
            summary="Let a stream's events go out again; its receiver is told so",
            act=resume,
            answer=Stream,
            tagged=True,
            problems=(NotFound, Stale),
        ),
    ),
)
