"""RFC 6750 over gRPC: real servers, of asyncio and of threads, let the same calls through and refuse the same."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import httpx2
import pytest
from tests.certificates import Authority, Shown, certificate

from carnet.guard import grpc as grpc_guard
from carnet.guard import require
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer

pytestmark = pytest.mark.anyio

ASKED = {
    "/orders.Orders/Read": require(scope="orders:read"),
    "/orders.Orders/Watch": require(scope="orders:read", role="CLERK"),
    "/orders.Orders/Send": require(role="CLERK"),
    "/orders.Orders/Pay": require(max_age=300),
    "/orders.Orders/Ping": None,
    "/orders.Orders/Talk": require(long_answers="finish"),
}
SHAPES = {"Read": "unary_unary", "Watch": "unary_stream", "Send": "stream_unary", "Talk": "stream_stream"}
METHODS = {**SHAPES, "Pay": "unary_unary", "Ping": "unary_unary", "Other": "unary_unary", "Old": "unary_unary"}


class Service:
    """Answers with the subject; what is sent to it is counted."""

    def __init__(self, guard: Any) -> None:
        self._guard = guard
        self.reached = 0

    def name(self) -> bytes:
        self.reached += 1
        return self._guard.principal().subject.encode()

    def handlers(self, make: dict[str, Any]) -> Any:
        """As a generated file would have them, with bytes as messages."""
        made = {
            name: getattr(grpc, f"{shape}_rpc_method_handler")(make.get(name, make[shape]))
            for name, shape in METHODS.items()
        }
        return grpc.method_handlers_generic_handler("orders.Orders", made)


def pinged(*_: Any) -> bytes:
    return b"pong"


def opened(server: Any, credentials: grpc.ServerCredentials | None) -> int:
    """The port that it listens on, with TLS if there are credentials."""
    if credentials is None:
        return server.add_insecure_port("127.0.0.1:0")
    return server.add_secure_port("127.0.0.1:0", credentials)


@asynccontextmanager
async def asynchronous(
    issuer: FakeIssuer, clock: Clock, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[tuple[int, Service]]:
    guard = grpc_guard.Guard(
        issuer=issuer.issuer, audience="orders", methods=ASKED, ambient=clock.ambient, transport=issuer.transport
    )
    service = Service(guard)

    async def answer(request: Any, context: Any) -> bytes:
        if not isinstance(request, bytes):
            assert [part async for part in request] == [b"a", b"b"]
        return service.name()

    async def stream(request: Any, context: Any) -> AsyncIterator[bytes]:
        for _ in range(2):
            yield service.name()

    async def ping(request: Any, context: Any) -> bytes:
        return pinged()

    def in_a_thread(request: Any, context: Any) -> bytes:
        return b"in a thread"

    server = grpc.aio.server(interceptors=[guard])
    make = {
        "unary_unary": answer,
        "stream_unary": answer,
        "unary_stream": stream,
        "stream_stream": stream,
        "Ping": ping,
        "Old": in_a_thread,
    }
    server.add_generic_rpc_handlers((service.handlers(make),))
    port = opened(server, credentials)
    await server.start()
    try:
        yield port, service
    finally:
        await server.stop(None)
        await guard.checkpoint.stop()


@asynccontextmanager
async def threaded(
    issuer: FakeIssuer, clock: Clock, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[tuple[int, Service]]:
    guard = grpc_guard.BlockingGuard(
        issuer=issuer.issuer, audience="orders", methods=ASKED, ambient=clock.ambient, transport=issuer.transport
    )
    service = Service(guard)

    def answer(request: Any, context: Any) -> bytes:
        if not isinstance(request, bytes):
            assert list(request) == [b"a", b"b"]
        return service.name()

    def stream(request: Any, context: Any) -> Any:
        for _ in range(2):
            yield service.name()

    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, interceptors=[guard])
        make = {
            "unary_unary": answer,
            "stream_unary": answer,
            "unary_stream": stream,
            "stream_stream": stream,
            "Ping": pinged,
        }
        server.add_generic_rpc_handlers((service.handlers(make),))
        port = opened(server, credentials)
        server.start()
        try:
            yield port, service
        finally:
            server.stop(None).wait()
            guard.checkpoint.stop()


class Caller:
    """A client of the service."""

    def __init__(self, channel: grpc.aio.Channel, service: Service) -> None:
        self._channel = channel
        self.service = service

    def _begin(self, method: str, token: str | None, metadata: tuple[tuple[str, str], ...], *request: Any) -> Any:
        call = getattr(self._channel, METHODS.get(method, "unary_unary"))(f"/orders.Orders/{method}")
        sent = metadata if token is None else (*metadata, ("authorization", f"Bearer {token}"))
        return call(*request, metadata=sent)

    async def call(self, method: str, token: str | None = None) -> Any:
        """The answer, or the answers of a stream."""
        shape = METHODS[method]
        made = self._begin(method, token, (), iter([b"a", b"b"]) if shape.startswith("stream") else b"")
        return [part async for part in made] if shape.endswith("stream") else await made

    async def refusal(
        self, method: str, token: str | None = None, *, metadata: tuple[tuple[str, str], ...] = ()
    ) -> tuple[grpc.StatusCode, dict[str, str], str]:
        """The status, the trailing metadata, the details; nothing reaches the service. A stream has sent nothing yet by then."""
        before = self.service.reached
        streams = METHODS.get(method, "").startswith("stream")
        made = self._begin(method, token, metadata, *(() if streams else (b"",)))
        status = await made.code()
        assert self.service.reached == before
        assert status != grpc.StatusCode.OK
        return status, dict(await made.trailing_metadata()), await made.details()


@pytest.fixture(params=[asynchronous, threaded], ids=["asyncio", "threads"])
async def caller(request: pytest.FixtureRequest, issuer: FakeIssuer, clock: Clock) -> AsyncIterator[Caller]:
    async with (
        request.param(issuer, clock) as (port, service),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield Caller(channel, service)


@pytest.mark.parametrize("method", SHAPES)
async def test_a_good_token_is_let_through_with_its_principal(caller: Caller, issuer: FakeIssuer, method: str) -> None:
    answer = await caller.call(method, issuer.token("bob", scope="orders:read", roles=["CLERK"]))
    assert answer in (b"bob", [b"bob", b"bob"])


@pytest.mark.parametrize("method", SHAPES)
async def test_a_call_without_a_token_is_unauthenticated(caller: Caller, method: str) -> None:
    status, trailing, _ = await caller.refusal(method)
    assert (status, trailing["www-authenticate"]) == (grpc.StatusCode.UNAUTHENTICATED, "Bearer")


@pytest.mark.parametrize("method", ["Watch", "Send"])
async def test_a_token_without_the_role_is_denied_without_a_word_why(
    caller: Caller, issuer: FakeIssuer, method: str
) -> None:
    token = issuer.token("bob", scope="orders:read", roles=["GUEST"])
    status, trailing, details = await caller.refusal(method, token)
    assert status == grpc.StatusCode.PERMISSION_DENIED
    assert 'error="insufficient_scope"' in trailing["www-authenticate"]
    assert "CLERK" not in details


@pytest.mark.parametrize("method", ["Watch", "Talk"])
async def test_a_stream_ends_when_its_token_expires_unless_its_method_lets_it_go_on(
    caller: Caller, issuer: FakeIssuer, clock: Clock, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    said = []

    def name() -> bytes:
        said.append(b"part")
        if len(said) > 1:
            clock.advance(600)
        return b"part"

    monkeypatch.setattr(caller.service, "name", name)
    token = issuer.token("bob", scope="orders:read", roles=["CLERK"])
    if method == "Talk":
        assert await caller.call(method, token) == [b"part", b"part"]
        return
    heard = caller._begin(method, token, (), b"")
    assert await anext(aiter(heard)) == b"part"
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await anext(aiter(heard))
    assert ended.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert 'error="invalid_token"' in dict(ended.value.trailing_metadata())["www-authenticate"]


async def test_a_method_that_is_not_named_asks_for_a_valid_token(caller: Caller, issuer: FakeIssuer) -> None:
    assert await caller.call("Other", issuer.token("bob")) == b"bob"
    assert (await caller.refusal("Other"))[0] == grpc.StatusCode.UNAUTHENTICATED


async def test_a_method_is_public_only_if_that_is_said(caller: Caller) -> None:
    assert await caller.call("Ping") == b"pong"


async def test_a_method_that_does_not_exist_is_not_there_for_anybody(caller: Caller, issuer: FakeIssuer) -> None:
    for token in (None, issuer.token("bob")):
        assert (await caller.refusal("Nothing", token))[0] == grpc.StatusCode.UNIMPLEMENTED


async def test_bad_tokens_are_unauthenticated(caller: Caller, issuer: FakeIssuer) -> None:
    good = issuer.token("bob", scope="orders:read")
    for token in (
        issuer.token(scope="orders:read", expires_in=-600),
        issuer.token(scope="orders:read", audience="invoices"),
        issuer.token(scope="orders:read", typ="JWT"),
        good[:-2],
        "a b",
        "",
    ):
        assert (await caller.refusal("Read", token))[0] == grpc.StatusCode.UNAUTHENTICATED
    twice = (("authorization", f"Bearer {good}"), ("authorization", f"Bearer {good}"))
    assert (await caller.refusal("Read", metadata=twice))[0] == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.spec("RFC 9470", "3", "MUST")
async def test_an_old_sign_in_is_answered_with_what_would_do(caller: Caller, issuer: FakeIssuer, clock: Clock) -> None:
    _, trailing, _ = await caller.refusal("Pay", issuer.token(auth_time=clock.now() - 1000))
    assert 'max_age="300"' in trailing["www-authenticate"]
    assert await caller.call("Pay", issuer.token("bob", auth_time=clock.now() - 10)) == b"bob"


async def test_without_keys_the_service_is_unavailable(caller: Caller, issuer: FakeIssuer) -> None:
    issuer.answer = lambda request: httpx2.Response(500)  # type: ignore[method-assign]
    status, trailing, _ = await caller.refusal("Other", issuer.token())
    assert status == grpc.StatusCode.UNAVAILABLE
    assert int(trailing["retry-after"]) > 0


async def test_one_call_does_not_know_another_ones_principal(caller: Caller, issuer: FakeIssuer) -> None:
    for name in ("ada", "bob", "eve"):
        assert await caller.call("Other", issuer.token(name)) == name.encode()
    assert await caller.call("Ping") == b"pong"


def test_outside_of_a_call_there_is_no_principal(issuer: FakeIssuer) -> None:
    with pytest.raises(LookupError):
        grpc_guard.Guard(issuer=issuer.issuer, audience="orders").principal()


AUTHORITY = Authority()
SHOWN, OTHER = AUTHORITY.issue("CN=front-end"), AUTHORITY.issue("CN=front-end")
BOUND = {"cnf": {"x5t#S256": SHOWN.thumbprint}}


SERVER = certificate("CN=localhost", names={"dns": "localhost"}, usage=None)
TLS = grpc.ssl_server_credentials([(SERVER.key_pem, SERVER.pem)], AUTHORITY.pem, require_client_auth=True)


@asynccontextmanager
async def channel(port: int, shown: Shown) -> AsyncIterator[grpc.aio.Channel]:
    credentials = grpc.ssl_channel_credentials(SERVER.pem, shown.key_pem, shown.pem)
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as opened:
        yield opened


@pytest.fixture(params=[asynchronous, threaded], ids=["asyncio", "threads"])
async def callers(
    request: pytest.FixtureRequest, issuer: FakeIssuer, clock: Clock
) -> AsyncIterator[tuple[Caller, Caller]]:
    """The one whose certificate tokens are bound to, and another one, at a server that wants certificates."""
    async with (
        request.param(issuer, clock, TLS) as (port, service),
        channel(port, SHOWN) as own,
        channel(port, OTHER) as others,
    ):
        yield Caller(own, service), Caller(others, service)


@pytest.mark.spec("RFC 8705", "3", "MUST")
@pytest.mark.parametrize("method", SHAPES)
async def test_a_token_that_is_bound_to_a_certificate_is_good_over_its_connections_alone(
    callers: tuple[Caller, Caller], issuer: FakeIssuer, method: str
) -> None:
    own, others = callers
    token = issuer.token("bob", scope="orders:read", roles=["CLERK"], **BOUND)
    assert await own.call(method, token) in (b"bob", [b"bob", b"bob"])
    status, trailing, _ = await others.refusal(method, token)
    assert (status, 'error="invalid_token"' in trailing["www-authenticate"]) == (grpc.StatusCode.UNAUTHENTICATED, True)
    free = issuer.token("bob", scope="orders:read", roles=["CLERK"])
    assert await others.call(method, free) in (b"bob", [b"bob", b"bob"])


async def test_the_certificate_opens_nothing_that_the_token_does_not(
    callers: tuple[Caller, Caller], issuer: FakeIssuer, clock: Clock
) -> None:
    own, _ = callers
    guest = issuer.token("bob", scope="orders:read", roles=["GUEST"], **BOUND)
    assert (await own.refusal("Watch", guest))[0] == grpc.StatusCode.PERMISSION_DENIED
    token = issuer.token("bob", **BOUND)
    clock.advance(3_600)
    assert (await own.refusal("Other", token))[0] == grpc.StatusCode.UNAUTHENTICATED
    both = issuer.token("bob", cnf={"x5t#S256": SHOWN.thumbprint, "jkt": "k" * 43})
    assert (await own.refusal("Other", both))[0] == grpc.StatusCode.UNAUTHENTICATED
    proved = (("authorization", f"DPoP {both}"), ("dpop", "x.y.z"))
    assert (await own.refusal("Other", metadata=proved))[0] == grpc.StatusCode.UNAUTHENTICATED
    assert (await own.refusal("Nothing", issuer.token("bob", **BOUND)))[0] == grpc.StatusCode.UNIMPLEMENTED


async def test_without_tls_no_bound_token_is_let_through(caller: Caller, issuer: FakeIssuer) -> None:
    token = issuer.token("bob", scope="orders:read", roles=["CLERK"], **BOUND)
    for method in SHAPES:
        assert (await caller.refusal(method, token))[0] == grpc.StatusCode.UNAUTHENTICATED


async def test_a_method_that_asyncio_calls_in_a_thread_refuses_bound_tokens(issuer: FakeIssuer, clock: Clock) -> None:
    async with asynchronous(issuer, clock, TLS) as (port, service), channel(port, SHOWN) as own:
        caller = Caller(own, service)
        assert await caller.call("Old", issuer.token("bob")) == b"in a thread"
        assert (await caller.refusal("Old", issuer.token("bob", **BOUND)))[0] == grpc.StatusCode.UNAUTHENTICATED
