"""What the demo consists of: the issuer, four services and the shop, each with its port."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

HOST = "127.0.0.1"
ISSUER_PORT = 8080
SHOP_OFFSET = 10
"""The shop's port is that much above the issuer's; the services are the four in between."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the demo."""

    name: str
    title: str
    module: str
    """What runs it: `python -m MODULE ARGUMENT…`."""
    port: int
    health: str = "/health"
    """Answers 200 once it can do its work."""
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    """Variables of its environment, some of them secret."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


SERVICES = ("warehouse", "order", "invoice", "notification")
NAMES = ("issuer", *SERVICES, "shop")


def ports(base: int) -> dict[str, int]:
    """The port of each part, counted from the issuer's."""
    return {name: base + (SHOP_OFFSET if name == "shop" else place) for place, name in enumerate(NAMES)}


def taken(port: int) -> bool:
    """Whether something listens on that port of this machine already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False
