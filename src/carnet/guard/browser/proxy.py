"""Browser-based apps BCP section 6.1.3.6, RFC 9110 section 7.6: requests of the front end passed on to allow-listed services.

What is passed on is listed by name: neither cookies nor headers that claim an identity can get through by another spelling.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from carnet.guard.canonical_path import below
from carnet.guard.metadata import MetadataError
from carnet.guard.proving import Prover, wants_nonce

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_REQUEST_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "content-type",
        "content-length",
        "content-language",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
        "range",
        "prefer",
        "idempotency-key",
        "last-event-id",
        "traceparent",
        "tracestate",
        "user-agent",
    }
)
_RESPONSE_HEADERS = frozenset(
    {
        "accept-ranges",
        "age",
        "allow",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-range",
        "content-type",
        "date",
        "deprecation",
        "etag",
        "expires",
        "last-modified",
        "link",
        "preference-applied",
        "retry-after",
        "vary",
        "x-request-id",
    }
)


class UpstreamError(Exception):
    """The service did not answer usably. `status` is 413, 502 or 504."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Upstream:
    """A service behind the back end."""

    prefix: str
    """Of the paths that go there, such as `/api/orders`."""
    url: str
    """What takes the prefix's place."""

    def __post_init__(self) -> None:
        url = urlsplit(self.url)
        if not self.prefix.startswith("/") or self.prefix.endswith("/") or "//" in self.prefix:
            raise MetadataError(
                f"The prefix {self.prefix!r} of an upstream begins with a slash and does not end with one."
            )
        if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment or url.username:
            raise MetadataError(f"The upstream {self.url!r} is not an http(s) URL without query and fragment.")


async def forward(
    client: httpx2.AsyncClient,
    request: Request,
    upstream: Upstream,
    *,
    path: str,
    access_token: str,
    body_limit: int,
    prover: Prover | None = None,
) -> Response:
    """Pass a request on with an access token, and its answer back as it streams in.

    `path` is canonical and below the upstream's prefix; `body_limit` is in bytes; `prover` is of the key that the token is bound
    to.

    Raises:
        UpstreamError: the service cannot be reached, takes too long or redirects, or the body is too long.
    """
    query = request.scope.get("query_string", b"").decode("ascii", "replace")
    url = f"{upstream.url.rstrip('/')}{below(path, upstream.prefix) or ''}"
    headers = {name: value for name, value in request.headers.items() if name in _REQUEST_HEADERS}
    headers.setdefault("accept-encoding", "identity")
    if prover is None:
        headers["authorization"] = f"Bearer {access_token}"
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > body_limit:
        raise UpstreamError(413, f"The body is longer than {body_limit} bytes.")
    has_body = int(length) > 0 or "transfer-encoding" in request.headers

    async def send() -> httpx2.Response:
        proved = {} if prover is None else prover.headers(request.method, url, access_token)
        return await client.send(
            client.build_request(
                request.method,
                f"{url}?{query}" if query else url,
                headers=headers | proved,
                content=_bounded(request, body_limit) if has_body else None,
            ),
            stream=True,
        )

    try:
        response = await send()
        if (
            prover is not None
            and prover.learns(url, response.headers)
            and wants_nonce(response.headers)
            and not has_body
        ):
            await response.aclose()
            response = await send()
    except httpx2.TimeoutException as error:
        raise UpstreamError(504, f"{upstream.url} took too long: {type(error).__name__}.") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise UpstreamError(502, f"{upstream.url} could not be reached: {type(error).__name__}.") from None
    if response.is_redirect:
        await response.aclose()
        raise UpstreamError(502, f"{upstream.url} redirects, which is not followed.")
    closing = BackgroundTask(response.aclose)
    return StreamingResponse(_body(response), response.status_code, _shown(response.headers), background=closing)


def refuses_token(response: Response) -> bool:
    """RFC 6750 section 3.1: the service says that the access token itself is not valid (any more)."""
    return response.status_code == 401 and 'error="invalid_token"' in response.headers.get("www-authenticate", "")


async def dropped(response: Response) -> None:
    """Give up an answer of `forward` that is not passed on."""
    if response.background is not None:
        await response.background()


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    shown = {name.lower(): value for name, value in headers.items() if name.lower() in _RESPONSE_HEADERS}
    shown["cache-control"] = _private(shown.get("cache-control", "no-store"))
    shown["x-content-type-options"] = "nosniff"
    challenge = headers.get("www-authenticate", "")
    if challenge.lower().startswith(("bearer", "dpop")):
        # The front end reads RFC 9470's challenge; a browser must not ask for passwords.
        shown["www-authenticate"] = challenge
    return shown


def _private(directives: str) -> str:
    """RFC 9111 section 3.5: services count on it that caches share nothing that was asked for with an Authorization header."""
    named = {directive.partition("=")[0].strip().lower() for directive in directives.split(",")}
    return directives if named & {"no-store", "private", "public"} else f"private, {directives}"


async def _body(response: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.aiter_raw():
            yield chunk
    finally:
        await response.aclose()


async def _bounded(request: Request, limit: int) -> AsyncIterator[bytes]:
    read = 0
    async for chunk in request.stream():
        read += len(chunk)
        if read > limit:
            raise UpstreamError(413, f"The body is longer than {limit} bytes.")
        yield chunk
