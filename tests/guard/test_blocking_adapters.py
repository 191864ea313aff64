"""RFC 6750 in threads: WSGI applications and Django views answer as the asynchronous ones do."""

from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx2
import pytest

from carnet.guard import Principal, require, wsgi
from carnet.guard.held_answer import CutError
from carnet.jose import SigningKey
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer


def _application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("content-type", "text/plain")])
    return [wsgi.principal_in(environ).subject.encode()]


@pytest.fixture
def guard(issuer: FakeIssuer, clock: Clock) -> Iterator[wsgi.Guard]:
    guard = wsgi.Guard(issuer=issuer.issuer, audience="orders", ambient=clock.ambient, transport=issuer.transport)
    yield guard
    guard.checkpoint.source.stop()


@pytest.fixture
def client(guard: wsgi.Guard) -> Iterator[httpx2.Client]:
    protected = guard.protect(_application, require(scope="orders:read"))
    with httpx2.Client(transport=httpx2.WSGITransport(protected), base_url="http://service.test") as client:
        yield client


def test_a_good_token_is_let_through_with_its_principal(client: httpx2.Client, issuer: FakeIssuer) -> None:
    answer = client.get("/", headers=issuer.headers("bob", scope="orders:read"))
    assert (answer.status_code, answer.text) == (200, "bob")


BAD: dict[str, tuple[int, str | None, Callable[[FakeIssuer], dict[str, str]]]] = {
    "no token": (401, None, lambda issuer: {}),
    "another scheme": (401, None, lambda issuer: {"authorization": "Basic YTpi"}),
    "two tokens": (400, "invalid_request", lambda issuer: {"authorization": f"Bearer {issuer.token()},Bearer abc"}),
    "not a token": (401, "invalid_token", lambda issuer: {"authorization": "Bearer abc"}),
    "expired": (401, "invalid_token", lambda issuer: issuer.headers(scope="orders:read", expires_in=-100)),
    "a foreign key": (401, "invalid_token", lambda issuer: issuer.headers(key=SigningKey.generate("ES256"))),
    "without the scope": (403, "insufficient_scope", lambda issuer: issuer.headers()),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_request_gets_the_code_of_the_rfc(client: httpx2.Client, issuer: FakeIssuer, bad: str) -> None:
    status, error, headers = BAD[bad]
    answer = client.get("/", headers=headers(issuer))
    assert answer.status_code == status
    if error is None:
        assert answer.headers["www-authenticate"] == "Bearer"
    else:
        assert answer.json()["error"] == error
        assert f'error="{error}"' in answer.headers["www-authenticate"]


def test_a_token_in_header_and_query_is_malformed(client: httpx2.Client, issuer: FakeIssuer) -> None:
    assert client.get("/?access_token=abc", headers=issuer.headers(scope="orders:read")).status_code == 400


def test_the_first_request_loads_the_keys_and_a_rotation_refuses_nobody(
    client: httpx2.Client, issuer: FakeIssuer
) -> None:
    assert client.get("/", headers=issuer.headers(scope="orders:read")).status_code == 200
    issuer.rotate()
    assert client.get("/", headers=issuer.headers(scope="orders:read")).status_code == 200


def test_an_application_that_was_not_guarded_learns_so() -> None:
    with pytest.raises(LookupError, match="No guard"):
        wsgi.principal_in({})


class TestDjango:
    @pytest.fixture(autouse=True)
    def django(self) -> None:
        settings = pytest.importorskip("django.conf").settings
        if not settings.configured:
            settings.configure(DEFAULT_CHARSET="utf-8", ALLOWED_HOSTS=["*"])

    @pytest.fixture
    def guard(self, issuer: FakeIssuer, clock: Clock) -> Iterator[Any]:
        from carnet.guard.django import Guard

        guard = Guard(issuer=issuer.issuer, audience="orders", ambient=clock.ambient, transport=issuer.transport)
        yield guard
        guard.checkpoint.source.stop()

    def _request(self, headers: dict[str, str]) -> Any:
        from django.test import RequestFactory

        return RequestFactory().get("/", headers=headers)

    def test_a_view_gets_its_principal(self, guard: Any, issuer: FakeIssuer) -> None:
        seen: list[Principal] = []

        @guard.require(role="ADMIN")
        def view(request: Any, number: int) -> str:
            seen.append(guard.principal(request))
            return f"number {number}"

        assert view(self._request(issuer.headers(roles="ADMIN")), number=1) == "number 1"
        assert seen[0].subject == "alice"

    def test_a_refusal_is_answered(self, guard: Any, issuer: FakeIssuer) -> None:
        view = guard.require(role="ADMIN")(lambda request: "reached")
        assert view(self._request({})).status_code == 401
        refused = view(self._request(issuer.headers(roles="USER")))
        assert refused.status_code == 403
        assert 'error="insufficient_scope"' in refused["www-authenticate"]

    def test_a_streaming_answer_is_cut_when_its_token_is_refused(
        self, guard: Any, issuer: FakeIssuer, clock: Clock
    ) -> None:
        from django.http import StreamingHttpResponse

        def pieces() -> Iterator[bytes]:
            yield b"one"
            clock.advance(600)
            yield b"a secret"

        view = guard.require()(lambda request: StreamingHttpResponse(pieces()))
        heard = iter(view(self._request(issuer.headers())))
        assert next(heard) == b"one"
        with pytest.raises(CutError):
            next(heard)
        patient = guard.require(long_answers="finish")(lambda request: StreamingHttpResponse(pieces()))
        assert list(patient(self._request(issuer.headers()))) == [b"one", b"a secret"]

    @pytest.mark.anyio
    async def test_an_asynchronous_view_is_guarded_too(self, guard: Any, issuer: FakeIssuer) -> None:
        @guard.require()
        async def view(request: Any) -> str:
            return guard.principal(request).subject

        assert await view(self._request(issuer.headers("bob"))) == "bob"
        assert (await view(self._request({}))).status_code == 401
