"""One request of a browser with its session: looked up at most once, and its cookies written with whatever answer is given."""

from dataclasses import dataclass, field

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from carnet.guard.browser.renewal import Current
from carnet.oauth.cookie_header import cookies

_KEY = "carnet.browser"


@dataclass(slots=True)
class Exchange:
    """What is known of the session during one request."""

    cookies: dict[str, str] = field(repr=False)
    """As they arrived."""
    current: Current | None = None
    looked: bool = False
    ended: bool = False
    """There was a session, and it has ended."""
    to_set: list[str] = field(default_factory=list, repr=False)
    """Values of Set-Cookie for the answer."""


class ExchangeMiddleware:
    """Puts an `Exchange` into each request, and its cookies into the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(cookies(HTTPConnection(scope).headers.getlist("cookie")))
        scope[_KEY] = exchange

        async def send_with_cookies(message: Message) -> None:
            if message["type"] == "http.response.start" and exchange.to_set:
                headers = MutableHeaders(scope=message)
                for cookie in exchange.to_set:
                    headers.append("set-cookie", cookie)
                headers["cache-control"] = "no-store"
            await send(message)

        await self._app(scope, receive, send_with_cookies)


def exchange_of(connection: HTTPConnection) -> Exchange:
    """The exchange of a request.

    Raises:
        LookupError: the application does not have the back end's middleware.
    """
    exchange: Exchange | None = connection.scope.get(_KEY)
    if exchange is None:
        raise LookupError("Give the application the back end's middleware: Starlette(middleware=backend.middleware).")
    return exchange
