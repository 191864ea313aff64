"""RFC 8935: security events are pushed to those who asked for that: outside of any request, in order, and again if need be.

What is told waits in the store. A node takes a stream for a while, pushes its events one after the other, and gives it back;
so that none is lost with a process or a node, and one that was not taken may come twice, with the same `jti`.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct

from carnet.issuer.desk import Desk
from carnet.issuer.egress import EgressError
from carnet.issuer.revocation.signal_streams import note, sealer, with_status
from carnet.issuer.revocation.signal_tokens import signed, token_id
from carnet.issuer.storage.ports import StaleError
from carnet.issuer.storage.records import Signal, SignalStream
from carnet.oauth.security_events import MEDIA_TYPE

PAUSES: Final = (10, 60, 600, 3_600, 21_600)
"""Seconds after which a stream whose endpoint took nothing is tried again; after the last try it is paused."""
INTERVAL = 1.0
"""Seconds between two looks at where something is to be pushed."""
AT_ONCE = 10
"""Events that a stream is pushed before others have their turn."""
PATIENCE = 3.0
"""Seconds after which they have it whatever it still has to be pushed: no receiver keeps others waiting by being slow."""
LEASE = 60
"""Seconds for which a stream is one node's: longer than `AT_ONCE` requests can take."""

MOST_WAITING = 10_000
LONGEST_WAIT = 7 * 86_400
"""Events, and seconds, that a stream holds; one that exceeds them is paused, and the oldest events are dropped."""
RESTRAINING = 30.0
"""Seconds between two looks at that."""

GIVEN_UP = "The endpoint did not take events for hours."

_ALWAYS = frozenset({"invalid_request", "invalid_state"})
"""RFC 8935 section 2.4: errors of one SET that no other try mends."""

log = logging.getLogger("carnet.signals")


class _Report(Struct, frozen=True):
    """RFC 8935 section 2.3."""

    err: str
    description: str = ""


class _RefusedError(Exception):
    """The receiver does not want this event, now or later; the text is its error code."""


class _NotTakenError(Exception):
    """The receiver could not be told; the text says why."""


async def push_forever(desk: Desk) -> None:
    """Push until cancelled; what fails is tried again."""
    looked: float | None = None
    while True:
        try:
            pushed = await push(desk)
            now = desk.ambient.monotonic()
            if looked is None or now - looked >= RESTRAINING:
                looked = now
                await restrain(desk)
        except Exception:
            log.exception("Security events could not be pushed; it is tried again.")
            pushed = 0
        if not pushed:
            await asyncio.sleep(INTERVAL)


async def push(desk: Desk) -> int:
    """Push what is due, stream by stream, side by side; the answer is how many streams those were."""
    due = await desk.store.signals.due(at=desk.ambient.now(), lease=LEASE)
    await asyncio.gather(*(_serve(stream, tries, desk) for stream, tries in due))
    return len(due)


async def restrain(desk: Desk) -> None:
    """Pause the streams whose events nobody takes."""
    now = desk.ambient.now()
    for stream in await desk.store.signals.restrain(at=now, most=MOST_WAITING, age=LONGEST_WAIT):
        await note(desk, "signal_stream.paused", stream, reason=stream.reason)


async def _serve(stream: SignalStream, tries: int, desk: Desk) -> None:
    client = await desk.store.clients.get(stream.client_id)
    if client is None:  # and so the stream
        return
    began = desk.ambient.monotonic()
    for _ in range(AT_ONCE):
        if desk.ambient.monotonic() - began >= PATIENCE:
            break
        # One at a time: a stream may be paused, or deleted, meanwhile.
        waiting, _ = await desk.store.signals.waiting(stream.stream_id, limit=1)
        if not waiting:
            break
        [signal] = waiting
        [token] = (await signed(waiting, client, desk)).values()
        try:
            await _send(stream, token, desk)
        except _RefusedError as refusal:
            await note(desk, "signal.refused", stream, jti=token_id(signal), err=str(refusal))
        except _NotTakenError as error:
            log.warning("The stream %s could not be told: %s", stream.stream_id, error)
            await _put_off(stream, signal, tries, desk)
            return
        await desk.store.signals.delivered(stream.stream_id, [(signal.number, signal.at)])
    await desk.store.signals.rest(stream.stream_id, until=desk.ambient.now(), tries=0)


async def _put_off(stream: SignalStream, signal: Signal, tries: int, desk: Desk) -> None:
    now = desk.ambient.now()
    if tries < len(PAUSES):
        await desk.store.signals.rest(stream.stream_id, until=now + PAUSES[tries], tries=tries + 1)
    elif stream.status == "enabled":
        with suppress(StaleError):  # its receiver has just changed it: that is a sign of life
            after = with_status(stream, "paused", GIVEN_UP, at=now)
            await desk.store.signals.replace(stream, after, telling=True)
            await note(desk, "signal_stream.paused", stream, reason=GIVEN_UP)
    else:  # not even the word that it is paused
        await desk.store.signals.delivered(stream.stream_id, [(signal.number, signal.at)])


async def _send(stream: SignalStream, token: str, desk: Desk) -> None:
    """RFC 8935 sections 2.1 and 2.2: 202, or 200 and 204 as some have it."""
    headers = {"Content-Type": MEDIA_TYPE, "Accept": "application/json"}
    if stream.sealed_authorization is not None:
        header = sealer(desk).open(stream.sealed_authorization, context=stream.stream_id.encode())
        headers["Authorization"] = header.decode()
    try:
        fetched = await desk.egress.request("POST", stream.endpoint_url or "", headers=headers, content=token.encode())
    except EgressError as error:
        raise _NotTakenError(str(error)) from None
    if fetched.status in {200, 202, 204}:
        return
    if fetched.status == 400:
        with suppress(msgspec.DecodeError):
            report = msgspec.json.decode(fetched.body, type=_Report)
            if report.err in _ALWAYS:
                raise _RefusedError(report.err)
    raise _NotTakenError(f"it answers {fetched.status}")
