"""A service may know before the back end does that a token was taken back: another one is asked for, or the session ends."""

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carnet.testing import Clock

from .conftest import Browser, Provider, build

pytestmark = pytest.mark.anyio

CHALLENGE = 'Bearer realm="orders", error="invalid_token"'


class Service:
    """Accepts every access token but those that were taken back."""

    def __init__(self) -> None:
        self.taken_back: set[str] = set()
        self.seen: list[str] = []
        self.challenge = CHALLENGE
        self.app = Starlette(routes=[Route("/base/x", self.answer, methods=["GET", "POST"])])

    async def answer(self, request: Request) -> Response:
        token = request.headers["authorization"]
        self.seen.append(token)
        if token in self.taken_back or "*" in self.taken_back:
            return Response(status_code=401, headers={"www-authenticate": self.challenge})
        return Response(b"{}")


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def browser(provider: Provider, clock: Clock, service: Service):
    app, backend = build(provider, clock, upstream_transport=httpx2.ASGITransport(service.app))
    async with backend.lifespan(app):
        browser = Browser(app)
        async with browser.client:
            await browser.sign_in(provider)
            assert (await browser.get("/api/x")).status_code == 200
            yield browser


async def test_a_token_that_was_taken_back_is_replaced_behind_the_browsers_back(
    browser: Browser, provider: Provider, service: Service
) -> None:
    service.taken_back = set(service.seen)
    assert (await browser.get("/api/x")).status_code == 200
    assert provider.refreshes == 1
    assert (await browser.get("/api/x")).status_code == 200
    assert provider.refreshes == 1
    assert len(set(service.seen)) == 2


async def test_a_session_that_was_ended_at_the_issuer_ends_here(
    browser: Browser, provider: Provider, service: Service
) -> None:
    service.taken_back = set(service.seen)
    provider.live.clear()
    answer = await browser.get("/api/x")
    assert (answer.status_code, answer.json()["error"]) == (401, "session_ended")
    assert (await browser.get("/auth/session")).json() == {"signed_in": False, "ended": False}


async def test_a_service_that_refuses_the_new_token_too_is_believed(
    browser: Browser, provider: Provider, service: Service
) -> None:
    service.taken_back = {"*"}
    answer = await browser.get("/api/x")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, CHALLENGE)
    assert provider.refreshes == 1
    assert (await browser.get("/auth/session")).json()["signed_in"]


async def test_a_change_is_not_sent_twice_but_may_be_asked_for_again(
    browser: Browser, provider: Provider, service: Service
) -> None:
    service.taken_back = set(service.seen)
    assert (await browser.post("/api/x", content=b"order")).status_code == 401
    assert len(service.seen) == 2
    assert (await browser.post("/api/x", content=b"order")).status_code == 200
    assert provider.refreshes == 1


async def test_a_call_for_a_stronger_sign_in_is_passed_on(
    browser: Browser, provider: Provider, service: Service
) -> None:
    stronger = 'Bearer error="insufficient_user_authentication", max_age="300"'
    service.taken_back = {"*"}
    service.challenge = stronger
    answer = await browser.get("/api/x")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, stronger)
    assert provider.refreshes == 0


async def test_where_the_issuer_does_not_answer_the_session_stays(
    browser: Browser, provider: Provider, service: Service
) -> None:
    service.taken_back = set(service.seen)
    provider.down = True
    assert (await browser.get("/api/x")).status_code == 503
    provider.down = False
    assert (await browser.get("/auth/session")).json()["signed_in"]
