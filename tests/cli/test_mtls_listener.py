"""RFC 8446, RFC 9112: the port for clients with certificates, with a small application behind it."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.certificates import Authority, Shown, certificate

from carnet.cli import mtls_listener
from carnet.cli.mtls_listener import MtlsListener
from carnet.cli.tls_stream import server_context
from carnet.testing.ports import free_port

pytestmark = pytest.mark.anyio

SHOWN = certificate("CN=self")


class Echo:
    """Says what reaches it; `/hold` answers when it is let go, `/break` fails, `/ignore` does not look at the body."""

    def __init__(self) -> None:
        self.held, self.let_go = asyncio.Event(), asyncio.Event()
        self.lifespan: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                self.lifespan.append((await receive())["type"])
                await send({"type": f"lifespan.{step}.complete"})
            return
        if scope["path"] == "/break":
            raise RuntimeError("broken")
        if scope["path"] == "/hold":
            self.held.set()
            await self.let_go.wait()
        body, more = b"", scope["path"] != "/ignore"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        told = {name: scope[name] for name in ("method", "path", "scheme", "http_version")}
        told |= {"query": scope["query_string"].decode(), "body": len(body), "host": scope["client"][0]}
        told |= {"chain": scope["extensions"]["tls"]["client_cert_chain"]}
        answer = json.dumps(told).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer[:10], "more_body": True})
        await send({"type": "http.response.body", "body": answer[10:]})


class Port:
    def __init__(self, number: int, chain: Path, echo: Echo, listener: MtlsListener) -> None:
        self.number, self.chain, self.echo, self.listener = number, chain, echo, listener

    def context(self, shown: Shown | None = None, *further: bytes) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.chain)
        if shown is not None:
            file = self.chain.with_name("client.pem")
            file.write_bytes(b"".join((shown.pem, *further, shown.key_pem)))
            context.load_cert_chain(file)
        return context

    def client(self, shown: Shown | None = None, *further: bytes) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            verify=self.context(shown, *further), base_url=f"https://127.0.0.1:{self.number}", trust_env=False
        )

    async def talk(self, raw: bytes, *, context: ssl.SSLContext | None = None) -> bytes:
        """Send this, and hear all that is said until the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number, ssl=context or self.context())
        writer.write(raw)
        heard = await reader.read()
        writer.close()
        return heard


@asynccontextmanager
async def opened(chain: Path, **places: int) -> AsyncIterator[Port]:
    echo = Echo()
    number = free_port()
    context = server_context(chain, chain.with_name("key.pem"))
    listener = MtlsListener(echo, host="127.0.0.1", port=number, context=context, grace=5, **places)
    await listener.start()
    yield Port(number, chain, echo, listener)
    echo.let_go.set()
    await listener.stop()


@pytest.fixture
async def port(certificate_for: Any) -> AsyncIterator[Port]:
    async with opened(certificate_for("127.0.0.1")) as port:
        yield port


@pytest.mark.spec("RFC 8705", "2.2", "MUST")
async def test_a_certificate_that_nobody_vouches_for_reaches_the_application(port):
    async with port.client(SHOWN) as http:
        told = (await http.post("/a%20b?x=%2F", content=b"12345")).json()
    assert told == {
        "method": "POST", "path": "/a b", "scheme": "https", "http_version": "1.1", "query": "x=%2F", "body": 5,
        "host": "127.0.0.1", "chain": [SHOWN.pem.decode()],
    }  # fmt: skip


async def test_the_authorities_that_came_along_are_passed_after_it(port):
    authority = Authority()
    shown = authority.issue()
    async with port.client(shown, authority.pem) as http:
        assert (await http.get("/")).json()["chain"] == [shown.pem.decode(), authority.pem.decode()]


async def test_without_a_certificate_the_application_is_told_of_none(port):
    async with port.client() as http:
        assert (await http.get("/")).json()["chain"] == []


async def test_requests_follow_each_other_on_one_connection(port):
    raw = b"GET /one HTTP/1.1\r\nHost: a\r\n\r\nHEAD /two HTTP/1.1\r\nHost: a\r\n\r\nGET /three HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    heard = await port.talk(raw)
    assert heard.count(b"HTTP/1.1 200") == heard.count(b"date: ") == 3
    assert b'"/two"' not in heard, "the answer to a HEAD has no body"


async def test_tls_1_2_is_spoken_and_nothing_older(port):
    context = port.context(SHOWN)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    heard = await port.talk(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", context=context)
    assert SHOWN.pem.decode().splitlines()[1].encode() in heard


async def test_a_large_body_and_a_client_that_waits_to_be_told_to_go_on(port):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 300000\r\nExpect: 100-continue\r\n\r\n"
    heard = await port.talk(head + b"x" * 300_000)
    assert heard.startswith(b"HTTP/1.1 100 ")
    assert b'"body": 300000' in heard


async def test_what_was_not_read_of_a_body_is_no_further_request(port):
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    head = b"POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
    heard = await port.talk(head + smuggled)
    assert heard.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"garbage\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"GET /break HTTP/1.1\r\nHost: a\r\n\r\n", b"500"),
    ],
)
async def test_what_is_no_good_request_is_answered_and_is_the_last_one(port, raw, status):
    heard = await port.talk(raw)
    assert heard.startswith(b"HTTP/1.1 " + status)
    async with port.client() as http:
        assert (await http.get("/")).status_code == 200


async def test_a_head_that_does_not_end_is_not_read_on(port):
    with suppress(OSError):  # whoever goes on sending may not hear the answer
        heard = await port.talk(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2 * mtls_listener.LARGEST_HEAD)
        assert heard == b"" or heard.startswith(b"HTTP/1.1 431")
    async with port.client() as http:
        assert (await http.get("/")).status_code == 200


async def test_who_speaks_no_tls_or_goes_away_disturbs_nobody(port):
    for raw in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"", b"\x16\x03\x01\x00\x05hello"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(raw)
        writer.write_eof()
        await reader.read()
        writer.close()
    _, writer = await asyncio.open_connection("127.0.0.1", port.number, ssl=port.context())
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
    writer.transport.abort()
    async with port.client() as http:
        assert (await http.get("/")).status_code == 200


async def test_a_silent_connection_is_closed(port, monkeypatch):
    monkeypatch.setattr(mtls_listener, "IDLE", 0.05)
    assert await port.talk(b"GET / HT") == b""


async def test_an_answer_that_takes_too_long_is_not_waited_for(port, monkeypatch):
    monkeypatch.setattr(mtls_listener, "LONGEST", 0.05)
    assert await port.talk(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n") == b""


async def test_who_does_not_begin_the_handshake_is_not_waited_for(port, monkeypatch):
    monkeypatch.setattr(mtls_listener, "HANDSHAKE", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    assert await reader.read() == b""
    writer.close()


SLOW = (None, b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
"""What slow ones send: nothing at all, a handshake, half a head, half a body."""


@pytest.mark.parametrize("places", [{"most": 2}, {"most_of_one": 2}])
@pytest.mark.parametrize("sent", SLOW)
async def test_slow_connections_make_room_for_whoever_comes(certificate_for, places, sent):
    """Rule R18."""
    async with opened(certificate_for("127.0.0.1"), **places) as port:
        slow = []
        for _ in range(4):
            context = None if sent is None else port.context()
            slow.append(await asyncio.open_connection("127.0.0.1", port.number, ssl=context))
            slow[-1][1].write(sent or b"")
        for _ in range(3):
            async with port.client() as http:
                assert (await http.get("/")).status_code == 200
        assert await slow[0][0].read() == b"", "the first was ended"
        for _, writer in slow:
            writer.transport.abort()


async def test_requests_under_way_make_room_for_nobody(certificate_for):
    async with opened(certificate_for("127.0.0.1"), most=1) as port, port.client() as http:
        under_way = asyncio.create_task(http.get("/hold"))
        await port.echo.held.wait()
        with pytest.raises((OSError, ssl.SSLError)):
            await port.talk(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        port.echo.let_go.set()
        assert (await under_way).status_code == 200


async def test_one_address_takes_no_place_from_another(certificate_for):
    async with opened(certificate_for("127.0.0.1"), most=3, most_of_one=2) as port:
        patient, talking = await asyncio.open_connection(
            "127.0.0.1", port.number, ssl=port.context(), local_addr=("127.0.0.2", 0)
        )
        many = [await asyncio.open_connection("127.0.0.1", port.number, ssl=port.context()) for _ in range(5)]
        talking.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b'"host": "127.0.0.2"' in await patient.read()
        for _, writer in ((patient, talking), *many):
            writer.transport.abort()


async def test_it_listens_while_the_application_lives_and_lets_requests_finish(port):
    echo, number = Echo(), free_port()
    context = server_context(port.chain, port.chain.with_name("key.pem"))
    listener = MtlsListener(echo, host="127.0.0.1", port=number, context=context, grace=5)
    received: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    sent: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    living = asyncio.create_task(listener({"type": "lifespan"}, received.get, sent.put))
    await received.put({"type": "lifespan.startup"})
    assert (await sent.get())["type"] == "lifespan.startup.complete"
    other = Port(number, port.chain, echo, listener)
    async with other.client() as http, other.client() as idle:
        assert (await idle.get("/")).status_code == 200
        under_way = asyncio.create_task(http.get("/hold"))
        await echo.held.wait()
        await received.put({"type": "lifespan.shutdown"})
        echo.let_go.set()
        assert (await under_way).status_code == 200
    assert (await sent.get())["type"] == "lifespan.shutdown.complete"
    await living
    assert echo.lifespan == ["lifespan.startup", "lifespan.shutdown"]
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", number)
