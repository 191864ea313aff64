"""Rule O6: requests to URLs that clients have named lead to public addresses, and cost little."""

import asyncio
import socket
import ssl
import threading
from contextlib import contextmanager
from dataclasses import replace
from json import dumps

import httpx2
import pytest

from carnet.issuer.client_keys import LAST_GOOD, PAUSE, ClientKeys
from carnet.issuer.config import Config
from carnet.issuer.egress import MOST_BYTES, Egress, EgressError
from carnet.jose import SigningKey

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.215.14"


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, content: bytes):
        self._content = content

    async def __aiter__(self):
        yield self._content


def answering(status: int = 200, content: bytes = b"{}", **headers: str):
    """A machine that always gives this answer, as it comes over a network: unread."""
    return lambda request: httpx2.Response(status, headers=headers, stream=_Stream(content))


class Net:
    """The name system and the machines behind it."""

    def __init__(self):
        self.names = {"app.example": [PUBLIC]}
        self.asked = []
        self.answer = answering()

    async def resolve(self, host: str, port: int) -> list[str]:
        if host not in self.names:
            raise OSError("no such name")
        return self.names[host]

    def _answer(self, request):
        self.asked.append(request)
        return self.answer(request)

    def egress(self, issuer: str = "https://id.example") -> Egress:
        return Egress(Config(issuer=issuer), resolve=self.resolve, transport=httpx2.MockTransport(self._answer))


@pytest.fixture
def net() -> Net:
    return Net()


@contextmanager
def refused(words: str = "."):
    with pytest.raises(EgressError, match=words):
        yield


async def test_the_connection_goes_to_the_address_that_was_looked_at(net):
    assert await net.egress().get("https://app.example/keys?x=1") == b"{}"
    [request] = net.asked
    assert str(request.url) == f"https://{PUBLIC}/keys?x=1"
    assert request.headers["host"] == "app.example"
    assert request.extensions["sni_hostname"] == "app.example"


async def test_a_port_of_its_own_stays(net):
    await net.egress().get("https://app.example:8443/keys")
    assert str(net.asked[0].url) == f"https://{PUBLIC}:8443/keys"
    assert net.asked[0].headers["host"] == "app.example:8443"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.215.14",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "::127.0.0.1",
    ],
)
async def test_an_address_that_is_no_public_one_is_not_asked(net, address):
    net.names["app.example"] = [address]
    with refused("not a public one"):
        await net.egress().get("https://app.example/")
    net.names["app.example"] = [PUBLIC, address]
    with refused("not a public one"):
        await net.egress().get("https://app.example/")
    assert net.asked == []


async def test_public_addresses_of_both_kinds_are_asked(net):
    net.names["app.example"] = ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"]
    await net.egress().get("https://app.example/")
    assert net.asked[0].url.host == "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example/",
        "http://127.0.0.1/",
        "ftp://app.example/",
        "file:///etc/passwd",
        "data:,x",
        "//app.example/",
        "app.example",
        "",
        "https://",
        "https:///keys",
        "https://user:secret@app.example/",
        "https://@app.example/",
        "https://app.example/#part",
        "https://app.example:port/",
        "https://app.example:99999/",
        "https://app.example\\@evil.example/",
        "https://app.example/a b",
        "https://app.example/\r\nx: y",
        "https://ä.example/",
        "https://app.example/" + "a" * 2_000,
    ],
)
async def test_what_is_no_plain_https_url_is_not_asked(net, url):
    with refused():
        await net.egress().get(url)
    assert net.asked == []


@pytest.mark.parametrize("host", ["app..example", ".example", f"{'a' * 64}.example"])
async def test_a_name_that_cannot_be_looked_up_is_neither_asked_nor_registered(net, host):
    with refused("can be looked up"):
        net.egress().check_url(f"https://{host}/")
    assert net.egress().check_url(f"https://{'a' * 63}.example./")


async def test_slow_look_ups_hold_up_nothing_else_that_is_done_in_threads(monkeypatch):
    go_on = threading.Event()

    def slow(*_, **__):
        go_on.wait(10)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    egress = Egress(Config(issuer="https://id.example"))
    asked = [asyncio.create_task(egress.get(f"https://{number}.example/")) for number in range(40)]
    await asyncio.sleep(0)
    try:
        await asyncio.wait_for(asyncio.to_thread(threading.current_thread), 2)
    finally:
        go_on.set()
    assert {type(answer) for answer in await asyncio.gather(*asked, return_exceptions=True)} == {EgressError}


async def test_a_name_that_is_not_known_or_has_no_address_is_refused(net):
    with refused("cannot be reached"):
        await net.egress().get("https://nowhere.example/")
    net.names["app.example"] = []
    with refused("no address"):
        await net.egress().get("https://app.example/")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(net, status):
    net.answer = answering(status, Location="https://169.254.169.254/")
    with refused(f"answers {status}"):
        await net.egress().get("https://app.example/")
    assert len(net.asked) == 1


async def test_no_more_than_64_kib_are_read(net):
    sent = 0

    class Endless(httpx2.AsyncByteStream):
        async def __aiter__(self):
            nonlocal sent
            while True:
                sent += 1
                yield b"x" * 1024

    net.answer = lambda request: httpx2.Response(200, stream=Endless())
    with refused(f"more than {MOST_BYTES}"):
        await net.egress().get("https://app.example/")
    assert sent == MOST_BYTES // 1024 + 1


async def test_a_compressed_answer_is_not_unpacked(net):
    net.answer = answering(**{"Content-Encoding": "gzip"})
    with refused("encoding"):
        await net.egress().get("https://app.example/")
    assert net.asked[0].headers["accept-encoding"] == "identity"


async def test_whoever_does_not_answer_in_time_is_given_up(net, monkeypatch):
    monkeypatch.setattr("carnet.issuer.egress.SECONDS", 0.01)
    never = asyncio.Event()

    async def silent(host, port):
        await never.wait()

    net.resolve = silent
    with refused("within"):
        await net.egress().get("https://app.example/")


async def test_only_an_issuer_on_this_machine_may_ask_this_machine(net):
    net.names["localhost"] = net.names["127.0.0.1"] = ["127.0.0.1"]
    net.names["inside.example"] = ["127.0.0.1"]
    assert await net.egress("http://127.0.0.1:8080").get("http://127.0.0.1:9000/keys") == b"{}"
    assert await net.egress("http://127.0.0.1:8080").get("https://inside.example/keys") == b"{}"
    for issuer, url in (
        ("https://id.example", "http://127.0.0.1:9000/keys"),
        ("https://id.example", "https://127.0.0.1:9000/keys"),
        ("https://id.example", "https://inside.example/keys"),
        ("http://127.0.0.1:8080", "http://app.example/keys"),
    ):
        with refused():
            await net.egress(issuer).get(url)
    net.names["app.example"] = ["10.0.0.1"]
    with refused("not a public one"):
        await net.egress("http://127.0.0.1:8080").get("https://app.example/")


async def test_the_certificate_must_speak_for_the_name_although_the_address_is_asked(certificate_for, monkeypatch):
    """Over real TLS: the name is in the handshake, and the certificate is held against it."""
    certificate = certificate_for("keys.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # in the place of the system's authorities
    asked = []

    async def serve(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    async def resolve(host, port):
        return ["127.0.0.1"]

    async with server:
        egress = Egress(Config(), resolve=resolve)
        assert await egress.get(f"https://keys.example:{port}/jwks") == b"{}"
        assert asked[0] == "keys.example"
        assert f"host: keys.example:{port}".encode() in asked[1].lower()
        with refused("cannot be reached"):
            await egress.get(f"https://other.example:{port}/jwks")
        assert len(asked) == 3, "the handshake with the other name went no further"


KEY, NEXT = SigningKey.generate("ES256", kid="one"), SigningKey.generate("ES256", kid="two")


@pytest.fixture
async def client(issuer, net):
    """A client whose keys stand at a URL, and what it takes to authenticate."""
    from .test_client_assertions import Client

    egress = net.egress()
    desk = replace(issuer.desk, egress=egress, client_keys=ClientKeys(egress, issuer.clock.ambient))
    issuer.app.state.desk = desk
    app = await issuer.service(token_endpoint_auth_method="private_key_jwt", jwks_uri="https://app.example/jwks")
    publish(net, KEY)
    return Client(issuer, app, KEY)


def publish(net, *keys) -> None:
    document = {"keys": [key.public().to_jwk() for key in keys]}
    net.answer = answering(content=dumps(document).encode())


async def test_a_clients_keys_are_fetched_once_and_kept(client, net):
    for _ in range(3):
        assert (await client.ask()).status_code == 200
    assert [request.url.path for request in net.asked] == ["/jwks"]


async def test_requests_that_wait_for_the_keys_share_one_fetch(client, net):
    answers = await asyncio.gather(*(client.ask() for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(net.asked) == 1


async def test_a_new_key_is_found_at_once_and_made_up_names_make_no_flood(client, net):
    assert (await client.ask()).status_code == 200
    publish(net, KEY, NEXT)
    client.issuer.clock.advance(PAUSE)
    assert (await client.ask(client.assertion(key=NEXT))).status_code == 200
    assert len(net.asked) == 2
    for number in range(5):
        made_up = SigningKey.from_jwk(KEY.to_jwk() | {"kid": f"made up {number}"}, alg="ES256")
        assert (await client.ask(client.assertion(key=made_up))).status_code == 401
    assert len(net.asked) == 2


async def test_a_key_that_was_taken_out_is_refused_once_the_set_is_old(client, net):
    assert (await client.ask()).status_code == 200
    publish(net, NEXT)
    client.issuer.clock.advance(300)
    assert (await client.ask()).status_code == 401


async def test_the_last_good_keys_are_used_while_the_url_does_not_answer(client, net):
    assert (await client.ask()).status_code == 200
    for net.answer in (answering(500), answering(content=b"no json"), answering(content=b"{}")):
        client.issuer.clock.advance(300)
        assert (await client.ask()).status_code == 200
    client.issuer.clock.advance(LAST_GOOD)
    assert (await client.ask()).status_code == 401


async def test_keys_that_never_came_let_nobody_in_and_are_asked_for_again(client, net):
    net.answer = answering(500)
    assert (await client.ask()).status_code == 401
    assert (await client.ask()).status_code == 401
    assert len(net.asked) == 1
    publish(net, KEY)
    client.issuer.clock.advance(PAUSE)
    assert (await client.ask()).status_code == 200
