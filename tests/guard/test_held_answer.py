"""Rule A3: a long answer does not outlive the token that it was asked for with, in any framework."""

import asyncio
from typing import Annotated, Any

import litestar
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse as FastStreaming
from litestar.response import Stream
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from carnet.guard import Principal, asgi, held_answer, require
from carnet.guard import fastapi as fastapi_guard
from carnet.guard import litestar as litestar_guard
from carnet.guard import starlette as starlette_guard
from carnet.guard import wsgi as wsgi_guard
from carnet.guard.held_answer import CutError
from carnet.guard.held_socket import PAUSE
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer
from carnet.testing.programs import PATIENCE

from .conftest import ENDS

pytestmark = pytest.mark.anyio

EVENTS, BYTES = "text/event-stream", "application/octet-stream"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def issuer(clock):
    return FakeIssuer(ambient=clock.ambient, feed=True)


class Server:
    """A client's request, and what it hears; the application says what it is told to."""

    def __init__(self, token: str, path: str = "/live") -> None:
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {token}".encode()), (b"host", b"test")],
            "http_version": "1.1",
            "scheme": "http",
            "server": ("test", 80),
            "client": ("127.0.0.1", 1),
            "extensions": {},
            "asgi": {"version": "3.0", "spec_version": "2.4"},
        }
        self.heard: list[Any] = []
        self.asked = False
        self.over = asyncio.Event()

    async def receive(self) -> Any:
        if self.asked:
            await self.over.wait()
            return {"type": "http.disconnect"}
        self.asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Any) -> None:
        self.heard.append(message)
        if self.whole:
            self.over.set()

    @property
    def body(self) -> list[bytes]:
        return [one["body"] for one in self.heard if one["type"] == "http.response.body" and one["body"]]

    @property
    def whole(self) -> bool:
        """Whether the answer came to its end, as the client sees it."""
        return self.heard[-1]["type"] == "http.response.body" and not self.heard[-1].get("more_body", False)

    async def until(self, pieces: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.body) < pieces:
                await asyncio.sleep(0)


class Saying:
    """What the application says: pieces as they come, None at its end."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def __aiter__(self):
        while (piece := await self.queue.get()) is not None:
            yield piece


@pytest.fixture
def saying():
    return Saying()


@pytest.fixture(params=["starlette", "fastapi", "litestar", "asgi"])
async def app(request, issuer, saying):
    """An application with /live and /download, and /patient, whose answers may go on."""
    settings: Any = {
        "issuer": issuer.issuer,
        "audience": "service",
        "ambient": issuer._ambient,
        "transport": issuer.transport,
    }
    kinds = {"/live": EVENTS, "/download": BYTES, "/patient": BYTES}
    asked: dict[str, Any] = {path: {"role": "USER"} for path in kinds}
    asked["/patient"]["long_answers"] = "finish"
    if request.param == "starlette":
        guard: Any = starlette_guard.Guard(**settings)

        def route(path):
            async def endpoint(_):
                return StreamingResponse(aiter(saying), media_type=kinds[path])

            return Route(path, guard.require(**asked[path])(endpoint))

        made: Any = Starlette(routes=[route(path) for path in kinds], lifespan=guard.lifespan)
        made.middleware_stack = made.build_middleware_stack()
        async with guard.lifespan(made):
            yield made, guard
    elif request.param == "fastapi":
        guard = fastapi_guard.Guard(**settings)
        made = FastAPI(lifespan=guard.lifespan)

        def add(path):
            @made.get(path)
            async def endpoint(_: Annotated[Principal, guard.require(**asked[path])]):
                return FastStreaming(aiter(saying), media_type=kinds[path])

        for path in kinds:
            add(path)
        made.middleware_stack = made.build_middleware_stack()
        async with guard.lifespan(made):
            yield made, guard
    elif request.param == "litestar":
        guard = litestar_guard.Guard(**settings)

        def handler(path):
            @litestar.get(path, guards=[guard.require(**asked[path])])
            async def endpoint() -> Stream:
                return Stream(aiter(saying), media_type=kinds[path])

            return endpoint

        yield (
            litestar.Litestar(
                [handler(path) for path in kinds], plugins=[guard], openapi_config=None, logging_config=None
            ),
            guard,
        )
    else:
        guard = asgi.Guard(**settings)

        async def plain(scope, receive, send):
            await StreamingResponse(aiter(saying), media_type=kinds[scope["path"]])(scope, receive, send)

        protected = {path: guard.protect(plain, require(**asked[path])) for path in kinds}

        async def routed(scope, receive, send):
            await protected[scope["path"]](scope, receive, send)

        yield routed, guard
    await guard.checkpoint.stop()


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "busy"])
@pytest.mark.parametrize("end", ENDS)
async def test_an_event_stream_ends_when_its_token_is_refused(issuer, clock, app, saying, monkeypatch, end, silent):
    monkeypatch.setattr(held_answer, "PAUSE", 0.001 if silent else 3_600)
    application, guard = app
    with issuer.trusted_by(guard):
        server = Server(issuer.token(roles="USER", sid="s1"))
        running = asyncio.create_task(application(server.scope, server.receive, server.send))
        saying.queue.put_nowait(b"one")
        await server.until(1)
        issuer.feed_answers = False
        ENDS[end](issuer, clock)
        if not silent:
            saying.queue.put_nowait(b"a secret")
        async with asyncio.timeout(PATIENCE):
            while not server.whole:
                await asyncio.sleep(0)
        if silent:  # it may notice with its next piece only
            saying.queue.put_nowait(b"a secret")
        await asyncio.wait_for(running, 5)
        assert server.body == [b"one"]
        assert sum(not message.get("more_body", True) for message in server.heard) == 1


async def test_any_other_answer_is_broken_off_and_never_looks_whole(issuer, app, saying):
    application, guard = app
    with issuer.trusted_by(guard):
        server = Server(issuer.token(roles="USER", sid="s1"), "/download")
        running = asyncio.create_task(application(server.scope, server.receive, server.send))
        saying.queue.put_nowait(b"one")
        await server.until(1)
        issuer.revoke("session", "s1")
        saying.queue.put_nowait(b"a secret")
        saying.queue.put_nowait(None)
        await asyncio.wait_for(running, 5)
        assert (server.body, server.whole) == ([b"one"], False)


async def test_a_route_may_let_its_answers_finish(issuer, app, saying):
    application, guard = app
    with issuer.trusted_by(guard):
        server = Server(issuer.token(roles="USER", sid="s1"), "/patient")
        running = asyncio.create_task(application(server.scope, server.receive, server.send))
        saying.queue.put_nowait(b"one")
        await server.until(1)
        issuer.revoke("session", "s1")
        for piece in (b"two", None):
            saying.queue.put_nowait(piece)
        await asyncio.wait_for(running, 5)
        assert (server.body, server.whole) == ([b"one", b"two"], True)


async def test_an_application_that_waits_for_the_client_to_go_is_told_that_it_has(issuer, clock, monkeypatch):
    monkeypatch.setattr(held_answer, "PAUSE", 0.001)
    told = []

    async def listening(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", EVENTS.encode())]})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        told.append((await receive())["type"])

    guard = asgi.Guard(issuer=issuer.issuer, audience="service", ambient=clock.ambient, transport=issuer.transport)
    with issuer.trusted_by(guard):
        server = Server(issuer.token(sid="s1"))
        running = asyncio.create_task(guard.protect(listening)(server.scope, server.receive, server.send))
        await server.until(1)
        issuer.revoke("session", "s1")
        await asyncio.wait_for(running, 5)
        await guard.checkpoint.stop()
    assert told == ["http.disconnect"]


async def test_what_fails_in_an_application_is_not_hidden(issuer, clock):
    async def broken(scope, receive, send):
        raise LookupError("a fault of its own")

    guard = asgi.Guard(issuer=issuer.issuer, audience="service", ambient=clock.ambient, transport=issuer.transport)
    with issuer.trusted_by(guard):
        server = Server(issuer.token())
        with pytest.raises(LookupError):
            await guard.protect(broken)(server.scope, server.receive, server.send)
        await guard.checkpoint.stop()


async def test_an_answer_in_one_piece_is_not_looked_at_again(issuer, clock, monkeypatch):
    guard = asgi.Guard(issuer=issuer.issuer, audience="service", ambient=clock.ambient, transport=issuer.transport)
    with issuer.trusted_by(guard):
        monkeypatch.setattr(guard.checkpoint, "readmit", None)
        server = Server(issuer.token())
        await guard.protect(PlainTextResponse("whole"))(server.scope, server.receive, server.send)
        await guard.checkpoint.stop()
    assert (server.body, server.whole) == ([b"whole"], True)


@pytest.mark.parametrize("long_answers", ["cut", "finish"])
@pytest.mark.parametrize("end", ENDS)
def test_a_wsgi_answer_is_cut_before_the_next_piece(issuer, clock, end, long_answers):
    closed = []

    class Pieces:
        def __iter__(self):
            yield b"one"
            issuer.feed_answers = False
            ENDS[end](issuer, clock)
            clock.advance(PAUSE)
            yield b"the rest"

        def close(self):
            closed.append(True)

    guard = wsgi_guard.Guard(
        issuer=issuer.issuer, audience="service", ambient=clock.ambient, transport=issuer.transport
    )
    application = guard.protect(lambda environ, start: Pieces(), require(long_answers=long_answers))
    with issuer.trusted_by(guard):
        environ = {"HTTP_AUTHORIZATION": f"Bearer {issuer.token(sid='s1')}", "REQUEST_METHOD": "GET"}
        answer = application(environ, lambda *_: None)
        pieces = iter(answer)
        assert next(pieces) == b"one"
        if long_answers == "finish":
            assert next(pieces) == b"the rest"
        else:
            with pytest.raises(CutError):
                next(pieces)
        answer.close()
        guard.checkpoint.stop()
    assert closed == [True]


def test_a_wsgi_answer_in_one_piece_is_passed_on_as_it_is(issuer, clock):
    guard = wsgi_guard.Guard(
        issuer=issuer.issuer, audience="service", ambient=clock.ambient, transport=issuer.transport
    )
    whole = [b"whole"]
    with issuer.trusted_by(guard):
        environ = {"HTTP_AUTHORIZATION": f"Bearer {issuer.token()}", "REQUEST_METHOD": "GET"}
        assert guard.protect(lambda environ, start: whole)(environ, lambda *_: None) is whole
        guard.checkpoint.stop()
