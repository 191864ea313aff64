"""RFC 6750, RFC 9728 for Starlette: a decorator for endpoints.

guard = Guard(issuer="https://id.example", audience="orders")

@guard.require(role="ADMIN")
async def endpoint(request: Request) -> Response:
    principal = guard.principal(request)

app = Starlette(routes=[Route("/orders", endpoint)], lifespan=guard.lifespan)
"""

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeAlias, Unpack

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.websockets import WebSocket

from carnet.guard import asgi
from carnet.guard.challenge import answer
from carnet.guard.principal import Principal
from carnet.guard.refusal import RefusedRequestError
from carnet.guard.requirement import Asked, Requirement, require
from carnet.guard.resource import HEADERS

Endpoint: TypeAlias = Callable[..., Any]
"""A function or a method of an `HTTPEndpoint`, with or without `async`, that takes a request or a WebSocket."""


class Guard(asgi.Guard):
    """Guards the endpoints of a Starlette application."""

    def require(self, **asked: Unpack[Asked]) -> Callable[[Endpoint], Endpoint]:
        """Decorate an endpoint with what it asks for; see `carnet.guard.require`. With nothing: a valid token."""
        requirement = require(**asked)

        def decorate(endpoint: Endpoint) -> Endpoint:
            @wraps(endpoint)
            async def guarded(*args: Any, **kwargs: Any) -> Any:
                connection = next(value for value in (*args, *kwargs.values()) if isinstance(value, HTTPConnection))
                try:
                    await self.admit(connection.scope, requirement)
                except RefusedRequestError as error:
                    return await _refuse(error, connection)
                if isinstance(connection, WebSocket):
                    hold(connection, self, requirement)
                if iscoroutinefunction(endpoint):
                    return await endpoint(*args, **kwargs)
                return await run_in_threadpool(endpoint, *args, **kwargs)

            return guarded

        return decorate

    def principal(self, connection: HTTPConnection) -> Principal:
        """Whom an admitted request speaks for; raises LookupError where the endpoint has no requirement."""
        return asgi.principal_in(connection.scope)


def published(guard: asgi.Guard) -> Route:
    """RFC 9728: the route at which an application publishes what its guard's setting `resource` says.

    Raises:
        LookupError: the guard has no such setting.
    """
    document = guard.checkpoint.published
    if document is None:
        raise LookupError("The guard publishes nothing: give it the setting resource.")

    async def publish(_: Request) -> Response:
        return Response(document.document, headers=dict(HEADERS))

    return Route(document.path, publish, include_in_schema=False)


def hold(websocket: WebSocket, guard: asgi.Guard, requirement: Requirement) -> None:
    """Have an admitted WebSocket end with its token: the very object that the endpoint, or its framework, has already."""
    socket = guard.held(websocket.scope, websocket._receive, websocket._send, requirement)  # noqa: SLF001
    websocket._receive, websocket._send = socket.receive, socket.send  # noqa: SLF001 - Starlette has no other place for it


async def _refuse(error: RefusedRequestError, connection: HTTPConnection) -> Response | None:
    if isinstance(connection, WebSocket):
        await asgi.refuse(error, connection.scope, connection.receive, connection.send)
        return None
    refusal = answer(error.refused)
    return Response(refusal.body, refusal.status, dict(refusal.headers))
