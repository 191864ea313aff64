"""RFC 8705, RFC 9112: a second port beside the server's, for clients with certificates, in front of the same application.

Its requests are few and short, so that it is plain: one at a time on each connection, HTTP/1.1 as h11 reads it, and a limit to
everything that could last.
"""

import asyncio
import logging
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from email.utils import formatdate
from ipaddress import ip_address
from typing import Any, TypeAlias
from urllib.parse import unquote

import h11
from OpenSSL import SSL

from carnet.cli.connection_places import ConnectionPlaces
from carnet.cli.tls_stream import TlsStream
from carnet.issuer.http_security import address_block

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

HANDSHAKE = 10
"""Seconds."""
IDLE = 30
"""Seconds for the head of the next request."""
LONGEST = 60
"""Seconds for one request and its answer."""
MOST = 1_000
"""Connections at the same time. A further one takes the place of the one that has waited longest for its peer; without such a
one it is closed at once."""
MOST_OF_ONE = 100
"""Of them, from one address (of IPv6, from one /64)."""
LARGEST_HEAD = 64 * 1024

log = logging.getLogger("carnet.mtls")


class MtlsListener:
    """Listens from the start of the application to its end: itself an ASGI application, which passes everything on."""

    def __init__(
        self,
        app: App,
        *,
        host: str,
        port: int,
        context: SSL.Context,
        grace: float,
        most: int = MOST,
        most_of_one: int = MOST_OF_ONE,
    ) -> None:
        """`grace`: seconds that requests have to finish when it is told to stop."""
        self._app = app
        self._address = host, port
        self._context = context
        self._grace = grace
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._places = ConnectionPlaces(most=most, most_of_one=most_of_one)
        self._busy: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Every ASGI server's entry."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.stop()
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self.start()
            await send(message)

        await self._app(scope, receiving, sending)

    async def start(self) -> None:
        """Listen; further workers share the port. Raises OSError: it is taken, or not ours."""
        host, port = self._address
        self._server = await asyncio.start_server(self._serve, host, port, reuse_port=True)

    async def stop(self) -> None:
        """Take nothing new, and let what is under way finish."""
        if self._server is not None:
            self._server.close()
        for task in self._connections - self._busy:
            task.cancel()
        if self._busy:
            await asyncio.wait(self._busy, timeout=self._grace)
        for task in self._connections:
            task.cancel()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        task: asyncio.Task[None] | None = asyncio.current_task()
        if task is None or not self._places.take(task, _block(writer)):
            writer.close()
            return
        self._connections.add(task)
        stream = TlsStream(self._context, reader, writer)
        try:
            async with asyncio.timeout(HANDSHAKE):
                await stream.handshake()
            await self._converse(stream, _origin(writer, stream), task)
            async with asyncio.timeout(IDLE):
                await stream.close()
        except (ConnectionError, TimeoutError, h11.ProtocolError) as error:
            log.debug("a connection ended: %s", error)
        except asyncio.CancelledError:
            # Nobody waits for this task, and the streams would report it as a failure.
            log.debug("a connection was ended")
        finally:
            self._connections.discard(task)
            self._busy.discard(task)
            self._places.leave(task)
            writer.close()

    async def _converse(self, stream: TlsStream, origin: dict[str, Any], task: asyncio.Task[None]) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD)
        while True:
            try:
                async with asyncio.timeout(IDLE):
                    request = await _next(http, stream)
            except h11.RemoteProtocolError as error:
                await _refuse(http, stream, error.error_status_hint)
                return
            if not isinstance(request, h11.Request):
                return
            self._busy.add(task)
            self._places.works(task)
            async with asyncio.timeout(LONGEST):
                await self._answer(http, stream, request, origin, task)
            self._busy.discard(task)
            self._places.waits(task)
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _answer(
        self,
        http: h11.Connection,
        stream: TlsStream,
        request: h11.Request,
        origin: dict[str, Any],
        task: asyncio.Task[None],
    ) -> None:
        target, _, query = request.target.partition(b"?")
        if not target.startswith(b"/") or _framed_twice(request):
            await _refuse(http, stream, 400)
            return

        async def receive() -> Message:
            if http.their_state is h11.DONE:  # the answer is awaited now, and nothing else
                await asyncio.get_running_loop().create_future()
            if http.they_are_waiting_for_100_continue:
                await stream.write(http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            self._places.waits(task)  # whoever sends a body slowly has a place for as long as nobody else needs it
            event = await _next(http, stream)
            self._places.works(task)
            if isinstance(event, h11.Data):
                return {"type": "http.request", "body": bytes(event.data), "more_body": True}
            if isinstance(event, h11.EndOfMessage):
                return {"type": "http.request", "body": b"", "more_body": False}
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                await _begin(http, stream, message["status"], message.get("headers", ()))
                return
            body = b"" if request.method == b"HEAD" else message.get("body", b"")
            written = http.send(h11.Data(data=body)) or b""
            if not message.get("more_body", False):
                written += http.send(h11.EndOfMessage()) or b""
            await stream.write(written)

        scope = origin | {
            "method": request.method.decode("ascii"),
            "path": unquote(target.decode("ascii")),
            "raw_path": target,
            "query_string": query,
            "headers": [(bytes(name), bytes(value)) for name, value in request.headers],
            "http_version": request.http_version.decode("ascii"),
            "state": {},
        }
        try:
            await self._app(scope, receive, send)
        except (ConnectionError, TimeoutError, h11.ProtocolError):
            raise
        except Exception:
            log.exception("a request failed")
            with suppress(h11.ProtocolError):
                await _refuse(http, stream, 500)


def _block(writer: StreamWriter) -> str:
    """Where a connection comes from, as far as that is counted."""
    peer = writer.get_extra_info("peername")
    if peer is None:  # gone already
        return ""
    address = ip_address(peer[0])
    return address_block(getattr(address, "ipv4_mapped", None) or address)


def _origin(writer: StreamWriter, stream: TlsStream) -> dict[str, Any]:
    """What is the same for all requests of a connection."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "scheme": "https",
        "root_path": "",
        "client": writer.get_extra_info("peername")[:2],
        "server": writer.get_extra_info("sockname")[:2],
        "extensions": {"tls": {"client_cert_chain": stream.certificates()}},
    }


async def _next(http: h11.Connection, stream: TlsStream) -> object:
    """The next event of the peer's. Raises h11.RemoteProtocolError: what comes is no HTTP."""
    while (event := http.next_event()) is h11.NEED_DATA:
        http.receive_data(await stream.read())
    return event


def _framed_twice(request: h11.Request) -> bool:
    """RFC 9112 section 6.1: a request with two lengths, of which somebody between may have believed the other one."""
    return {b"content-length", b"transfer-encoding"} <= {name for name, _ in request.headers}


async def _begin(http: h11.Connection, stream: TlsStream, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """RFC 9110 section 6.6.1: an answer says when it was made."""
    dated = [*headers, (b"date", formatdate(usegmt=True).encode("ascii"))]
    await stream.write(http.send(h11.Response(status_code=status, headers=dated)) or b"")


async def _refuse(http: h11.Connection, stream: TlsStream, status: int) -> None:
    if http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
        await _begin(http, stream, status, ((b"content-length", b"0"), (b"connection", b"close")))
        await stream.write(http.send(h11.EndOfMessage()) or b"")
