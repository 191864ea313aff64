"""The revocation feed over HTTP, as an issuer or a relay serves it: server-sent events (HTML section 9.2) or polling.

Whoever may fetch the key set may follow the feed: what it says is keyed hashes, and guards need no credential to be guards.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from carnet.ambient import Ambient
from carnet.feed.channel import Channel, GapError, Signed
from carnet.feed.roster import Listener, introduced

LONGEST_POLL = 25
"""Seconds that a poll waits for news; a heartbeat comes earlier."""

_RETRY = {"Retry-After": "5"}
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How many may listen at once; beyond it, relays should stand between (`carnet relay`)."""

    listeners: int = 10_000
    per_address: int = 1_000
    """From one address, so that no single one takes all places."""


def snapshot_answer(body: bytes) -> Response:
    """All entries that count, as `carnet.feed.messages.read_snapshot` reads them."""
    return Response(body, media_type="application/octet-stream", headers=_HEADERS)


async def follow(
    request: Request, channel: Channel, ambient: Ambient, *, limits: Limits, address: str | None
) -> Response:
    """The messages that join on to `after` in `stream`; 410 if only a snapshot helps.

    A listener may name itself (`guard`, or the header `Carnet-Guard`) and the keys that it holds (`keys`, their kids); a relay
    also for how many it stands (`guards`) and which of them lack a key (`lacking`, several times). `address` is where it comes
    from, if that can be told.
    """
    try:
        listener = _listener(request, ambient, address or "")
    except ValueError as error:
        return error_answer(400, "invalid_request", str(error))
    if channel.listeners >= limits.listeners:
        return error_answer(503, "temporarily_unavailable", "Too many listen here.", _RETRY)
    if address is not None and channel.roster.at(address) >= limits.per_address:
        return error_answer(429, "temporarily_unavailable", "Too many listen from this address: use a relay.", _RETRY)
    if not channel.joins(stream=listener.stream, after=listener.sequence):
        return error_answer(410, "gap", "Nothing here joins on to that place: take a snapshot.")
    if not listener.polls:
        return StreamingResponse(_events(channel, listener, ambient), media_type="text/event-stream", headers=_HEADERS)
    return JSONResponse({"messages": await _poll(channel, listener, ambient)}, headers=_HEADERS)


def error_answer(status: int, code: str, description: str, headers: dict[str, str] | None = None) -> Response:
    """An error in the form that OAuth's have."""
    return JSONResponse({"error": code, "error_description": description}, status, headers=_HEADERS | (headers or {}))


def _listener(request: Request, ambient: Ambient, address: str) -> Listener:
    """Raises ValueError with a sentence for whoever asks."""
    said = request.query_params
    name, kids = said.get("guard", request.headers.get("carnet-guard", "")), said.get("keys")
    stream, sequence = _place(request)
    now = ambient.now()
    return Listener(
        introduction=introduced(
            name,
            None if kids is None else kids.split(),
            guards=said.get("guards", ""),
            lacking=said.getlist("lacking"),
        ),
        stream=stream,
        sequence=sequence,
        since=now,
        told_at=now,
        polls="text/event-stream" not in request.headers.get("accept", ""),
        address=address,
    )


def _place(request: Request) -> tuple[str, int]:
    """From `Last-Event-ID` after a broken connection, else from the query."""
    last = request.headers.get("last-event-id")
    if last is not None:
        stream, _, number = last.rpartition(":")
    else:
        stream, number = request.query_params.get("stream", ""), request.query_params.get("after", "")
    if not stream or not (number.isascii() and number.isdecimal()) or len(number) > 16:
        raise ValueError("Give stream and after: where the last message, or the snapshot, ended.")
    return stream, int(number)


async def _events(channel: Channel, listener: Listener, ambient: Ambient) -> AsyncIterator[str]:
    with channel.roster.entered(listener):
        try:
            async for signed in channel.listen(stream=listener.stream, after=listener.sequence):
                yield _event(signed)
                listener.told(signed.message.sequence, at=ambient.now())
        except GapError:
            yield "event: gap\ndata: {}\n\n"


def _event(signed: Signed) -> str:
    message = signed.message
    return f"event: message\nid: {message.stream}:{message.sequence}\ndata: {signed.token}\n\n"


async def _poll(channel: Channel, listener: Listener, ambient: Ambient) -> list[str]:
    """What is new at once; if nothing is, the next message, or none when the wait is over."""
    messages = channel.listen(stream=listener.stream, after=listener.sequence, with_newest=False)
    tokens: list[str] = []
    with channel.roster.entered(listener):
        try:
            async with asyncio.timeout(LONGEST_POLL):
                async for signed in messages:
                    tokens.append(signed.token)
                    listener.told(signed.message.sequence, at=ambient.now())
                    if signed is channel.newest:
                        break
        except (TimeoutError, GapError):
            pass
        finally:
            await messages.aclose()
    return tokens
