"""RFC 6455, rule A3: a WebSocket that was let in stays open only for as long as its token is good."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from carnet.guard.refusal import RefusedRequestError

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Recheck: TypeAlias = Callable[[], Awaitable[object]]
"""Raises RefusedRequestError when the token that it was opened with would not be let in any more."""

PAUSE = 1.0
"""Seconds after which the token of a silent connection is looked at again."""
POLICY_VIOLATION = 1008
"""RFC 6455 section 7.4.1."""
TRY_AGAIN_LATER = 1013
"""IANA's WebSocket close codes: the guard cannot tell at the moment."""


class HeldSocket:
    """What an application gets in the place of the server's `receive` and `send`."""

    def __init__(self, receive: Receive, send: Send, recheck: Recheck) -> None:
        self._receive = receive
        self._send = send
        self._recheck = recheck
        self._code: int | None = None

    async def receive(self) -> Message:
        """The next message; a disconnect as soon as the token is refused, whether or not anything comes."""
        waiting = asyncio.ensure_future(self._receive())
        try:
            while await self._open():
                done, _ = await asyncio.wait({waiting}, timeout=PAUSE)
                if done and (waiting.result()["type"] == "websocket.disconnect" or await self._open()):
                    return waiting.result()
        finally:
            waiting.cancel()
        return {"type": "websocket.disconnect", "code": self._code}

    async def send(self, message: Message) -> None:
        """Send it, unless the token is refused by now: then nothing more is sent but the end."""
        if await self._open():
            await self._send(message)

    async def _open(self) -> bool:
        if self._code is None:
            try:
                await self._recheck()
            except RefusedRequestError as error:
                await self._end(error)
        return self._code is None

    async def _end(self, error: RefusedRequestError) -> None:
        if self._code is None:  # whoever sends and whoever listens may have asked at the same time
            self._code = TRY_AGAIN_LATER if error.refused.status == 503 else POLICY_VIOLATION
            await self._send({"type": "websocket.close", "code": self._code, "reason": error.refused.error or ""})
