"""The revocation feed over HTTP: a signed snapshot, then signed messages as server-sent events (HTML section 9.2) or by polling.

Whoever may fetch the key set may follow the feed: what it says is keyed hashes, and guards need no credential to be guards.
"""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from carnet.feed.channel import Channel, GapError, Signed
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint

MAX_LISTENERS = 10_000
"""Beyond it, relays should stand between (`carnet relay`)."""
LONGEST_POLL = 25
"""Seconds that a poll waits for news; a heartbeat comes earlier."""

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def snapshot(_request: Request, desk: Desk) -> Response:
    """All entries that count, as `carnet.feed.messages.read_snapshot` reads them."""
    body = await desk.publisher.snapshot()
    return Response(body, media_type="application/octet-stream", headers=_HEADERS)


async def follow(request: Request, desk: Desk) -> Response:
    """The messages that join on to `after` in `stream`; 410 if only a snapshot helps."""
    channel = desk.publisher.channel
    try:
        stream, after = _place(request)
    except ValueError:
        return _error(400, "invalid_request", "Give stream and after: where the last message, or the snapshot, ended.")
    if channel.listeners >= MAX_LISTENERS:
        return _error(503, "temporarily_unavailable", "Too many listen here.", {"Retry-After": "5"})
    if not channel.joins(stream=stream, after=after):
        return _error(410, "gap", "Nothing here joins on to that place: take a snapshot.")
    if "text/event-stream" in request.headers.get("accept", ""):
        return StreamingResponse(_events(channel, stream, after), media_type="text/event-stream", headers=_HEADERS)
    return JSONResponse({"messages": await _poll(channel, stream, after)}, headers=_HEADERS)


def _place(request: Request) -> tuple[str, int]:
    """From `Last-Event-ID` after a broken connection, else from the query."""
    last = request.headers.get("last-event-id")
    if last is not None:
        stream, _, number = last.rpartition(":")
    else:
        stream, number = request.query_params.get("stream", ""), request.query_params.get("after", "")
    if not stream or not (number.isascii() and number.isdecimal()) or len(number) > 16:
        raise ValueError("no place")
    return stream, int(number)


async def _events(channel: Channel, stream: str, after: int) -> AsyncIterator[str]:
    try:
        async for signed in channel.listen(stream=stream, after=after):
            yield _event(signed)
    except GapError:
        yield "event: gap\ndata: {}\n\n"


def _event(signed: Signed) -> str:
    message = signed.message
    return f"event: message\nid: {message.stream}:{message.sequence}\ndata: {signed.token}\n\n"


async def _poll(channel: Channel, stream: str, after: int) -> list[str]:
    """What is new at once; if nothing is, the next message, or none when the wait is over."""
    listener = channel.listen(stream=stream, after=after, with_newest=False)
    tokens: list[str] = []
    try:
        async with asyncio.timeout(LONGEST_POLL):
            async for signed in listener:
                tokens.append(signed.token)
                if signed is channel.newest:
                    break
    except (TimeoutError, GapError):
        pass
    finally:
        await listener.aclose()
    return tokens


def _error(status: int, code: str, description: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": code, "error_description": description}, status, headers=_HEADERS | (headers or {}))


ENDPOINTS = (
    Endpoint("/revocations", ("GET",), follow, metadata="revocations_endpoint", cors="any"),
    Endpoint("/revocations/snapshot", ("GET",), snapshot, metadata="revocations_snapshot_endpoint", cors="any"),
)
