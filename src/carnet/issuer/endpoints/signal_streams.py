"""OpenID Shared Signals Framework sections 7 and 8: how receivers find the transmitter, and manage their streams."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import NO_STORE, json_answer
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.http_security import written_address
from carnet.issuer.revocation import signal_streams as rules
from carnet.issuer.revocation.signal_subjects import person_named
from carnet.issuer.signal_receivers import (
    ChangedMeanwhileError,
    TooManyRequestsError,
    TooManyStreamsError,
    named_stream,
    receiver,
    stream_of,
)
from carnet.issuer.storage.ports import StaleError
from carnet.issuer.storage.records import Client, Happening, SignalStream
from carnet.oauth.errors import InvalidRequestError
from carnet.oauth.security_events import MANAGE, METHODS, READ, VERIFICATION

_SOON = {"Cache-Control": "public, max-age=300"}
_LONGEST_STATE = 1_000


async def configuration(_request: Request, desk: Desk) -> Response:
    """Section 7.1.1. A receiver that cannot tell one session from another must not take its end for that of all."""
    issuer = desk.config.issuer
    document = {
        "spec_version": "1_0",
        "issuer": issuer,
        "jwks_uri": desk.metadata["jwks_uri"],
        "delivery_methods_supported": list(METHODS),
        "configuration_endpoint": f"{issuer}/ssf/streams",
        "status_endpoint": f"{issuer}/ssf/status",
        "add_subject_endpoint": f"{issuer}/ssf/subjects/add",
        "remove_subject_endpoint": f"{issuer}/ssf/subjects/remove",
        "verification_endpoint": f"{issuer}/ssf/verification",
        "critical_subject_members": ["session", "user"],
        "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
        "default_subjects": "ALL",
    }
    return json_answer(document, headers=_SOON)


@receiver(MANAGE)
async def create(request: Request, client: Client, desk: Desk) -> Response:
    """Section 8.1.1.1."""
    asked = rules.wishes(rules.read(await request.body()))
    stream = rules.begun(client.client_id, asked, desk)
    if not await desk.store.signals.add(stream, most=rules.MOST_STREAMS):
        raise TooManyStreamsError(f"A client has at most {rules.MOST_STREAMS} streams: delete one first.")
    await _note("signal_stream.created", stream, request, desk)
    return json_answer(rules.describe(stream, desk), status=201)


@receiver(READ)
async def show(request: Request, client: Client, desk: Desk) -> Response:
    """Section 8.1.1.2: one, or all that the client has."""
    stream_id = request.query_params.get("stream_id")
    if stream_id is not None:
        return json_answer(rules.describe(await stream_of(client, stream_id, desk), desk))
    streams = await desk.store.signals.of(client.client_id)
    return json_answer([rules.describe(stream, desk) for stream in streams])


@receiver(MANAGE)
async def update(request: Request, client: Client, desk: Desk) -> Response:
    """Section 8.1.1.3."""
    return await _rewrite(request, client, desk, rules.updated)


@receiver(MANAGE)
async def replace(request: Request, client: Client, desk: Desk) -> Response:
    """Section 8.1.1.4."""
    return await _rewrite(request, client, desk, rules.replaced)


@receiver(MANAGE)
async def remove(request: Request, client: Client, desk: Desk) -> Response:
    """Section 8.1.1.5."""
    stream = await stream_of(client, request.query_params.get("stream_id"), desk)
    await desk.store.signals.remove(stream.stream_id)
    await _note("signal_stream.removed", stream, request, desk)
    return Response(status_code=204, headers=NO_STORE)


@receiver(READ)
async def show_status(request: Request, client: Client, desk: Desk) -> Response:
    """Section 8.1.2.1."""
    stream = await stream_of(client, request.query_params.get("stream_id"), desk)
    return json_answer(rules.describe_status(stream))


@receiver(MANAGE)
async def update_status(request: Request, client: Client, desk: Desk) -> Response:
    """Section 8.1.2.2: the receiver, who asks for it, is not told of it by an event."""
    given = rules.read(await request.body())
    stream = await named_stream(given, client, desk)
    asked = rules.status_wish(given)
    after = rules.with_status(stream, asked.status, asked.reason, at=desk.ambient.now())
    await _swap(stream, after, desk)
    await _note("signal_stream.changed", after, request, desk, status=after.status)
    return json_answer(rules.describe_status(after))


@receiver(MANAGE)
async def add_subject(request: Request, client: Client, desk: Desk) -> Response:
    """Section 8.1.3.2: all are in it from the beginning; this has somebody back.

    Section 9.1: whoever is not known here is passed over in silence.
    """
    stream, subject = await _named_subject(request, client, desk)
    if subject is not None:
        await desk.store.signals.include(stream.stream_id, subject)
        await _note("signal_stream.subject_added", stream, request, desk, subject=subject)
    return Response(status_code=200, headers=NO_STORE)


@receiver(MANAGE)
async def remove_subject(request: Request, client: Client, desk: Desk) -> Response:
    """Section 8.1.3.3. It is in the audit trail: whoever wants somebody's sign-outs to go unseen would do this first."""
    stream, subject = await _named_subject(request, client, desk)
    if subject is not None:
        await desk.store.signals.exclude(stream.stream_id, subject)
        await _note("signal_stream.subject_removed", stream, request, desk, subject=subject)
    return Response(status_code=204, headers=NO_STORE)


@receiver(MANAGE)
async def verify(request: Request, client: Client, desk: Desk) -> Response:
    """Section 8.1.4.2: the event takes its turn among those that wait."""
    given = rules.read(await request.body())
    stream = await named_stream(given, client, desk)
    state = given.get("state")
    if state is not None and not (isinstance(state, str) and len(state) <= _LONGEST_STATE):
        raise InvalidRequestError(f"state is a text of at most {_LONGEST_STATE} characters.")
    now = desk.ambient.now()
    key = f"signal-verification:{stream.stream_id}"
    if await desk.store.throttle.hit(key, at=now, window=rules.MIN_VERIFICATION_INTERVAL) > 1:
        raise TooManyRequestsError(f"Verification can be asked for each {rules.MIN_VERIFICATION_INTERVAL} seconds.")
    claims = {} if state is None else {"state": state}
    await desk.store.signals.put(stream.stream_id, Happening(event=VERIFICATION, claims=claims), at=now)
    return Response(status_code=204, headers=NO_STORE)


async def _swap(before: SignalStream, after: SignalStream, desk: Desk) -> None:
    try:
        await desk.store.signals.replace(before, after)
    except StaleError:
        raise ChangedMeanwhileError("The stream was changed at the same moment: read it again.") from None


async def _rewrite(
    request: Request, client: Client, desk: Desk, rewritten: Callable[[SignalStream, rules.Wishes, Desk], SignalStream]
) -> Response:
    given = rules.read(await request.body())
    before = await named_stream(given, client, desk)
    rules.check_ours(given, before, desk)
    after = rewritten(before, rules.wishes(given), desk)
    await _swap(before, after, desk)
    await _note("signal_stream.changed", after, request, desk)
    return json_answer(rules.describe(after, desk))


async def _named_subject(request: Request, client: Client, desk: Desk) -> tuple[SignalStream, str | None]:
    given = rules.read(await request.body())
    stream = await named_stream(given, client, desk)
    return stream, await person_named(given.get("subject"), client, desk)


async def _note(name: str, stream: SignalStream, request: Request, desk: Desk, **detail: Any) -> None:
    address = written_address(request, desk.config)
    await rules.note(desk, name, stream, actor=stream.client_id, address=address, **detail)


ENDPOINTS = (
    Endpoint("/.well-known/ssf-configuration", ("GET",), configuration, cors="any"),
    Endpoint("/ssf/streams", ("POST",), create, mtls=True),
    Endpoint("/ssf/streams", ("GET",), show, mtls=True),
    Endpoint("/ssf/streams", ("PATCH",), update, mtls=True),
    Endpoint("/ssf/streams", ("PUT",), replace, mtls=True),
    Endpoint("/ssf/streams", ("DELETE",), remove, mtls=True),
    Endpoint("/ssf/status", ("GET",), show_status, mtls=True),
    Endpoint("/ssf/status", ("POST",), update_status, mtls=True),
    Endpoint("/ssf/subjects/add", ("POST",), add_subject, mtls=True),
    Endpoint("/ssf/subjects/remove", ("POST",), remove_subject, mtls=True),
    Endpoint("/ssf/verification", ("POST",), verify, mtls=True),
)
