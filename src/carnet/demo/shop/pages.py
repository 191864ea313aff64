"""The shop's pages: Jinja templates, and the headers that every one of them is sent with."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

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


def headers(issuer: str) -> dict[str, str]:
    """Content Security Policy Level 3 and its companions: nothing but the shop's own files, no script in a page, no frame.

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
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        "cache-control": "no-store",
    }


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
