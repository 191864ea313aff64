"""RFC 9110 section 4.2: requests for paths without parameters are looked up, before a router tries one pattern after another."""

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class LiteralPaths:
    """Answers what it finds; all else (parameters, unknown paths, methods that are not allowed) is the router's."""

    def __init__(self, app: ASGIApp, *, routes: Iterable[Route]) -> None:
        self._app = app
        self._answers: dict[tuple[str, str], Callable[[Request], Awaitable[Response]]] = {
            (route.path, method): route.endpoint
            for route in routes
            if "{" not in route.path
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Starlette's and every ASGI server's entry."""
        answer = self._answers.get((scope["path"], scope["method"])) if scope["type"] == "http" else None
        if answer is None:
            await self._app(scope, receive, send)
            return
        response = await answer(Request(scope, receive, send))
        await response(scope, receive, send)
