"""RFC 6750 for FastAPI: a dependency that answers the principal and stands in the OpenAPI description.

guard = Guard(issuer="https://id.example", audience="orders")
app = FastAPI(lifespan=guard.lifespan)

@app.get("/orders")
async def orders(principal: Annotated[Principal, guard.require(scope="orders:read", role="USER")]): ...
"""

from typing import Any, Unpack

from fastapi import HTTPException, Request, Security, WebSocket, WebSocketException
from fastapi.openapi.models import OpenIdConnect
from fastapi.requests import HTTPConnection
from fastapi.responses import Response
from fastapi.security.base import SecurityBase

from carnet.guard import asgi
from carnet.guard.challenge import answer
from carnet.guard.metadata import metadata_urls
from carnet.guard.principal import Principal
from carnet.guard.refusal import RefusedRequestError
from carnet.guard.requirement import Asked, Requirement, require
from carnet.guard.starlette import hold


class Guard(asgi.Guard):
    """Guards the routes of a FastAPI application."""

    def require(self, **asked: Unpack[Asked]) -> Any:
        """What a parameter of a route is annotated with; see `carnet.guard.require`. With nothing: a valid token.

        It may stand in `dependencies=[…]` of a route or router too.
        """
        requirement = require(**asked)
        return Security(_Admission(self, requirement), scopes=sorted(requirement.scope))


class _Admission(SecurityBase):
    """The dependency: what FastAPI calls for each request, and what it describes as a security scheme."""

    def __init__(self, guard: Guard, requirement: Requirement) -> None:
        self.model = OpenIdConnect(openIdConnectUrl=metadata_urls(guard.checkpoint.verifier.issuer)[0])
        self.scheme_name = "carnet"
        self._guard = guard
        self._requirement = requirement

    async def __call__(self, connection: HTTPConnection) -> Principal:
        try:
            principal = await self._guard.admit(connection.scope, self._requirement)
        except RefusedRequestError as error:
            if not asgi.answerable(connection.scope):
                raise WebSocketException(asgi.POLICY_VIOLATION, error.refused.error) from None
            handlers, _ = connection.scope["starlette.exception_handlers"]
            handlers.setdefault(_Refusal, _respond)
            raise _Refusal(error) from None
        if isinstance(connection, WebSocket):
            hold(connection, self._guard, self._requirement)
        return principal


class _Refusal(HTTPException):
    """Answered with the RFC's body by `_respond`, and with the right status and headers where that is not installed."""

    def __init__(self, error: RefusedRequestError) -> None:
        self.answer = answer(error.refused)
        super().__init__(self.answer.status, error.refused.description, dict(self.answer.headers))


async def _respond(_: Request, refusal: _Refusal) -> Response:
    return Response(refusal.answer.body, refusal.answer.status, dict(refusal.answer.headers))
