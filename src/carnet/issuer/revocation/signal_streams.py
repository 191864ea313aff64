"""OpenID Shared Signals Framework section 8.1.1: what a receiver may ask of its stream, and what it is told of it."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from carnet.ambient import Instant
from carnet.issuer.desk import Desk
from carnet.issuer.egress import EgressError
from carnet.issuer.opaque import fresh_name
from carnet.issuer.storage.records import Event, SignalStream, StreamStatus
from carnet.jose import JoseError
from carnet.jose.strict_json import parse_object
from carnet.oauth.errors import InvalidRequestError
from carnet.oauth.security_events import METHODS, POLL, PUSH, SUPPORTED
from carnet.sealing import Sealer

MOST_STREAMS = 10
"""Of one client."""
MIN_VERIFICATION_INTERVAL = 5
"""Seconds."""

Wish = TypeVar("Wish")

_MOST_EVENTS = 100
_LONGEST_EVENT = 500
_LONGEST_TEXT = 500
"""Of a description or a reason; the rest is cut off (section 8.1.1)."""
_LONGEST_HEADER = 4_000
_OURS = ("iss", "aud", "events_supported", "events_delivered", "min_verification_interval")
"""What the transmitter says: whoever repeats it says the same (sections 8.1.1.3 and 8.1.1.4)."""


class Delivery(Struct, frozen=True, kw_only=True):
    """Section 6.1."""

    method: str
    endpoint_url: str | None = None
    authorization_header: str | UnsetType | None = UNSET


class Wishes(Struct, frozen=True, kw_only=True):
    """What the receiver says: the members that are its own; further ones are passed over."""

    stream_id: str | UnsetType = UNSET
    delivery: Delivery | UnsetType = UNSET
    events_requested: tuple[str, ...] | UnsetType = UNSET
    description: str | UnsetType = UNSET


class StatusWish(Struct, frozen=True, kw_only=True):
    """Section 8.1.2.2."""

    stream_id: str
    status: StreamStatus
    reason: str | None = None


def read(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a request.

    Raises:
        InvalidRequestError: it is none.
    """
    try:
        return parse_object(body)
    except JoseError as error:
        raise InvalidRequestError(f"The request is not one JSON object: {error}") from None


def wishes(given: Mapping[str, Any]) -> Wishes:
    """Raises InvalidRequestError."""
    return _converted(given, Wishes)


def status_wish(given: Mapping[str, Any]) -> StatusWish:
    """Raises InvalidRequestError."""
    return _converted(given, StatusWish)


def begun(client_id: str, asked: Wishes, desk: Desk) -> SignalStream:
    """Section 8.1.1.1: a new stream; without a word on delivery, the receiver polls.

    Raises:
        InvalidRequestError: it cannot be.
    """
    now = desk.ambient.now()
    stream = SignalStream(stream_id=fresh_name(desk.ambient), client_id=client_id, created_at=now, updated_at=now)
    return replaced(stream, asked, desk)


def updated(stream: SignalStream, asked: Wishes, desk: Desk) -> SignalStream:
    """Section 8.1.1.3: what the receiver says is changed, and nothing else.

    Raises:
        InvalidRequestError: it cannot be.
    """
    changes: dict[str, Any] = {"updated_at": desk.ambient.now()}
    if asked.events_requested is not UNSET:
        changes["events_requested"] = _events(asked.events_requested)
    if asked.description is not UNSET:
        changes["description"] = asked.description[:_LONGEST_TEXT]
    if asked.delivery is not UNSET:
        changes |= _delivery(stream, asked.delivery, desk)
    return replace(stream, **changes)


def replaced(stream: SignalStream, asked: Wishes, desk: Desk) -> SignalStream:
    """Section 8.1.1.4: what the receiver does not say is taken away.

    Raises:
        InvalidRequestError: it cannot be.
    """
    bare = replace(stream, events_requested=None, description=None)
    return updated(bare, asked if asked.delivery is not UNSET else replace(asked, delivery=Delivery(method=POLL)), desk)


def with_status(stream: SignalStream, status: StreamStatus, reason: str | None, *, at: Instant) -> SignalStream:
    """Section 8.1.2.2."""
    return replace(stream, status=status, reason=reason[:_LONGEST_TEXT] if reason else None, updated_at=at)


async def order(
    desk: Desk, stream: SignalStream, status: StreamStatus, reason: str | None, *, actor: str
) -> SignalStream:
    """Section 8.1.5: whoever runs the issuer sets the status of a stream, whose receiver is told by an event.

    Raises:
        StaleError: it was changed meanwhile.
    """
    after = with_status(stream, status, reason, at=desk.ambient.now())
    await desk.store.signals.replace(stream, after, telling=True)
    await note(desk, "signal_stream.changed", stream, actor=actor, status=status)
    return after


async def remove(desk: Desk, stream: SignalStream, *, actor: str) -> None:
    """Whoever runs the issuer deletes a stream with all that waits on it.

    Raises:
        StaleError: it was changed meanwhile.
    """
    if await desk.store.signals.remove(stream.stream_id, seen=stream):
        await note(desk, "signal_stream.removed", stream, actor=actor)


async def note(
    desk: Desk,
    name: str,
    stream: SignalStream,
    *,
    actor: str | None = None,
    subject: str | None = None,
    address: str | None = None,
    **detail: object,
) -> None:
    """Add a line about a stream to the audit trail."""
    await desk.store.events.add(
        Event(
            at=desk.ambient.now(),
            name=name,
            subject=subject,
            client_id=stream.client_id,
            actor=actor,
            address=address,
            detail={"stream_id": stream.stream_id, **detail},
        )
    )


def check_ours(given: Mapping[str, Any], stream: SignalStream, desk: Desk) -> None:
    """Refuse a request that has another view of what the transmitter says.

    Raises:
        InvalidRequestError.
    """
    configuration = describe(stream, desk)
    for name in _OURS:
        said = list(given[name]) if isinstance(given.get(name), tuple) else given.get(name)
        if name in given and said != configuration[name]:
            raise InvalidRequestError(f"{name} is not what this stream has: leave it out, or read the stream again.")


def describe(stream: SignalStream, desk: Desk) -> dict[str, Any]:
    """Section 8.1.1: the stream's configuration. The header that goes with pushes is the receiver's secret, and not told."""
    method = POLL if stream.endpoint_url is None else PUSH
    url = stream.endpoint_url or f"{desk.config.issuer}/ssf/poll/{stream.stream_id}"
    requested = stream.events_requested or ()
    document: dict[str, Any] = {
        "stream_id": stream.stream_id,
        "iss": desk.config.issuer,
        "aud": stream.client_id,
        "delivery": {"method": method, "endpoint_url": url},
        "events_supported": list(SUPPORTED),
        "events_delivered": [event for event in SUPPORTED if event in requested],
        "min_verification_interval": MIN_VERIFICATION_INTERVAL,
    }
    if stream.events_requested is not None:
        document["events_requested"] = list(stream.events_requested)
    if stream.description is not None:
        document["description"] = stream.description
    return document


def describe_status(stream: SignalStream) -> dict[str, Any]:
    """Section 8.1.2.1."""
    document = {"stream_id": stream.stream_id, "status": stream.status}
    return document if stream.reason is None else {**document, "reason": stream.reason}


def sealer(desk: Desk) -> Sealer:
    """What keeps the headers that go with pushes; the stream_id is the context."""
    return Sealer(desk.secret, "signal-stream", ambient=desk.ambient)


def _converted(given: Mapping[str, Any], kind: type[Wish]) -> Wish:
    try:
        return msgspec.convert(msgspec.to_builtins(given), kind)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(f"The request is not as it must be: {error}.") from None


def _events(asked: tuple[str, ...]) -> tuple[str, ...]:
    """Section 8.1.1: those that are not known here are passed over, and told back all the same."""
    if len(asked) > _MOST_EVENTS or not all(
        0 < len(event) <= _LONGEST_EVENT and event.isprintable() for event in asked
    ):
        raise InvalidRequestError(
            f"events_requested has at most {_MOST_EVENTS} URIs of at most {_LONGEST_EVENT} printable characters."
        )
    return asked


def _delivery(stream: SignalStream, asked: Delivery, desk: Desk) -> dict[str, Any]:
    """Section 6.1: a header that was given with the same URL before, and is not named now, stays."""
    if asked.method not in METHODS:
        raise InvalidRequestError(f"The delivery method is none of {' and '.join(METHODS)}.")
    if asked.method == POLL:
        return {"endpoint_url": None, "sealed_authorization": None}
    if asked.endpoint_url is None:
        raise InvalidRequestError("Events can only be pushed to an endpoint_url.")
    try:
        desk.egress.check_url(asked.endpoint_url)
    except EgressError as error:
        raise InvalidRequestError(f"endpoint_url: {error}") from None
    header = asked.authorization_header
    if header is UNSET:
        kept = stream.sealed_authorization if asked.endpoint_url == stream.endpoint_url else None
        return {"endpoint_url": asked.endpoint_url, "sealed_authorization": kept}
    return {"endpoint_url": asked.endpoint_url, "sealed_authorization": _sealed(stream, header, desk)}


def _sealed(stream: SignalStream, header: str | None, desk: Desk) -> bytes | None:
    if not header:
        return None
    if len(header) > _LONGEST_HEADER or not header.isascii() or not header.isprintable():
        raise InvalidRequestError(f"authorization_header has at most {_LONGEST_HEADER} printable ASCII characters.")
    return sealer(desk).seal(header.encode(), context=stream.stream_id.encode())
