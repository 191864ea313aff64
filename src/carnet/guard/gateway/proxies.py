"""Rule A3: how each proxy tells a forward-auth service about the request that it holds, and whose word is taken for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

CHECK = "/check"
"""Where proxies ask."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy's way of asking. The headers are those that it sets itself, whatever the client sent under their names."""

    name: str
    method: str | None
    """The header with the original method; None: the question is asked with it."""
    host: str
    target: str | None
    """The header with the original path and query; None: they follow `/check` in the path of the question."""


PROXIES = (
    Proxy("nginx", "x-original-method", "x-original-host", "x-original-uri"),
    Proxy("traefik", "x-forwarded-method", "x-forwarded-host", "x-forwarded-uri"),
    Proxy("caddy", "x-forwarded-method", "x-forwarded-host", "x-forwarded-uri"),
    Proxy("envoy", None, "host", None),
)


def trusted(peer: str | None, networks: Iterable[Network]) -> bool:
    """Whether the peer that asks is a proxy of ours; whoever is none is believed nothing."""
    try:
        address = ip_address(peer or "")
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return any(address in network for network in networks)
