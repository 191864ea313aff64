"""Rule A3: how each proxy tells a forward-auth service about the request that it holds."""

from dataclasses import dataclass

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
