"""RFC 9110 section 7.2, RFC 6797, CSP Level 3: what holds for every request and every answer of the issuer."""

import re
from collections.abc import Collection, Iterable, MutableMapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from carnet.issuer.config import Config

MAX_BODY = 64 * 1024
"""Bytes of a request's body."""

CONTENT_SECURITY_POLICY = "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
"""Of answers that are no pages."""

_PERMISSIONS = (
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), microphone=(), midi=(), "
    "payment=(), usb=(), publickey-credentials-create=(self), publickey-credentials-get=(self)"
)

HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    # `no-referrer` would make browsers send `Origin: null` with our own forms (Fetch, "append a request Origin header").
    ("Referrer-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
    ("Permissions-Policy", _PERMISSIONS),
)
STRICT_TRANSPORT_SECURITY = "max-age=31536000"
"""RFC 6797 section 6.1: one year, and this host alone: its neighbours are not ours to speak for."""


def _raw(headers: Iterable[tuple[str, str]]) -> dict[bytes, bytes]:
    """Headers as ASGI has them: bytes, the names in lower case."""
    return {name.lower().encode("ascii"): value.encode("ascii") for name, value in headers}


_STRICT = ("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY)
_DEFAULTS = _raw((("Content-Security-Policy", CONTENT_SECURITY_POLICY), ("Cache-Control", "no-store")))
"""Of answers that say nothing of their own."""

_HEALTH = "/health/"
_COOKIES = "carnet.cookies"

Network = IPv4Network | IPv6Network


class BodyTooLargeError(Exception):
    """RFC 9110 section 15.5.14: the request's body is longer than `MAX_BODY`."""


def leave_cookie(connection: HTTPConnection, cookie: str) -> None:
    """Have a Set-Cookie header put into the answer to this request, whatever that answer is."""
    connection.scope.setdefault(_COOKIES, []).append(cookie)


def client_address(connection: HTTPConnection, config: Config) -> IPv4Address | IPv6Address | None:
    """The address that a request comes from.

    Rule O12: X-Forwarded-For is believed only from the networks in `trusted_proxies`: from the right, the first address
    that is none of theirs.
    """
    peer = _address(connection.client.host) if connection.client else None
    if peer is None or not _within(peer, config.networks):
        return peer
    forwarded = ",".join(connection.headers.getlist("x-forwarded-for")).split(",")
    for text in reversed(forwarded):
        hop = _address(text.strip())
        if hop is None:
            return peer
        peer = hop
        if not _within(hop, config.networks):
            return hop
    return peer


def by_trusted_proxy(connection: HTTPConnection, config: Config) -> bool:
    """Whether it is a trusted proxy that asks, for somebody else."""
    peer = _address(connection.client.host) if connection.client else None
    return peer is not None and _within(peer, config.networks)


def asked_origin(connection: HTTPConnection, config: Config) -> str:
    """The scheme and host of the request's URL as the client has it: the issuer's, or that of clients with certificates."""
    alias = urlsplit(config.mtls_base or "")
    aliased = connection.headers.get("host", "").lower() in {alias.netloc.lower(), f"{alias.netloc.lower()}:443"}
    here = alias if aliased else urlsplit(config.issuer)
    return f"{here.scheme}://{here.netloc}"


def written_address(connection: HTTPConnection, config: Config) -> str | None:
    """The same, as sessions and the audit trail have it."""
    address = client_address(connection, config)
    return str(address) if address else None


def asking_block(connection: HTTPConnection, config: Config) -> str:
    """Rule O12: whom to count a request to: the `address_block` of where it comes from; empty where that is not known."""
    address = client_address(connection, config)
    return address_block(address) if address else ""


def address_block(address: IPv4Address | IPv6Address) -> str:
    """Rule O12: what one attacker has at hand: an IPv4 address, or the /64 of an IPv6 address."""
    return str(address) if address.version == 4 else str(ip_network((address, 64), strict=False))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _within(address: IPv4Address | IPv6Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


class SecurityMiddleware:
    """Checks host, scheme and size before anything else runs, and dresses every answer."""

    def __init__(self, app: ASGIApp, *, config: Config, aliased: Collection[re.Pattern[str]] = ()) -> None:
        """`aliased` are the paths that clients with certificates find under an origin of their own, and nothing else there."""
        self._app = app
        self._config = config
        self._aliased = tuple(aliased)
        self._host = urlsplit(config.issuer).netloc.lower()
        self._hosts = ([self._host], [f"{self._host}:{443 if config.secure else 80}"])
        alias = urlsplit(config.mtls_base or "").netloc.lower()
        self._always = _raw((*HEADERS, _STRICT) if config.secure else HEADERS)
        self._alias_hosts = ([alias], [f"{alias}:443"]) if alias else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Starlette's and every ASGI server's entry."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False

        async def dressed(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                self._dress(message, scope)
            await send(message)

        refusal = self._refusal(HTTPConnection(scope))
        if refusal is not None:
            await refusal(scope, receive, dressed)
            return
        try:
            await self._app(scope, _bounded(receive), dressed)
        except BodyTooLargeError:
            if began:
                raise
            await _too_large()(scope, receive, dressed)

    def _refusal(self, connection: HTTPConnection) -> PlainTextResponse | None:
        headers = connection.headers
        if _declared_length(headers) > MAX_BODY:
            return _too_large()
        if connection.scope["path"].startswith(_HEALTH):
            return None  # whoever watches the process reaches it by its own address, without TLS
        hosts = [host.lower() for host in headers.getlist("host")]
        if hosts not in self._hosts and not (hosts in self._alias_hosts and self._is_aliased(connection.scope["path"])):
            # Rule O8; RFC 9110 section 15.5.20.
            return PlainTextResponse(f"This server answers for {self._host} alone.\n", 421)
        if self._config.secure and not self._came_by_tls(connection):
            return PlainTextResponse("Use https.\n", 403)
        return None

    def _is_aliased(self, path: str) -> bool:
        return any(pattern.fullmatch(path) for pattern in self._aliased)

    def _came_by_tls(self, connection: HTTPConnection) -> bool:
        if connection.scope["scheme"] == "https":
            return True
        if not by_trusted_proxy(connection, self._config):
            return False
        return [scheme.strip().lower() for scheme in connection.headers.getlist("x-forwarded-proto")] == ["https"]

    def _dress(self, message: MutableMapping[str, Any], scope: Scope) -> None:
        given = [header for header in message.get("headers", ()) if header[0] not in self._always]
        names = {name for name, _ in given}
        message["headers"] = [
            *given,
            *self._always.items(),
            *(header for header in _DEFAULTS.items() if header[0] not in names),
            *((b"set-cookie", cookie.encode("latin-1")) for cookie in scope.get(_COOKIES, ())),
        ]


def _declared_length(headers: Headers) -> int:
    declared = headers.get("content-length", "0")
    return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 20 else MAX_BODY + 1


def _too_large() -> PlainTextResponse:
    return PlainTextResponse(f"The request is larger than {MAX_BODY} bytes.\n", 413)


def _bounded(receive: Receive) -> Receive:
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY:
            raise BodyTooLargeError
        return message

    return bounded
