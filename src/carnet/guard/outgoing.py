"""Rule A3: outgoing requests, bounded in size and time, without redirects and without decompression."""

import asyncio
import ssl
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx2

from carnet.ambient import Ambient
from carnet.guard.key_set import Fetch, Response
from carnet.guard.metadata import is_loopback

TOTAL_SECONDS = 5.0
"""For one request from the first packet to the last byte, unless it says otherwise."""
_PART_SECONDS = 3.0
"""To connect, and between two chunks."""


class FetchError(Exception):
    """Nothing usable came back; the message says why."""


def client_options(url: str, *, seconds: float = TOTAL_SECONDS) -> dict[str, Any]:
    """What every outgoing client is made with, for requests that take so many seconds at most.

    A proxy from the environment is for other machines only.
    """
    trust_env = not is_loopback(urlsplit(url).hostname or "")
    return {
        "verify": _tls(trust_env=trust_env),
        "follow_redirects": False,
        "timeout": httpx2.Timeout(max(_PART_SECONDS, seconds / 2), connect=_PART_SECONDS),
        "trust_env": trust_env,
        "headers": {"accept": "application/json", "accept-encoding": "identity", "user-agent": "carnet"},
    }


@cache
def _tls(*, trust_env: bool) -> ssl.SSLContext:
    """Reading the trusted certificates takes tens of milliseconds, in which a loop stands still: once is enough."""
    return httpx2.create_ssl_context(trust_env=trust_env)


async def fetch(wanted: Fetch, *, transport: httpx2.AsyncBaseTransport | None = None) -> Response:
    """Get what is wanted; raises FetchError."""
    async with httpx2.AsyncClient(**client_options(wanted.url, seconds=wanted.seconds), transport=transport) as client:
        return await exchange(client, _request(client, wanted), wanted.limit, seconds=wanted.seconds)


async def exchange(
    client: httpx2.AsyncClient, request: httpx2.Request, limit: int, *, seconds: float = TOTAL_SECONDS
) -> Response:
    """Send a request and read at most `limit` bytes of the answer within so many seconds; raises FetchError."""
    try:
        async with asyncio.timeout(seconds):
            response = await client.send(request, stream=True)
            try:
                _refuse_encoding(response)
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    _refuse_excess(body, limit)
            finally:
                await response.aclose()
    except TimeoutError:
        raise FetchError(f"{_place(request)} took longer than {seconds:g} s.") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise FetchError(f"{_place(request)} could not be reached: {type(error).__name__}.") from None
    return _response(response, body)


def fetch_blocking(wanted: Fetch, *, ambient: Ambient, transport: httpx2.BaseTransport | None = None) -> Response:
    """Get what is wanted, from a thread; raises FetchError."""
    deadline = ambient.monotonic() + wanted.seconds
    with httpx2.Client(**client_options(wanted.url, seconds=wanted.seconds), transport=transport) as client:
        request = _request(client, wanted)
        try:
            response = client.send(request, stream=True)
            try:
                _refuse_encoding(response)
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    _refuse_excess(body, wanted.limit)
                    if ambient.monotonic() > deadline:
                        raise FetchError(f"{_place(request)} took longer than {wanted.seconds:g} s.")
            finally:
                response.close()
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise FetchError(f"{_place(request)} could not be reached: {type(error).__name__}.") from None
    return _response(response, body)


def _request(client: httpx2.AsyncClient | httpx2.Client, wanted: Fetch) -> httpx2.Request:
    headers = {}
    if wanted.etag is not None:
        headers["if-none-match"] = wanted.etag
    if wanted.authorization is not None:
        headers["authorization"] = wanted.authorization
    if wanted.form is None:
        return client.build_request("GET", wanted.url, headers=headers)
    return client.build_request("POST", wanted.url, headers=headers, data=dict(wanted.form))


def _refuse_encoding(response: httpx2.Response) -> None:
    """Without decompression, what arrives is as long as what is read."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchError(f"{_place(response.request)} answered compressed, which was not asked for.")


def _refuse_excess(body: bytearray, limit: int) -> None:
    if len(body) > limit:
        raise FetchError(f"The answer is longer than {limit} bytes.")


def _response(response: httpx2.Response, body: bytearray) -> Response:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Response(response.status_code, headers, bytes(body))


def _place(request: httpx2.Request) -> str:
    """The URL without its query, which may hold what nobody should read."""
    return str(request.url.copy_with(query=None, fragment=None))
