"""CAEP Interoperability Profile section 2.7: who manages and reads streams: a client in its own right, with our access token."""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import json_answer, refusal
from carnet.issuer.desk import Desk
from carnet.issuer.presented_tokens import Claims
from carnet.issuer.protected_request import answer_to_token
from carnet.issuer.storage.records import Client, SignalStream
from carnet.oauth import scope
from carnet.oauth.errors import InsufficientScopeError, InvalidRequestError
from carnet.oauth.security_events import MANAGE

Receive = Callable[[Request, Client, Desk], Awaitable[Response]]


class StreamError(Exception):
    """A request of a receiver that is refused, in the way of Shared Signals Framework section 8.1: by its status."""

    status: ClassVar[int]
    code: ClassVar[str]


class UnknownStreamError(StreamError):
    """Also of a stream that is another client's: nobody learns that it is there."""

    status = 404
    code = "not_found"


class TooManyStreamsError(StreamError):
    status = 409
    code = "conflict"


class ChangedMeanwhileError(StreamError):
    status = 409
    code = "conflict"


class TooManyRequestsError(StreamError):
    status = 429
    code = "too_many_requests"


def receiver(needs: str) -> Callable[[Receive], Callable[[Request, Desk], Awaitable[Response]]]:
    """Decorate what answers a receiver: one whose token has the scope value `needs`, or the one that manages streams.

    The token is the client's own: no person can consent to what is told of others.
    """

    def decorate(answer: Receive) -> Callable[[Request, Desk], Awaitable[Response]]:
        @wraps(answer)
        async def admitted(request: Request, desk: Desk) -> Response:
            async def for_client(claims: Claims) -> Response:
                client = await _client(claims, needs, desk)
                try:
                    return await answer(request, client, desk)
                except InvalidRequestError as error:
                    return refusal(error, desk.config)
                except StreamError as error:
                    document = {"error": error.code, "error_description": str(error)}
                    return json_answer(document, status=error.status)

            return await answer_to_token(
                request.headers.getlist("authorization"),
                request,
                desk,
                resource=desk.config.issuer,
                answer=for_client,
            )

        return admitted

    return decorate


async def stream_of(client: Client, stream_id: object, desk: Desk) -> SignalStream:
    """A stream of the client's own.

    Raises:
        InvalidRequestError: none is named.
        UnknownStreamError: there is no such stream of this client's.
    """
    if not isinstance(stream_id, str) or not stream_id:
        raise InvalidRequestError("stream_id is missing, or not a text.")
    stream = await desk.store.signals.get(stream_id)
    if stream is None or stream.client_id != client.client_id:
        raise UnknownStreamError("There is no such stream.")
    return stream


async def named_stream(given: Mapping[str, Any], client: Client, desk: Desk) -> SignalStream:
    """The one that a request's body names; raises as `stream_of`."""
    return await stream_of(client, given.get("stream_id"), desk)


async def _client(claims: Claims, needs: str, desk: Desk) -> Client:
    granted = scope.parse(claims.get("scope"))
    client = await desk.store.clients.get(claims["client_id"])
    if client is None or claims["sub"] != client.client_id:
        raise InsufficientScopeError("The access token is not one of a client in its own right.", scope=needs)
    if needs not in granted and MANAGE not in granted:
        raise InsufficientScopeError(f"This needs the scope value {needs}.", scope=needs)
    return client
