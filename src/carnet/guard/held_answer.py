"""Rule A3: a long HTTP answer, such as server-sent events, does not outlive the token that it was asked for with.

An answer that comes in one piece costs nothing. One that goes on is looked at again with each piece, and each second where none
comes, and ends when its token expires or is taken back. An event stream ends as if it were over: its reader comes back, with a
fresh token. Any other answer is broken off, so that nobody takes a part for the whole: the application's next `send` raises
`CutError`, as servers do when a client has gone.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from carnet.guard.held_socket import PAUSE, Message, Receive, Recheck, Send
from carnet.guard.refusal import RefusedRequestError

App: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_HELD: Final = "carnet.held"
_EVENTS: Final = b"text/event-stream"

_log = logging.getLogger("carnet.guard")


class CutError(OSError):
    """The answer was cut short: its token is not good any more."""


class LongAnswers:
    """ASGI middleware that lets guards within it hold the answers to what they admit."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Every ASGI server's entry."""
        if scope["type"] != "http" or _HELD in scope:
            await self._app(scope, receive, send)
            return
        held = scope[_HELD] = HeldAnswer(receive, send)
        try:
            await self._app(scope, held.receive, held.send)
        except Exception:
            if not held.ended:
                raise
            _log.debug("what an application said when its answer was cut", exc_info=True)
        finally:
            held.stop()


def hold(scope: MutableMapping[str, Any], recheck: Recheck) -> None:
    """Hold the answer to this request, if that is possible here: from now on `recheck` decides whether it may go on."""
    held = scope.get(_HELD)
    if held is not None:
        held.recheck = recheck


class HeldAnswer:
    """What an application gets in the place of the server's `receive` and `send`. An answer in one piece hardly notices it."""

    __slots__ = ("_asked", "_cut", "_receive", "_send", "_start", "_watching", "ended", "recheck")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.recheck: Recheck | None = None
        """None: nobody has asked that it be held."""
        self.ended = False
        """Whether it was cut."""
        self._cut: asyncio.Event | None = None
        self._asked = False
        """Whether the whole request has been read: what comes then is the client's going."""
        self._start: Message | None = None
        self._watching: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        """The next message; a disconnect as soon as the answer is cut."""
        if not self._asked:
            message = await self._receive()
            self._asked = message["type"] == "http.request" and not message.get("more_body", False)
            return message
        if self._cut is None:
            self._cut = asyncio.Event()
            if self.ended:
                self._cut.set()
        waiting = [asyncio.ensure_future(self._receive()), asyncio.ensure_future(self._cut.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            gone = waiting[0]
            return gone.result() if gone.done() else {"type": "http.disconnect"}  # type: ignore[return-value]
        finally:
            for one in waiting:
                one.cancel()

    def send(self, message: Message) -> Awaitable[None]:
        """Send it, unless the token is refused by now; raises CutError then."""
        if message["type"] == "http.response.start":
            self._start = message
        elif self._watching is not None or (self.recheck is not None and message.get("more_body", False)):
            return self._send_held(message)
        return self._send(message)

    def stop(self) -> None:
        """The answer is over."""
        if self._watching is not None:
            self._watching.cancel()

    async def _send_held(self, message: Message) -> None:
        await self._look()
        if self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._watch(), name="carnet-long-answer")
        if self.ended:
            raise CutError("The access token is not good any more.")
        await self._send(message)

    async def _watch(self) -> None:
        while not self.ended:
            await asyncio.sleep(PAUSE)
            await self._look()

    async def _look(self) -> None:
        if self.ended or self.recheck is None:
            return
        try:
            await self.recheck()
        except RefusedRequestError:
            await self._end()

    async def _end(self) -> None:
        if self.ended:  # whoever sends and whoever watches may have asked at the same time
            return
        self.ended = True
        if self._cut is not None:
            self._cut.set()
        if _of_events(self._start):
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _of_events(start: Message | None) -> bool:
    headers = () if start is None else start.get("headers", ())
    kinds = [bytes(value) for name, value in headers if bytes(name).lower() == b"content-type"]
    return any(kind.lower().startswith(_EVENTS) for kind in kinds)
