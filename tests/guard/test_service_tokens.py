"""RFC 6749 section 4.4: a service's own token, asked for once, and again before it ends."""

import asyncio
from base64 import b64encode
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest

from carnet.guard.service_tokens import GrantRefusedError, IssuerUnavailableError, ServiceTokens
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer

pytestmark = pytest.mark.anyio


class Endpoint:
    """A token endpoint that numbers its tokens."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.issuer = issuer
        self.forms: list[dict[str, str]] = []
        self.headers: list[str] = []
        self.response: httpx2.Response | None = None
        self.down = False
        self.expires_in: Any = 300

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path != "/token":
            return self.issuer.answer(request)
        if self.down:
            raise httpx2.ConnectError("down", request=request)
        self.forms.append(dict(parse_qsl(request.content.decode())))
        self.headers.append(request.headers["authorization"])
        if self.response is not None:
            return self.response
        answer = {"access_token": f"token-{len(self.forms)}", "token_type": "bearer", "expires_in": self.expires_in}
        return httpx2.Response(200, json={name: value for name, value in answer.items() if value is not None})


@pytest.fixture
def endpoint(issuer: FakeIssuer) -> Endpoint:
    return Endpoint(issuer)


@pytest.fixture
def tokens(endpoint: Endpoint, clock: Clock) -> ServiceTokens:
    return ServiceTokens(
        issuer=endpoint.issuer.issuer,
        client_id="orders service",
        client_secret="s3cret:/%",
        scope="stock:read",
        ambient=clock.ambient,
        transport=httpx2.MockTransport(endpoint.answer),
    )


@pytest.mark.spec("RFC 6749", "2.3.1", "MUST")
async def test_the_client_authenticates_with_form_encoded_credentials(
    tokens: ServiceTokens, endpoint: Endpoint
) -> None:
    assert await tokens.token() == "token-1"
    assert endpoint.forms == [{"grant_type": "client_credentials", "scope": "stock:read"}]
    assert endpoint.headers == [f"Basic {b64encode(b'orders+service:s3cret%3A%2F%25').decode()}"]


async def test_a_token_is_used_until_shortly_before_its_end(
    tokens: ServiceTokens, endpoint: Endpoint, clock: Clock
) -> None:
    await tokens.token()
    clock.advance(269)
    assert await tokens.token() == "token-1"
    clock.advance(1)
    assert await tokens.token() == "token-2"


async def test_a_short_lived_token_is_used_for_half_of_its_life(
    tokens: ServiceTokens, endpoint: Endpoint, clock: Clock
) -> None:
    endpoint.expires_in = 20
    await tokens.token()
    clock.advance(9)
    assert await tokens.token() == "token-1"
    clock.advance(1)
    assert await tokens.token() == "token-2"


@pytest.mark.parametrize("expires_in", [None, "300", -1, 0, True])
async def test_a_token_without_a_usable_lifetime_is_not_relied_on_for_long(
    tokens: ServiceTokens, endpoint: Endpoint, clock: Clock, expires_in: Any
) -> None:
    endpoint.expires_in = expires_in
    await tokens.token()
    clock.advance(31)
    assert await tokens.token() == "token-2"


async def test_concurrent_callers_share_one_request(tokens: ServiceTokens, endpoint: Endpoint) -> None:
    assert await asyncio.gather(*(tokens.token() for _ in range(20))) == ["token-1"] * 20
    assert len(endpoint.forms) == 1


async def test_a_caller_that_gives_up_takes_nothing_from_the_others(tokens: ServiceTokens, endpoint: Endpoint) -> None:
    first, second = asyncio.ensure_future(tokens.token()), asyncio.ensure_future(tokens.token())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "token-1"


async def test_while_the_issuer_is_down_the_last_token_is_used_until_it_expires(
    tokens: ServiceTokens, endpoint: Endpoint, clock: Clock
) -> None:
    await tokens.token()
    endpoint.down = True
    clock.advance(299)
    assert await tokens.token() == "token-1"
    clock.advance(1)
    with pytest.raises(IssuerUnavailableError):
        await tokens.token()
    endpoint.down = False
    assert await tokens.token() == "token-2"


@pytest.mark.parametrize("status", [400, 401])
async def test_a_refused_client_learns_the_code(tokens: ServiceTokens, endpoint: Endpoint, status: int) -> None:
    endpoint.response = httpx2.Response(status, json={"error": "invalid_client"})
    with pytest.raises(GrantRefusedError) as refused:
        await tokens.token()
    assert refused.value.error == "invalid_client"
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "response",
    [
        httpx2.Response(500, json={}),
        httpx2.Response(302, headers={"location": "https://elsewhere.test/"}),
        httpx2.Response(200, content=b"garbage"),
        httpx2.Response(200, json={"token_type": "Bearer"}),
        httpx2.Response(200, json={"access_token": "a"}),
        httpx2.Response(200, json={"access_token": "a", "token_type": "mac"}),
        httpx2.Response(200, json={"access_token": 1, "token_type": "Bearer"}),
        httpx2.Response(200, content=b'{"access_token":"a","access_token":"b","token_type":"Bearer"}'),
        httpx2.Response(200, content=b" " * 70_000),
    ],
)
async def test_an_answer_that_is_no_token_is_an_issuer_that_fails(
    tokens: ServiceTokens, endpoint: Endpoint, response: httpx2.Response
) -> None:
    endpoint.response = response
    with pytest.raises(IssuerUnavailableError):
        await tokens.token()


async def test_it_authenticates_the_requests_of_a_client(tokens: ServiceTokens) -> None:
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers["authorization"])
        return httpx2.Response(200)

    async with httpx2.AsyncClient(auth=tokens, transport=httpx2.MockTransport(answer)) as client:
        await client.get("https://stock.test/")
    assert seen == ["Bearer token-1"]


def test_a_client_for_threads_is_told_that_it_does_not_fit(tokens: ServiceTokens) -> None:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200))
    with httpx2.Client(auth=tokens, transport=transport) as client, pytest.raises(TypeError, match="AsyncClient"):
        client.get("https://stock.test/")


def test_the_secret_does_not_print(tokens: ServiceTokens) -> None:
    assert "s3cret" not in repr(tokens) + repr(tokens._client) + repr(vars(tokens))
