"""OWASP SSRF Prevention, rule O6: the only way out: requests to URLs that clients have named.

A host name is resolved once, all its addresses must be public ones, and the connection goes to the first of them, so that no
second answer of the name system can lead inside. No redirects, no proxies from the environment, 64 KiB, three seconds. Only
an issuer that itself is on a loopback address, which means a developer's machine, may reach that machine.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit, urlunsplit

import httpx2

from carnet.issuer.config import Config, loopback

LONGEST_URL = 2_000
_LONGEST_LABEL = 63
"""Characters between the dots of a name (RFC 1035 section 2.3.4)."""
MOST_BYTES = 64 * 1024
SECONDS = 3.0
"""For everything together: the name, the connection and the answer."""

Address: TypeAlias = IPv4Address | IPv6Address
Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host and port; raises OSError."""

_NAT64 = ip_network("64:ff9b::/96")
_LOOK_UPS = 32
"""Threads that look names up and do nothing else: nobody can end a look-up, so that strangers' slow name servers hold up
nothing but further look-ups."""


class EgressError(Exception):
    """A URL that must not be asked, or an answer that cannot be used; the message says which, for logs and administrators."""


@dataclass(frozen=True, slots=True)
class Fetched:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """Their names in small letters."""


class Egress:
    """Makes the requests."""

    def __init__(
        self, config: Config, *, resolve: Resolve | None = None, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        """`resolve` and `transport` replace the network in tests."""
        self._development = loopback(urlsplit(config.issuer).hostname)
        self._look_ups = ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix="carnet-names")
        self._resolve = resolve or self._look_up
        self._transport = transport
        self._tls: ssl.SSLContext | None = None

    def check_url(self, url: str) -> SplitResult:
        """Refuse what will never be asked.

        Raises:
            EgressError: it is not an https URL with a host and without credentials or fragment.
        """
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise EgressError(f"{url[:100]!r} is not a URL.") from None
        if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
            raise EgressError(f"{url[:100]!r} is not a URL: it is too long or has characters that must be encoded.")
        if not host or "@" in parts.netloc or "#" in url:
            raise EgressError(f"{url!r} has no host, or has credentials or a fragment.")
        if not all(0 < len(label) <= _LONGEST_LABEL for label in host.removesuffix(".").split(".")):
            raise EgressError(f"{host!r} is no name that can be looked up.")
        if parts.scheme != "https" and not (parts.scheme == "http" and self._development and loopback(host)):
            raise EgressError(f"{url!r} is not https.")
        return parts

    async def get(self, url: str, *, accept: str = "application/json") -> bytes:
        """What stands at a URL.

        Raises:
            EgressError: it must not be asked, or the answer is not 200 in time and size.
        """
        fetched = await self.request("GET", url, headers={"Accept": accept})
        if fetched.status != 200:
            raise EgressError(f"{url!r} answers {fetched.status}.")
        return fetched.body

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Fetched:
        """Make one request and read the whole answer, whatever its status; a redirect is an answer and is not followed.

        Raises:
            EgressError: it must not be asked, or there is no answer in time and size.
        """
        parts = self.check_url(url)
        try:
            async with asyncio.timeout(SECONDS):
                address = await self._address(parts)
                return await self._ask(method, parts, address, dict(headers or {}), content)
        except TimeoutError:
            raise EgressError(f"{url!r} does not answer within {SECONDS:g} seconds.") from None
        except (httpx2.HTTPError, OSError) as error:
            raise EgressError(f"{url!r} cannot be reached: {type(error).__name__}.") from None

    async def _address(self, parts: SplitResult) -> Address:
        """The address to connect to: the first one, if none leads where nobody may be sent."""
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = [ip_address(text.partition("%")[0]) for text in await self._resolve(host, port)]
        if not addresses:
            raise EgressError(f"{host!r} has no address.")
        for address in addresses:
            if not (reachable(address) or (self._development and address.is_loopback)):
                raise EgressError(f"{host!r} has the address {address}, which is not a public one.")
        return addresses[0]

    async def _look_up(self, host: str, port: int) -> list[str]:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._look_ups, look_up)
        return [str(entry[4][0]) for entry in found]

    async def _ask(
        self, method: str, parts: SplitResult, address: Address, headers: dict[str, str], content: bytes | None
    ) -> Fetched:
        host = f"[{address}]" if address.version == 6 else str(address)
        netloc = host if parts.port is None else f"{host}:{parts.port}"
        pinned = urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))
        headers |= {"Host": parts.netloc, "Accept-Encoding": "identity"}
        # A client of its own for each request: connections that are kept are found by address, and this one's certificate
        # speaks for this one's name alone.
        async with (
            httpx2.AsyncClient(
                transport=self._transport, verify=self._context(), trust_env=False, timeout=SECONDS
            ) as client,
            client.stream(
                method, pinned, headers=headers, content=content, extensions={"sni_hostname": parts.hostname}
            ) as response,
        ):
            if response.headers.get("content-encoding", "identity") != "identity":
                raise EgressError(f"{parts.hostname!r} answers in an encoding that was not asked for.")
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise EgressError(f"{parts.hostname!r} answers with more than {MOST_BYTES} bytes.")
            received = {name.lower(): value for name, value in response.headers.items()}
            return Fetched(response.status_code, body, received)

    def _context(self) -> ssl.SSLContext:
        """The system's certification authorities, read once."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def reachable(address: Address) -> bool:
    """Whether it is a public address of one machine; forms of IPv6 that stand for an IPv4 address are none."""
    if isinstance(address, IPv6Address):
        embedded = address.ipv4_mapped or address.sixtofour or address.teredo
        if embedded is not None or address in _NAT64 or address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
