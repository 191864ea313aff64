"""When a guard fetches keys, and what it makes of issuers that fail in every way."""

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.guard import Checkpoint, MetadataError, RefusedRequestError, outgoing
from carnet.guard.checkpoint import BlockingCheckpoint
from carnet.guard.key_set import Fetch, KeySetMachine, Response, Timing, Wait
from carnet.jose import SigningKey
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer

pytestmark = pytest.mark.anyio


def _checkpoint(issuer: FakeIssuer, clock: Clock, answer: Any = None) -> Checkpoint:
    checkpoint = Checkpoint(
        issuer=issuer.issuer,
        audience="orders",
        ambient=clock.ambient,
        transport=httpx2.MockTransport(answer) if answer else issuer.transport,
    )
    checkpoint.source._machine.timing = Timing(answer=0.02)
    return checkpoint


async def _code(checkpoint: Checkpoint, token: str) -> str:
    """`admitted`, or the code of the refusal. The background task is left out: the test's clock decides."""
    try:
        await checkpoint.admit([f"Bearer {token}".encode()])
    except RefusedRequestError as error:
        return error.refused.code
    return "admitted"


@pytest.fixture
async def checkpoint(issuer: FakeIssuer, clock: Clock) -> Checkpoint:
    checkpoint = _checkpoint(issuer, clock)
    await checkpoint.source.load()
    return checkpoint


# What an issuer may do wrong


def _slow(issuer: FakeIssuer) -> Callable[[httpx2.Request], Any]:
    async def answer(request: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    return answer


def _drip(issuer: FakeIssuer) -> Callable[[httpx2.Request], Any]:
    class Dripping(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            yield b"{"
            await asyncio.Event().wait()

    return lambda request: httpx2.Response(200, stream=Dripping())


def _raising(error: type[httpx2.TransportError]) -> Callable[[FakeIssuer], Any]:
    def build(issuer: FakeIssuer) -> Any:
        def answer(request: httpx2.Request) -> httpx2.Response:
            raise error("secret detail", request=request)

        return answer

    return build


def _always(status: int, content: bytes = b"", **headers: str) -> Callable[[FakeIssuer], Any]:
    return lambda issuer: lambda request: httpx2.Response(status, content=content, headers=headers)


def _metadata(**changed: Any) -> Callable[[FakeIssuer], Any]:
    def build(issuer: FakeIssuer) -> Any:
        def answer(request: httpx2.Request) -> httpx2.Response:
            if request.url.path.startswith("/.well-known"):
                return httpx2.Response(200, json=issuer.metadata() | changed)
            return issuer.answer(request)

        return answer

    return build


def _keys(content: bytes, status: int = 200, **headers: str) -> Callable[[FakeIssuer], Any]:
    def build(issuer: FakeIssuer) -> Any:
        def answer(request: httpx2.Request) -> httpx2.Response:
            if request.url.path == "/jwks":
                return httpx2.Response(status, content=content, headers=headers)
            return issuer.answer(request)

        return answer

    return build


FAILURES: dict[str, Callable[[FakeIssuer], Any]] = {
    "it does not answer": _slow,
    "it answers byte by byte": _drip,
    "it refuses connections": _raising(httpx2.ConnectError),
    "connections time out": _raising(httpx2.ConnectTimeout),
    "it breaks off": _raising(httpx2.RemoteProtocolError),
    "it answers 500": _always(500),
    "it answers 404 everywhere": _always(404),
    "it redirects": _always(302, location="https://elsewhere.test/"),
    "it answers with a page": _always(200, b"<html>"),
    "it answers with nothing": _always(200),
    "it answers with endless JSON": _always(200, b'{"a":"' + b"x" * 300_000 + b'"}'),
    "it answers compressed": _always(200, b"", **{"content-encoding": "gzip"}),
    "the metadata is another issuer's": _metadata(issuer="https://evil.test"),
    "the metadata's issuer has one more slash": _metadata(issuer="https://issuer.test/"),
    "the metadata has no issuer": _metadata(issuer=None),
    "the metadata has no keys' place": _metadata(jwks_uri=None),
    "the keys' place is a file": _metadata(jwks_uri="file:///etc/passwd"),
    "the keys' place is inline": _metadata(jwks_uri="data:application/json,{}"),
    "the keys' place is plain http": _metadata(jwks_uri="http://issuer.test/jwks"),
    "the keys' place has a password": _metadata(jwks_uri="https://a:b@issuer.test/jwks"),
    "the key set is no JSON": _keys(b"garbage"),
    "the key set has a member twice": _keys(b'{"keys":[],"keys":[]}'),
    "the key set is empty": _keys(b'{"keys":[]}'),
    "the key set answers 500": _keys(b"", 500),
    "the key set redirects": _keys(b"", 307, location="https://elsewhere.test/"),
    "the key set answers 304 to nothing": _keys(b"", 304),
    "the key set has a secret alone": _keys(b'{"keys":[{"kty":"oct","k":"AAAA","alg":"HS256","kid":"1"}]}'),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_guard_that_cannot_get_keys_is_not_ready(issuer: FakeIssuer, clock: Clock, failure: str) -> None:
    checkpoint = _checkpoint(issuer, clock, FAILURES[failure](issuer))
    await checkpoint.source.load()
    assert not checkpoint.ready
    assert await _code(checkpoint, issuer.token()) == "guard_not_ready"
    assert checkpoint.source.last_failure
    assert "secret" not in checkpoint.source.last_failure
    await checkpoint.source.stop()


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_guard_that_has_keys_goes_on_with_them(issuer: FakeIssuer, clock: Clock, failure: str) -> None:
    answers: list[Any] = [issuer.answer]

    def answer(request: httpx2.Request) -> Any:
        return answers[0](request)

    checkpoint = _checkpoint(issuer, clock, answer)
    await checkpoint.source.load()
    answers[0] = _always(500)(issuer)  # so that the metadata is read again as well
    clock.advance(340)
    await checkpoint.source.load()
    answers[0] = FAILURES[failure](issuer)
    clock.advance(60)
    await checkpoint.source.load()
    assert checkpoint.source.last_failure
    assert checkpoint.key_age == 400
    assert await _code(checkpoint, issuer.token()) == "admitted"
    answers[0] = issuer.answer
    clock.advance(60)
    await checkpoint.source.load()
    assert checkpoint.source.last_failure is None
    assert checkpoint.key_age == 0
    await checkpoint.source.stop()


async def test_a_token_whose_key_is_held_does_not_wait_for_the_network(issuer: FakeIssuer, clock: Clock) -> None:
    under_way, silent = asyncio.Event(), False

    async def answer(request: httpx2.Request) -> httpx2.Response:
        if silent:
            under_way.set()
            await asyncio.Event().wait()
        return issuer.answer(request)

    checkpoint = _checkpoint(issuer, clock, answer)
    checkpoint.source._machine.timing = Timing(answer=30)
    await checkpoint.source.load()
    silent = True
    clock.advance(300)
    refreshing = asyncio.create_task(checkpoint.source.load())
    await under_way.wait()
    assert await _code(checkpoint, issuer.token()) == "admitted"
    assert not refreshing.done()
    assert checkpoint.key_age == 300
    await checkpoint.source.stop()
    with pytest.raises(asyncio.CancelledError):
        await refreshing


async def test_keys_that_nobody_has_confirmed_for_a_day_are_not_used(
    checkpoint: Checkpoint, issuer: FakeIssuer, clock: Clock
) -> None:
    token = issuer.token(expires_in=200_000)
    issuer.answer = lambda request: httpx2.Response(500)  # type: ignore[method-assign]
    clock.advance(24 * 3600)
    await checkpoint.source.load()
    assert await _code(checkpoint, token) == "admitted"
    clock.advance(1)
    assert await _code(checkpoint, token) == "guard_not_ready"
    await checkpoint.source.stop()


# Rotation


async def test_a_rotation_that_was_not_announced_refuses_nobody(checkpoint: Checkpoint, issuer: FakeIssuer) -> None:
    before = issuer.token()
    issuer.rotate()
    assert await _code(checkpoint, issuer.token()) == "admitted"
    assert await _code(checkpoint, before) == "admitted"
    await checkpoint.source.stop()


async def test_many_requests_with_the_new_key_share_one_fetch(checkpoint: Checkpoint, issuer: FakeIssuer) -> None:
    issuer.rotate()
    asked = len(issuer.requests)
    codes = await asyncio.gather(*(_code(checkpoint, issuer.token()) for _ in range(50)))
    assert set(codes) == {"admitted"}
    assert len(issuer.requests) == asked + 1
    await checkpoint.source.stop()


async def test_a_withdrawn_key_is_not_accepted_even_for_tokens_seen_before(
    checkpoint: Checkpoint, issuer: FakeIssuer, clock: Clock
) -> None:
    token = issuer.token()
    assert await _code(checkpoint, token) == "admitted"
    issuer.rotate(keep=False)
    clock.advance(250)
    await checkpoint.source.load()
    assert await _code(checkpoint, token) == "unknown_key"
    await checkpoint.source.stop()


async def test_unknown_keys_cause_no_flood(checkpoint: Checkpoint, issuer: FakeIssuer, clock: Clock) -> None:
    """R12: a minute of invented names, at most six fetches, and whoever has a good token does not notice."""
    foreign = SigningKey.generate("ES256")
    asked = len(issuer.requests)
    for second in range(60):
        for number in range(10):
            forged = issuer.token(
                key=SigningKey.from_jwk({**foreign.to_jwk(), "kid": f"{second}-{number}"}, alg="ES256")
            )
            assert await _code(checkpoint, forged) == "unknown_key"
        assert await _code(checkpoint, issuer.token()) == "admitted"
        clock.advance(1)
    assert len(issuer.requests) - asked <= 6
    await checkpoint.source.stop()


async def test_one_unknown_key_is_looked_for_once_a_minute(
    checkpoint: Checkpoint, issuer: FakeIssuer, clock: Clock
) -> None:
    forged = issuer.token(key=SigningKey.generate("ES256"), expires_in=600)
    asked = len(issuer.requests)
    for _ in range(59):
        assert await _code(checkpoint, forged) == "unknown_key"
        clock.advance(1)
    assert len(issuer.requests) == asked + 1
    await checkpoint.source.stop()


# Freshness


def _machine(clock: Clock, **timing: float) -> KeySetMachine:
    return KeySetMachine(
        "https://issuer.test",
        algorithms=("ES256",),
        jitter=lambda: 0.5,
        at=clock.monotonic(),
        timing=Timing(**timing),  # type: ignore[arg-type]
    )


def _answer(issuer: FakeIssuer, fetch: Fetch, **headers: str) -> Response:
    response = issuer.answer(httpx2.Request("GET", fetch.url))
    return Response(response.status_code, {**dict(response.headers), **headers}, response.content)


def _drive(machine: KeySetMachine, issuer: FakeIssuer, clock: Clock, **headers: str) -> list[Fetch]:
    fetched = []
    while isinstance(step := machine.next(clock.monotonic()), Fetch):
        fetched.append(step)
        machine.answered(_answer(issuer, step, **headers), clock.monotonic())
    return fetched


def test_metadata_is_fetched_before_the_keys_and_once(issuer: FakeIssuer, clock: Clock) -> None:
    machine = _machine(clock)
    first = [fetch.url for fetch in _drive(machine, issuer, clock)]
    assert first == ["https://issuer.test/.well-known/openid-configuration", "https://issuer.test/jwks"]
    clock.advance(300)
    assert [fetch.url for fetch in _drive(machine, issuer, clock)] == ["https://issuer.test/jwks"]


@pytest.mark.spec("RFC 8414", "3", "MUST")
def test_an_issuer_without_openid_connect_is_found_too(clock: Clock) -> None:
    machine = _machine(clock)
    step = machine.next(0)
    assert isinstance(step, Fetch)
    machine.answered(Response(404, {}, b""), 0)
    step = machine.next(0)
    assert isinstance(step, Fetch)
    assert step.url == "https://issuer.test/.well-known/oauth-authorization-server"


@pytest.mark.parametrize(
    ("header", "earliest", "latest"),
    [
        ("public, max-age=300", 150, 225),
        ('max-age="300"', 150, 225),
        ("max-age=0", 30, 45),
        ("no-store", 30, 45),
        ("max-age=99999999", 1800, 2700),
        ("nonsense", 150, 225),
        ("", 150, 225),
    ],
)
def test_keys_are_refreshed_before_their_max_age_ends(
    issuer: FakeIssuer, clock: Clock, header: str, earliest: float, latest: float
) -> None:
    machine = _machine(clock)
    _drive(machine, issuer, clock, **{"cache-control": header})
    step = machine.next(clock.monotonic())
    assert isinstance(step, Wait)
    assert earliest <= step.until <= latest


def test_the_age_of_a_cached_answer_counts(issuer: FakeIssuer, clock: Clock) -> None:
    machine = _machine(clock)
    _drive(machine, issuer, clock, age="200")
    step = machine.next(clock.monotonic())
    assert isinstance(step, Wait)
    assert step.until <= 75


def test_an_unchanged_set_is_confirmed_by_its_etag(issuer: FakeIssuer, clock: Clock) -> None:
    machine = _machine(clock)
    _drive(machine, issuer, clock, etag='"1"')
    keys = machine.keys(clock.monotonic())
    clock.advance(300)
    step = machine.next(clock.monotonic())
    assert isinstance(step, Fetch)
    assert step.etag == '"1"'
    machine.answered(Response(304, {"cache-control": "max-age=300"}, b""), clock.monotonic())
    assert machine.keys(clock.monotonic()) is keys
    assert machine.age(clock.monotonic()) == 0


def test_the_same_set_again_is_the_same_object_so_that_verified_tokens_stay_remembered(
    issuer: FakeIssuer, clock: Clock
) -> None:
    machine = _machine(clock)
    _drive(machine, issuer, clock)
    keys = machine.keys(clock.monotonic())
    clock.advance(300)
    _drive(machine, issuer, clock)
    assert machine.keys(clock.monotonic()) is keys


def test_failures_are_retried_ever_more_slowly(clock: Clock) -> None:
    machine = _machine(clock)
    waits = []
    for _ in range(10):
        machine.failed("gone", clock.monotonic())
        step = machine.next(clock.monotonic())
        assert isinstance(step, Wait)
        waits.append(step.until - clock.monotonic())
        clock.advance(waits[-1])
    assert waits == sorted(waits)
    assert waits[0] <= 1
    assert waits[-1] <= 60


def test_after_a_failure_the_keys_may_have_moved(issuer: FakeIssuer, clock: Clock) -> None:
    machine = _machine(clock)
    _drive(machine, issuer, clock)
    clock.advance(300)
    machine.failed("gone", clock.monotonic())
    clock.advance(60)
    assert next(iter(_drive(machine, issuer, clock))).url.endswith("openid-configuration")


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from(["wanted", "good", "bad", "fail"])), max_size=60))
def test_whatever_happens_a_good_set_is_kept_and_fetches_are_apart(events: list[tuple[float, str]]) -> None:
    clock = Clock()
    issuer = FakeIssuer(ambient=clock.ambient)
    machine = _machine(clock)
    _drive(machine, issuer, clock)
    asked_at: list[float] = []
    for number, (seconds, event) in enumerate(events):
        clock.advance(seconds)
        if event == "wanted":
            if machine.wanted(f"kid-{number}", clock.monotonic()):
                asked_at.append(clock.monotonic())
        elif event == "fail":
            machine.failed("gone", clock.monotonic())
        elif isinstance(step := machine.next(clock.monotonic()), Fetch):
            good = event == "good"
            machine.answered(_answer(issuer, step) if good else Response(500, {}, b""), clock.monotonic())
        assert machine.keys(clock.monotonic()) is not None
    assert all(later - earlier >= 10 for earlier, later in pairwise(asked_at))
    assert len(machine._unknown) <= machine.timing.unknown_limit


def test_names_of_unknown_keys_are_forgotten_one_by_one(clock: Clock) -> None:
    machine = _machine(clock, unknown_limit=3, cooldown=0)
    for number in range(10):
        assert machine.wanted(f"kid-{number}", clock.monotonic())
    assert len(machine._unknown) == 3


@pytest.mark.parametrize(
    "issuer",
    [
        "http://issuer.test",
        "ftp://issuer.test",
        "issuer.test",
        "https://",
        "https://a@issuer.test",
        "https://i.test/?a=b",
        "https://[",
        "",
    ],
)
def test_an_issuer_that_cannot_be_trusted_is_refused_at_the_start(issuer: str) -> None:
    with pytest.raises(MetadataError):
        Checkpoint(issuer=issuer, audience="orders")


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost:8080"])
def test_plain_http_is_enough_on_this_very_machine(issuer: str) -> None:
    assert Checkpoint(issuer=issuer, audience="orders").verifier.issuer == issuer


# The drivers


async def test_the_background_task_fetches_without_being_asked(issuer: FakeIssuer, clock: Clock) -> None:
    fetched = asyncio.Event()

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/jwks":
            fetched.set()
        return issuer.answer(request)

    checkpoint = _checkpoint(issuer, clock, answer)
    checkpoint.source.start()
    await asyncio.wait_for(fetched.wait(), 5)
    await checkpoint.source.load()
    assert checkpoint.ready
    await checkpoint.source.stop()


def test_a_guard_follows_from_one_event_loop_to_the_next(issuer: FakeIssuer, clock: Clock) -> None:
    checkpoint = _checkpoint(issuer, clock)
    for _ in range(2):
        assert asyncio.run(_code(checkpoint, issuer.token())) == "admitted"


def test_threads_share_one_fetch(issuer: FakeIssuer, clock: Clock) -> None:
    checkpoint = BlockingCheckpoint(
        issuer=issuer.issuer, audience="orders", ambient=clock.ambient, transport=issuer.transport
    )
    checkpoint.source.load()
    issuer.rotate()
    asked = len(issuer.requests)
    token = issuer.token()
    together = threading.Barrier(8)
    subjects: list[str] = []

    def ask() -> None:
        together.wait(5)
        subjects.append(checkpoint.admit([f"Bearer {token}".encode()]).subject)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert subjects == ["alice"] * 8
    assert len(issuer.requests) == asked + 1
    checkpoint.source.stop()


async def test_a_key_that_the_issuer_says_it_publishes_is_fetched_at_once(
    issuer: FakeIssuer, clock: Clock, checkpoint: Checkpoint
) -> None:
    source, asked = checkpoint.source, len(issuer.requests)
    source.hear_of([issuer.key.kid or ""])
    assert source._flight is None or source._flight.done(), "it is held already"
    new = issuer.rotate()
    source.hear_of([new.kid or ""])
    assert source.held() is not None
    await source.load()
    assert source.held().get(new.kid) is not None  # type: ignore[union-attr]
    source.hear_of(["another"])
    source.hear_of(["a third"])
    await source.load()
    assert len(issuer.requests) == asked + 1, "whoever says so often is asked once in a while"
    clock.advance(10)
    source.hear_of(["another"])
    await source.load()
    assert len(issuer.requests) == asked + 2


async def test_keys_that_cannot_be_used_here_are_not_looked_for(issuer: FakeIssuer, clock: Clock) -> None:
    """A guard that takes ES256 alone knows that there is another key, and that it is none for it."""
    other = SigningKey.generate("RS256")
    issuer.keys.insert(0, other)
    checkpoint = Checkpoint(
        issuer=issuer.issuer,
        audience="orders",
        algorithms=("ES256",),
        ambient=clock.ambient,
        transport=issuer.transport,
    )
    await checkpoint.source.load()
    asked = len(issuer.requests)
    checkpoint.source.hear_of([other.kid or "", issuer.key.kid or ""])
    await checkpoint.source.load()
    assert len(issuer.requests) == asked


def test_a_thread_fetches_what_it_hears_of(issuer: FakeIssuer, clock: Clock) -> None:
    fetched, before = threading.Event(), issuer.answer

    def answer(request: httpx2.Request) -> httpx2.Response:
        if len(issuer.keys) > 1 and request.url.path == "/jwks":
            fetched.set()
        return before(request)

    checkpoint = BlockingCheckpoint(
        issuer=issuer.issuer, audience="orders", ambient=clock.ambient, transport=httpx2.MockTransport(answer)
    )
    checkpoint.source.load()
    checkpoint.source.start()
    checkpoint.source.hear_of([issuer.rotate().kid or ""])
    assert fetched.wait(5)
    checkpoint.source.stop()


SUDDEN = [name for name in FAILURES if name not in {"it does not answer", "it answers byte by byte"}]
"""Those that come at once; what is slow has a test of its own below."""


def _blocking(issuer: FakeIssuer, clock: Clock, answer: Callable[[httpx2.Request], Any]) -> BlockingCheckpoint:
    return BlockingCheckpoint(
        issuer=issuer.issuer, audience="orders", ambient=clock.ambient, transport=httpx2.MockTransport(answer)
    )


def _blocking_code(checkpoint: BlockingCheckpoint, token: str) -> str:
    try:
        checkpoint.admit([f"Bearer {token}".encode()])
    except RefusedRequestError as error:
        return error.refused.code
    return "admitted"


@pytest.mark.parametrize("failure", SUDDEN)
def test_a_thread_that_cannot_get_keys_is_not_ready(issuer: FakeIssuer, clock: Clock, failure: str) -> None:
    checkpoint = _blocking(issuer, clock, FAILURES[failure](issuer))
    with pytest.raises(RefusedRequestError) as refused:
        checkpoint.admit([f"Bearer {issuer.token()}".encode()])
    assert refused.value.refused.status == 503
    checkpoint.source.stop()


class _Changing:
    """An issuer whose answers another function gives from some time on."""

    def __init__(self, answer: Callable[[httpx2.Request], Any]) -> None:
        self.answer = answer

    def __call__(self, request: httpx2.Request) -> Any:
        return self.answer(request)


@pytest.mark.parametrize("failure", SUDDEN)
def test_a_thread_that_has_keys_goes_on_with_them(issuer: FakeIssuer, clock: Clock, failure: str) -> None:
    answers = _Changing(issuer.answer)
    checkpoint = _blocking(issuer, clock, answers)
    checkpoint.source.load()
    answers.answer = _always(500)(issuer)  # so that the metadata is read again as well
    clock.advance(340)
    checkpoint.source.load()
    answers.answer = FAILURES[failure](issuer)
    clock.advance(60)
    checkpoint.source.load()
    assert checkpoint.source.last_failure
    assert checkpoint.key_age == 400
    assert _blocking_code(checkpoint, issuer.token()) == "admitted"
    answers.answer = issuer.answer
    clock.advance(60)
    checkpoint.source.load()
    assert checkpoint.source.last_failure is None
    assert checkpoint.key_age == 0


def test_a_thread_does_not_use_keys_that_nobody_has_confirmed_for_a_day(issuer: FakeIssuer, clock: Clock) -> None:
    answers = _Changing(issuer.answer)
    checkpoint = _blocking(issuer, clock, answers)
    checkpoint.source.load()
    token = issuer.token(expires_in=200_000)
    answers.answer = _always(500)(issuer)
    clock.advance(24 * 3600)
    assert _blocking_code(checkpoint, token) == "admitted"
    clock.advance(1)
    assert _blocking_code(checkpoint, token) == "guard_not_ready"
    checkpoint.source.stop()


def test_unknown_keys_cause_no_flood_of_threads_either(issuer: FakeIssuer, clock: Clock) -> None:
    checkpoint = _blocking(issuer, clock, issuer.answer)
    checkpoint.source.load()
    foreign = SigningKey.generate("ES256")
    asked = len(issuer.requests)
    for second in range(60):
        for number in range(3):
            key = SigningKey.from_jwk({**foreign.to_jwk(), "kid": f"{second}-{number}"}, alg="ES256")
            assert _blocking_code(checkpoint, issuer.token(key=key)) == "unknown_key"
        assert _blocking_code(checkpoint, issuer.token()) == "admitted"
        clock.advance(1)
    assert 1 <= len(issuer.requests) - asked <= 6


def test_one_unknown_key_is_looked_for_by_threads_once_a_minute(issuer: FakeIssuer, clock: Clock) -> None:
    checkpoint = _blocking(issuer, clock, issuer.answer)
    checkpoint.source.load()
    forged = issuer.token(key=SigningKey.generate("ES256"), expires_in=600)
    asked = len(issuer.requests)
    for _ in range(59):
        assert _blocking_code(checkpoint, forged) == "unknown_key"
        clock.advance(1)
    assert len(issuer.requests) == asked + 1


def test_threads_with_a_key_that_is_held_do_not_wait_for_the_network(issuer: FakeIssuer, clock: Clock) -> None:
    under_way, go_on = threading.Event(), threading.Event()

    def hanging(request: httpx2.Request) -> httpx2.Response:
        under_way.set()
        assert go_on.wait(10)
        return issuer.answer(request)

    answers = _Changing(issuer.answer)
    checkpoint = _blocking(issuer, clock, answers)
    checkpoint.source.load()
    answers.answer = hanging
    clock.advance(300)
    refreshing = threading.Thread(target=checkpoint.source.load)
    refreshing.start()
    assert under_way.wait(10)
    assert _blocking_code(checkpoint, issuer.token()) == "admitted"
    assert refreshing.is_alive()
    assert checkpoint.key_age == 300
    go_on.set()
    refreshing.join(10)
    assert checkpoint.key_age == 0


def test_a_thread_does_not_read_for_longer_than_the_limit(issuer: FakeIssuer, clock: Clock) -> None:
    class Dripping(httpx2.SyncByteStream):
        def __iter__(self) -> Any:
            for _ in range(100):
                clock.advance(1)
                yield b" "

    wanted = Fetch("https://issuer.test/jwks", None, 1000)
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, stream=Dripping()))
    with pytest.raises(outgoing.FetchError, match="longer than"):
        outgoing.fetch_blocking(wanted, ambient=clock.ambient, transport=transport)
    assert clock.monotonic() < 10
