"""The pages that people see: rendered on the server, in the reader's language, with nothing from elsewhere; one has a script."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from carnet.ambient import Instant
from carnet.issuer.client_names import name_in
from carnet.issuer.config import Config, ConfigError
from carnet.issuer.cookies import cookie
from carnet.issuer.pages.catalogues import ENGLISH, LANGUAGES, Catalogue, catalogue, english_only
from carnet.oauth.language import accepted, listed, lookup

HERE = Path(__file__).parent
LANGUAGE_COOKIE = "carnet_language"
"""What somebody has chosen for the browser that they sit at: one of `LANGUAGES`."""
_ASKED = "carnet.ui_locales"
"""Where an ASGI scope has the languages that the request itself asks for."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")

Text: TypeAlias = Callable[..., str]
"""`text(key, **values)`: a sentence of the catalogue with the values put in."""


def prefer(request: Request, ui_locales: str | None) -> None:
    """OpenID Connect Core section 3.1.2.1: have whatever page answers this request speak as the request itself asks.

    None: it does not say; the reader's browser does.
    """
    request.scope[_ASKED] = listed(ui_locales)


class Pages:
    """Renders templates."""

    def __init__(self, config: Config) -> None:
        """`config` gives the issuer's URL, under whose path all links stand, and the language of readers who want none.

        Raises:
            ConfigError: there is no catalogue in that language.
        """
        if config.language not in LANGUAGES:
            raise ConfigError(f"language {config.language!r} is none of {', '.join(LANGUAGES)}.")
        url = urlsplit(config.issuer)
        self._host, self._base = url.netloc, url.path
        self._config, self._otherwise = config, config.language
        self._assets = {file.name: file.read_bytes() for file in sorted((HERE / "static").iterdir())}

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
        """The sentences in the language of the page."""
        return _text(catalogue(self.language(request)))

    def wanted(self, request: Request) -> tuple[str, ...]:
        """The reader's languages, the most wanted first, as they are asked for; the page's own is among them."""
        asked, chosen = request.scope.get(_ASKED, ()), self.chosen(request)
        header = ",".join(request.headers.getlist("accept-language"))
        return (*asked, *listed(chosen), *accepted(header), self._otherwise)

    def chosen(self, request: Request) -> str:
        """The language that somebody has chosen for this browser, on their account page; empty: none."""
        return cookie(request, self._config, LANGUAGE_COOKIE)

    def language(self, request: Request) -> str:
        """The one of `LANGUAGES` that a page for this reader is in."""
        return lookup(self.wanted(request), LANGUAGES) or self._otherwise

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
        english: bool = False,
        **context: Any,
    ) -> Response:
        """Fill the template `name`.html.

        `form_targets` are URLs beyond the issuer to which the answer to a form on this page may redirect. `frames` are URLs
        that the page shows in frames. `script_reads` is for the page that has a script: the only URL that it may read.
        `english` pages are in English, whatever their reader wants.
        """
        spoken = ENGLISH if english else self.language(request)
        text = _text(english_only() if english else catalogue(spoken))
        template = _templates().get_template(f"{name}.html")
        document = template.render(
            at=self.at,
            asset=self._asset,
            issuer_host=self._host,
            t=text,
            moment=lambda instant: _moment(instant, text),
            called=lambda client: name_in(client, self.wanted(request)),
            language=spoken,
            ui_locales=" ".join(request.scope.get(_ASKED, ())),
            frames=frames,
            **context,
        )
        actions = " ".join(("'self'", *_reaches(form_targets)))
        framed = _reaches(frames)
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
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store", "Content-Language": spoken}
        if not english:
            headers["Vary"] = "Accept-Language, Cookie"  # RFC 9110 section 12.5.5
        return HTMLResponse(document, status, headers)

    def _asset(self, name: str) -> str:
        return self.at(f"/assets/{name}?v={self.version(name)}")


@cache
def _templates() -> Environment:
    """Those of all `Pages`: each is compiled once."""
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(iso=_iso, device=_device, zone=_zone, place=_place)
    return templates


def _text(sentences: Catalogue) -> Text:
    def text(key: str, **values: object) -> str:
        return Markup(sentences[key]).format(**values)  # noqa: S704  # ours; the values are escaped

    return text


def _reaches(urls: Iterable[str]) -> list[str]:
    return sorted({reach(url) for url in urls} - {""})


def reach(url: str) -> str:
    """CSP Level 3 sections 6.1.5 and 6.4.1: what frames, and forms' answers, may show by way of an app's URL; empty: nothing.

    Browsers hold every redirect against it, those of the app too, which may go on to another host of its own. So its scheme is
    all that can be said (`http:` stands for https as well).
    """
    scheme = urlsplit(url).scheme
    return f"{scheme}:" if _SCHEME.match(scheme) else ""


def _time(instant: Instant) -> datetime:
    return datetime.fromtimestamp(instant, UTC)


def _moment(instant: Instant, text: Text) -> str:
    """A date that cannot be taken for another one: its month is a word, its year has four digits, and its zone is named."""
    moment = _time(instant)
    return text(
        "time.moment",
        day=moment.day,
        month=text(f"time.month.{moment.month}"),
        year=moment.year,
        hour=f"{moment:%H}",
        minute=f"{moment:%M}",
    )


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
