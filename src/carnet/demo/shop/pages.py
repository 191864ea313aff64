"""The shop's pages: Jinja templates, and the headers that every answer is sent with."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from carnet.ambient import Instant

HERE = Path(__file__).parent
NAVIGATION = (
    ("/", "Home"),
    ("/orders", "Orders"),
    ("/stock", "Stock"),
    ("/invoices", "Invoices"),
    ("/admin", "Admin"),
    ("/token", "Token"),
)


def iso(instant: Instant) -> str:
    return datetime.fromtimestamp(instant, UTC).isoformat()


def clock(instant: Instant) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%H:%M:%S UTC")


def duration(seconds: int) -> str:
    """Minutes and seconds, as a kitchen clock shows them."""
    minutes, rest = divmod(max(0, seconds), 60)
    return f"{minutes}:{rest:02}"


def money(cents: int) -> str:
    euros, rest = divmod(cents, 100)
    return f"€ {euros:,}.{rest:02}"


def host(url: str) -> str:
    return urlsplit(url).netloc


class Headers:
    """Dresses every answer of the shop."""

    def __init__(self, app: ASGIApp, *, issuer: str) -> None:
        self._app = app
        self._headers = {
            "content-security-policy": content_security_policy(issuer),
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Starlette's and every ASGI server's entry."""

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    headers["cache-control"] = "no-store"
            await send(message)

        await self._app(scope, receive, dressed)


def content_security_policy(issuer: str) -> str:
    """CSP Level 3: the shop's own files and nothing else; no script or style in a page, no frame around it.

    The issuer is there because signing out is a form, and `form-action` goes for what its answer redirects to as well.
    """
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "form-action": f"'self' {issuer}",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in policy.items())


class Pages:
    """Renders a template into an answer."""

    def __init__(self, **everywhere: Any) -> None:
        """`everywhere`: what all templates may use."""
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(iso=iso, clock=clock, duration=duration, money=money, host=host)
        self._templates.globals.update(nav=NAVIGATION, **everywhere)

    def answer(self, template: str, facts: Mapping[str, Any], *, status: int = 200) -> HTMLResponse:
        return HTMLResponse(self._templates.get_template(template).render(facts), status)
