"""RFC 6750 for Litestar: a plugin of the application, and guards for its routes.

guard = Guard(issuer="https://id.example", audience="orders")

@get("/orders", guards=[guard.require(scope="orders:read")])
async def orders(request: Request) -> dict[str, str]:
    return {"orders_of": guard.principal(request).subject}

app = Litestar([orders], plugins=[guard])
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, Unpack

from litestar import Response, WebSocket, get
from litestar.config.app import AppConfig
from litestar.connection import ASGIConnection
from litestar.exceptions import WebSocketException
from litestar.handlers import BaseRouteHandler
from litestar.plugins import InitPlugin

from carnet.guard import asgi
from carnet.guard.challenge import answer
from carnet.guard.held_answer import LongAnswers
from carnet.guard.principal import Principal
from carnet.guard.refusal import RefusedRequestError
from carnet.guard.requirement import Asked, require
from carnet.guard.resource import HEADERS

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]


class Guard(asgi.Guard, InitPlugin):
    """Guards the routes of a Litestar application, which has it among its plugins."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Fetch keys and follow the feed while the application runs; answer refusals as the RFC says."""
        app_config.lifespan.append(self.lifespan)
        app_config.middleware.append(LongAnswers)  # type: ignore[arg-type]  # typed dictionaries there
        app_config.exception_handlers[RefusedRequestError] = _respond
        published = self.checkpoint.published
        if published is not None:  # RFC 9728

            @get(published.path, include_in_schema=False, sync_to_thread=False)
            def publish() -> Response[bytes]:
                return Response(published.document, headers=dict(HEADERS), media_type="application/json")

            app_config.route_handlers.append(publish)
        return app_config

    def require(self, **asked: Unpack[Asked]) -> Callable[[Connection, BaseRouteHandler], Awaitable[None]]:
        """A guard for `guards=[…]`; see `carnet.guard.require`. With nothing: a valid token."""
        requirement = require(**asked)

        async def admit(connection: Connection, _: BaseRouteHandler) -> None:
            try:
                await self.admit(connection.scope, requirement)  # type: ignore[arg-type]  # a typed dictionary there
            except RefusedRequestError as error:
                if isinstance(connection, WebSocket):
                    raise WebSocketException(detail=error.refused.error or "", code=asgi.POLICY_VIOLATION) from None
                raise
            if isinstance(connection, WebSocket):  # it ends with its token
                held = self.held(connection.scope, connection.receive, connection.send, requirement)  # type: ignore[arg-type]
                connection.receive, connection.send = held.receive, held.send  # type: ignore[assignment]

        return admit

    def principal(self, connection: Connection) -> Principal:
        """Whom an admitted request speaks for; raises LookupError where the route has no requirement."""
        return asgi.principal_in(connection.scope)


def _respond(_: Any, error: RefusedRequestError) -> Response[bytes]:
    refusal = answer(error.refused)
    return Response(refusal.body, status_code=refusal.status, headers=dict(refusal.headers))
