"""The pages that people see: rendered on the server, in the reader's language, with nothing from elsewhere; one has a script."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from carnet.ambient import Instant
from carnet.issuer.config import Config

HERE = Path(__file__).parent
LANGUAGES = ("en",)
"""One catalogue `messages/<tag>.toml` for each; the first is spoken where none is asked for."""

_SOURCE = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?\Z")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")

Text: TypeAlias = Callable[..., str]
"""`text(key, **values)`: a sentence of the catalogue with the values put in."""


class Pages:
    """Renders templates."""

    def __init__(self, config: Config) -> None:
        """`config` gives the issuer's URL, under whose path all links stand."""
        url = urlsplit(config.issuer)
        self._base = url.path
        self._assets = {file.name: file.read_bytes() for file in sorted((HERE / "static").iterdir())}
        self._catalogues = {language: _catalogue(language) for language in LANGUAGES}
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(at=self.at, asset=self._asset, issuer_host=url.netloc)
        self._templates.filters.update(moment=_moment, iso=_iso, device=_device, zone=_zone, place=_place)

    def at(self, path: str) -> str:
        """Where a path of ours is on this host: the issuer's URL may have a path of its own."""
        return self._base + path

    def asset(self, name: str) -> bytes | None:
        """A file of `static`, by its name."""
        return self._assets.get(name)

    def version(self, name: str) -> str:
        """A short digest of an asset: a new content has a new URL."""
        return sha256(self._assets[name]).hexdigest()[:12]

    def text(self, request: Request) -> Text:
        """The sentences in the reader's language."""
        catalogue = self._catalogues[self._language(request)]

        def text(key: str, **values: object) -> str:
            return Markup(catalogue[key]).format(**values)  # noqa: S704  # ours; the values are escaped

        return text

    def render(
        self,
        request: Request,
        name: str,
        /,
        *,
        status: int = 200,
        form_targets: Iterable[str] = (),
        frames: Sequence[str] = (),
        script_reads: str | None = None,
        **context: Any,
    ) -> Response:
        """Fill the template `name`.html.

        `form_targets` are URLs beyond the issuer to which the answer to a form on this page may redirect: browsers hold
        `form-action` against redirects too. `frames` are URLs that the page shows in frames.
        `script_reads` is for the page that has a script: the only URL that this script may read.
        """
        document = self._templates.get_template(f"{name}.html").render(
            t=self.text(request), language=self._language(request), frames=frames, **context
        )
        actions = " ".join(("'self'", *_sources(form_targets)))
        framed = _sources(frames)
        frame_sources = f"frame-src {' '.join(framed)}; " if framed else ""
        policy = (
            f"default-src 'none'; style-src 'self'; img-src 'self' data:; form-action {actions}; "
            f"{frame_sources}frame-ancestors 'none'; base-uri 'none'"
        )
        if script_reads is not None:
            policy += (
                f"; script-src 'self'; connect-src {script_reads}; "
                "require-trusted-types-for 'script'; trusted-types 'none'"
            )
        return HTMLResponse(document, status, {"Content-Security-Policy": policy, "Cache-Control": "no-store"})

    def _asset(self, name: str) -> str:
        return self.at(f"/assets/{name}?v={self.version(name)}")

    def _language(self, request: Request) -> str:
        """RFC 4647 section 3.4: the first of the reader's languages that there is a catalogue for."""
        for wanted in wanted_languages(request):
            tag = wanted.partition("-")[0]
            if tag in LANGUAGES:
                return tag
        return LANGUAGES[0]


def wanted_languages(request: Request) -> list[str]:
    """RFC 9110 section 12.5.4: the reader's languages in the order in which they are named, in lower case."""
    header = request.headers.get("accept-language", "")[:200]
    return [tag for wanted in header.split(",") if (tag := wanted.partition(";")[0].strip().lower())]


def _catalogue(language: str) -> Mapping[str, str]:
    """`[login] title = "…"` is the sentence `login.title`."""

    def flatten(table: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, str]]:
        for name, value in table.items():
            if isinstance(value, str):
                yield prefix + name, value
            else:
                yield from flatten(value, f"{prefix}{name}.")

    return dict(flatten(tomllib.loads((HERE / "messages" / f"{language}.toml").read_text("utf-8")), ""))


def _sources(urls: Iterable[str]) -> list[str]:
    return sorted({source_expression(url) for url in urls} - {""})


def source_expression(url: str) -> str:
    """CSP Level 3 section 2.3.1: the source expression of a redirect URI; empty if there is none, and then it is not allowed."""
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"}:
        origin = f"{parts.scheme}://{parts.netloc}"
        if _SOURCE.match(origin):
            return origin
        return f"{parts.scheme}:" if parts.netloc.startswith("[") else ""  # the grammar knows no IPv6 address
    return f"{parts.scheme}:" if _SCHEME.match(parts.scheme) else ""


def _time(instant: Instant) -> datetime:
    return datetime.fromtimestamp(instant, UTC)


def _moment(instant: Instant) -> str:
    moment = _time(instant)
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


def _iso(instant: Instant) -> str:
    return _time(instant).isoformat().replace("+00:00", "Z")


_SYSTEMS = ("iPhone", "iPad", "Android", "Windows", "Macintosh", "CrOS", "Linux")
_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))


def _device(user_agent: str | None) -> str:
    """A browser and a system as people call them, out of a User-Agent header; whatever it is, it is only a hint."""
    agent = user_agent or ""
    browser = next((name for token, name in _BROWSERS if token + "/" in agent), "")
    system = (
        next((name for name in _SYSTEMS if name in agent), "").replace("Macintosh", "Mac").replace("CrOS", "ChromeOS")
    )
    return ", ".join(part for part in (browser, system) if part)


def _zone(host: str) -> str:
    """The issuer's name as a passport's machine-readable zone would have it (ICAO Doc 9303 part 3): an ornament that is true."""
    return f"P<CARNET<{re.sub('[^A-Z0-9]', '<', host.upper())}".ljust(44, "<")


def _place(url: str) -> str:
    """OAuth 2.1 section 7.9: where a redirect goes, as people can judge it."""
    parts = urlsplit(url)
    return parts.netloc or f"{parts.scheme}:"
