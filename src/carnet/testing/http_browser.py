"""HTML section 4.10: a browser without a screen and without JavaScript: it keeps cookies, follows redirects, fills in forms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx2

_MOST_REDIRECTS = 20


@dataclass(slots=True)
class Form:
    """A form as it stands in a page, with the fields that would be sent."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").lower()))
            self._inside = True
        elif tag == "input" and self._inside and "name" in given and given.get("type") not in {"submit", "checkbox"}:
            self.forms[-1].fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


class HttpBrowser:
    """Visits pages; `page` is the last answer that was no redirect, or the redirect at which it was told to stop."""

    def __init__(
        self, *, stop: Callable[[str], bool] = lambda _: False, cookies: Mapping[str, str] | None = None
    ) -> None:
        """Start with these `cookies`.

        `stop` says of which URLs a redirect is not followed: an app's callback, whose query the test reads.
        """
        self._http = httpx2.Client(trust_env=False, timeout=20, cookies=dict(cookies or {}))
        self._stop = stop
        self.page = httpx2.Response(204)
        self.stopped_at: str | None = None
        """The URL of the redirect that was not followed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def cookies(self) -> httpx2.Cookies:
        return self._http.cookies

    @property
    def forms(self) -> list[Form]:
        """The forms of the page."""
        reader = _Forms()
        reader.feed(self.page.text)
        return reader.forms

    def open(self, url: str) -> httpx2.Response:
        """Go to an address."""
        return self._go(self._http.build_request("GET", url, headers={"sec-fetch-site": "none"}))

    def submit(self, *, to: str = "", **fields: str) -> httpx2.Response:
        """Fill in the form of the page whose action contains `to`, and send it.

        Raises:
            LookupError: the page has no such form.
        """
        form = next((form for form in self.forms if to in form.action), None)
        if form is None:
            raise LookupError(f"The page {self.page.url} has no form for {to!r}.")
        url = urljoin(str(self.page.url), form.action)
        here, there = urlsplit(str(self.page.url)), urlsplit(url)
        headers = {
            "origin": f"{here.scheme}://{here.netloc}",
            "sec-fetch-site": "same-origin" if here.netloc == there.netloc else "same-site",
        }
        return self._go(self._http.build_request(form.method.upper(), url, data=form.fields | fields, headers=headers))

    def _go(self, request: httpx2.Request) -> httpx2.Response:
        self.stopped_at = None
        for _ in range(_MOST_REDIRECTS):
            self.page = self._http.send(request)
            if not self.page.has_redirect_location:
                return self.page
            url = urljoin(str(request.url), self.page.headers["location"])
            if self._stop(url):
                self.stopped_at = url
                return self.page
            request = self._http.build_request("GET", url)
        raise RuntimeError(f"More than {_MOST_REDIRECTS} redirects, the last one to {request.url}.")
