"""RFC 8936: receivers fetch their security events, and say which they have."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import json_answer
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.revocation.signal_streams import note, read
from carnet.issuer.revocation.signal_tokens import marks, signed
from carnet.issuer.signal_receivers import UnknownStreamError, receiver, stream_of
from carnet.issuer.storage.records import Client, Signal, SignalStream
from carnet.oauth.errors import InvalidRequestError
from carnet.oauth.security_events import READ

MOST_EVENTS = 100
"""In one answer."""
LONGEST_POLL = 20.0
"""Seconds that a receiver is kept waiting where there is nothing."""
TURN = 0.5
"""Seconds between two looks at whether there is something by now."""
MOST_WAITING = 200
"""Receivers that wait at one node; a further one, and a second one for the same stream, is answered at once."""

_MOST_REPORTS = 20
_LONGEST_REPORT = 200


class _Report(Struct, frozen=True):
    """RFC 8936 section 2.6."""

    err: str
    description: str = ""


class _Poll(Struct, frozen=True, rename="camel"):
    """Section 2.2."""

    max_events: Annotated[int, Meta(ge=0)] = MOST_EVENTS
    return_immediately: bool = False
    ack: tuple[str, ...] = ()
    set_errs: dict[str, _Report] = {}


@receiver(READ)
async def poll(request: Request, client: Client, desk: Desk) -> Response:
    """Section 2.4: take what is acknowledged or refused off the stream, and give what comes next."""
    stream = await stream_of(client, request.path_params["stream_id"], desk)
    if stream.endpoint_url is not None:
        raise UnknownStreamError("The events of this stream are pushed.")
    asked = _asked(read(await request.body()))
    await _take_off(stream, asked, desk)
    limit = min(asked.max_events, MOST_EVENTS)
    signals, more = await _next(stream, limit, desk, patient=limit > 0 and not asked.return_immediately)
    document: dict[str, Any] = {"sets": await signed(signals, client, desk)}
    if more:
        document["moreAvailable"] = True
    return json_answer(document)


def _asked(given: Mapping[str, Any]) -> _Poll:
    try:
        return msgspec.convert(msgspec.to_builtins(given), _Poll)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(f"The request is not as RFC 8936 section 2.2 has it: {error}.") from None


async def _take_off(stream: SignalStream, asked: _Poll, desk: Desk) -> None:
    """Section 2.4.4: an event that the receiver cannot use is not offered again; the audit trail has its error."""
    done = marks([*asked.ack, *asked.set_errs])
    if done:
        await desk.store.signals.delivered(stream.stream_id, done)
    for jti, report in list(asked.set_errs.items())[:_MOST_REPORTS]:
        detail = {"jti": jti[:_LONGEST_REPORT], "err": report.err[:_LONGEST_REPORT]}
        await note(desk, "signal.refused", stream, **detail)


async def _next(stream: SignalStream, limit: int, desk: Desk, *, patient: bool) -> tuple[list[Signal], bool]:
    """What comes next; who is patient waits a while where there is nothing."""
    page, more = await desk.store.signals.waiting(stream.stream_id, limit=limit)
    polling = desk.polling
    if page or not patient or stream.stream_id in polling or len(polling) >= MOST_WAITING:
        return page, more
    polling.add(stream.stream_id)
    try:
        until = desk.ambient.monotonic() + LONGEST_POLL
        while not page and desk.ambient.monotonic() < until and not desk.publisher.channel.closed:
            await asyncio.sleep(TURN)
            page, more = await desk.store.signals.waiting(stream.stream_id, limit=limit)
    finally:
        polling.discard(stream.stream_id)
    return page, more


ENDPOINTS = (Endpoint("/ssf/poll/{stream_id}", ("POST",), poll, mtls=True),)
