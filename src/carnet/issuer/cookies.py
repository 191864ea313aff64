"""RFC 6265bis sections 4.1 and 5.5: the issuer's own cookies: their names, their values, and how they are left in a browser."""

from starlette.requests import Request

from carnet.issuer.config import Config
from carnet.issuer.http_security import leave_cookie
from carnet.oauth.cookie_header import cookies

LONGEST_LIFETIME = 400 * 86_400
"""RFC 6265bis section 5.5: no cookie lives longer."""


def cookie_name(config: Config, name: str) -> str:
    """RFC 6265bis section 4.1.3.2: with TLS the prefix keeps other hosts and plain http from setting it."""
    return f"__Host-{name}" if config.secure else name


def cookie(request: Request, config: Config, name: str) -> str:
    """The value of one of our cookies; empty if it is absent or cannot be ours."""
    value = cookies(request.headers.getlist("cookie")).get(cookie_name(config, name), "")
    return value if value.isascii() and value.replace("-", "").replace("_", "").isalnum() else ""


def leave(request: Request, config: Config, name: str, value: str, *, lifetime: int) -> None:
    """Have one of our cookies set with the answer; a lifetime of 0 seconds takes it away."""
    secure = "; Secure" if config.secure else ""
    attributes = f"Path=/; Max-Age={lifetime}; HttpOnly; SameSite=Lax{secure}"
    leave_cookie(request, f"{cookie_name(config, name)}={value}; {attributes}")
