"""Rule A3: a WebSocket does not outlive the token that it was opened with, in any framework."""

import asyncio
from typing import Annotated, Any

import litestar
import litestar.exceptions
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from carnet.guard import Principal, RefusedRequestError, asgi, held_socket, require
from carnet.guard import fastapi as fastapi_guard
from carnet.guard import litestar as litestar_guard
from carnet.guard import starlette as starlette_guard
from carnet.guard.refusal import invalid_token
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer

from .conftest import ENDS

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def issuer(clock):
    return FakeIssuer(ambient=clock.ambient, feed=True)


class Server:
    """A connection of a client that says what it is told to and notes what it hears."""

    def __init__(self, token: str) -> None:
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "path": "/live",
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {token}".encode())],
            "subprotocols": [],
            "extensions": {},
        }
        self.heard: list[Any] = []
        self.said: asyncio.Queue[Any] = asyncio.Queue()
        self.said.put_nowait({"type": "websocket.connect"})
        self.accepted = asyncio.Event()

    async def send(self, message: Any) -> None:
        self.heard.append(message)
        if message["type"] == "websocket.accept":
            self.accepted.set()

    def say(self, text: str) -> None:
        self.said.put_nowait({"type": "websocket.receive", "text": text})


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


@pytest.fixture(params=["starlette", "fastapi", "litestar", "asgi"])
def app(request, issuer):
    settings: Any = {
        "issuer": issuer.issuer,
        "audience": "service",
        "ambient": issuer._ambient,
        "transport": issuer.transport,
    }
    if request.param == "starlette":
        star = starlette_guard.Guard(**settings)
        return Starlette(routes=[WebSocketRoute("/live", star.require(role="USER")(echo))]), star
    if request.param == "fastapi":
        fast, made = fastapi_guard.Guard(**settings), FastAPI()

        @made.websocket("/live")
        async def live(websocket: WebSocket, _: Annotated[Principal, fast.require(role="USER")]) -> None:
            await echo(websocket)

        return made, fast
    if request.param == "litestar":
        lite = litestar_guard.Guard(**settings)

        @litestar.websocket("/live", guards=[lite.require(role="USER")])
        async def lively(socket: litestar.WebSocket[Any, Any, Any]) -> None:
            await socket.accept()
            try:
                while True:
                    await socket.send_text(await socket.receive_text())
            except litestar.exceptions.WebSocketDisconnect:
                pass

        return litestar.Litestar([lively], plugins=[lite], openapi_config=None, logging_config=None), lite
    plain = asgi.Guard(**settings)

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await echo(WebSocket(scope, receive, send))

    return plain.protect(bare, require(role="USER")), plain


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "busy"])
@pytest.mark.parametrize("end", ENDS)
async def test_a_websocket_ends_when_its_token_is_refused(issuer, clock, app, monkeypatch, end, silent):
    monkeypatch.setattr(held_socket, "PAUSE", 0.001 if silent else 3_600)
    application, guard = app
    with issuer.trusted_by(guard):
        server = Server(issuer.token(roles="USER", sid="s1"))
        running = asyncio.create_task(application(server.scope, server.said.get, server.send))
        server.say("one")
        while len(server.heard) < 2:
            await asyncio.sleep(0)
        assert [message["type"] for message in server.heard] == ["websocket.accept", "websocket.send"]
        issuer.feed_answers = False
        ENDS[end](issuer, clock)
        if not silent:
            server.say("two")
        await asyncio.wait_for(running, 5)
        assert server.heard[2:] == [
            {
                "type": "websocket.close",
                "code": 1013 if end == "the feed is stale" else 1008,
                "reason": "temporarily_unavailable" if end == "the feed is stale" else "invalid_token",
            }
        ]
        await guard.checkpoint.stop()


async def test_what_an_application_sends_by_itself_is_held_back_too(issuer, app):
    """Also where it never listens."""
    _, guard = app
    with issuer.trusted_by(guard):
        token = issuer.token(roles="USER", sid="s1")
        server = Server(token)
        socket = guard.held(server.scope, server.said.get, server.send, require(role="USER"))
        await socket.send({"type": "websocket.accept"})
        issuer.revoke("session", "s1")
        for _ in range(2):
            await socket.send({"type": "websocket.send", "text": "a secret"})
        assert [message["type"] for message in server.heard] == ["websocket.accept", "websocket.close"]
        await guard.checkpoint.stop()


async def test_the_end_is_sent_once_and_not_to_a_client_that_has_gone():
    """RFC 6455 section 5.5.1: nothing is sent after a Close frame."""
    asked, answered = asyncio.Event(), asyncio.Event()

    async def recheck() -> None:
        asked.set()
        await answered.wait()
        raise RefusedRequestError(invalid_token("revoked", "The token was taken back."))

    server = Server("t")
    socket = held_socket.HeldSocket(server.said.get, server.send, recheck)
    sending = [asyncio.create_task(socket.send({"type": "websocket.send", "text": "x"})) for _ in range(3)]
    await asked.wait()
    answered.set()
    await asyncio.gather(*sending)
    assert [message["type"] for message in server.heard] == ["websocket.close"]

    good = True

    async def good_until_it_has_gone() -> None:
        if not good:
            raise RefusedRequestError(invalid_token("revoked", "The token was taken back."))

    async def receive() -> Any:
        nonlocal good
        good = False
        return {"type": "websocket.disconnect", "code": 1001}

    gone = Server("t")
    socket = held_socket.HeldSocket(receive, gone.send, good_until_it_has_gone)
    assert (await socket.receive())["code"] == 1001
    assert gone.heard == []
