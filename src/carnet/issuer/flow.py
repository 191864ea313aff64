"""OpenID Connect Core section 3.1.2: an authorization request that waits for its person, kept by the browser and not by us."""

from urllib.parse import urlencode

import msgspec
from starlette.requests import Request

from carnet.ambient import Instant, lapsed
from carnet.issuer.desk import Desk
from carnet.issuer.pages import prefer
from carnet.issuer.refusals import RefusalError
from carnet.issuer.storage.records import Digest
from carnet.jose import JoseError, base64url
from carnet.oauth.parameters import Parameters
from carnet.sealing import SealBrokenError, Sealer

LIFETIME = 1_800
"""Seconds that somebody may take to sign in and to decide."""


LONGEST = 8_192
"""Characters of a request: while it waits it travels in URLs of our own."""


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """A request to `/authorize` and when it began; `seal_flow` makes the `flow` parameter of our pages of it."""

    pairs: tuple[tuple[str, str], ...]
    began_at: Instant
    """What happens on our pages after it meets `prompt` and `max_age`."""

    allowed_by: str | None = None
    """The subject of whoever has allowed, on our page, all that this very request asks for."""
    chosen: str | None = None
    """The subject of whoever has said, on our page, that they go on with this account (`prompt=select_account`)."""
    pushed: Digest | None = None
    """Of the pushed request that the code is to spend (RFC 9126)."""

    @property
    def parameters(self) -> Parameters:
        """The request's parameters: `login_hint`, `client_id`, `redirect_uri` and so on."""
        return Parameters(list(self.pairs))


def seal_flow(desk: Desk, flow: Flow, *, browser: Digest) -> str:
    """Seal it for this browser alone (rule O15); the answer stands in URLs."""
    sealed = _sealer(desk).seal(msgspec.msgpack.encode(flow), context=browser)
    return base64url.text(sealed)


def open_flow(request: Request, desk: Desk, sealed: str, *, browser: Digest) -> Flow:
    """Open what `seal_flow` made. Whatever page comes of this request, of errors too, speaks as the flow asks.

    Raises:
        RefusalError: it is not ours, not this browser's, or older than half an hour.
    """
    try:
        raw = base64url.decode(sealed.encode("ascii"))
        flow = msgspec.msgpack.decode(_sealer(desk).open(raw, context=browser), type=Flow)
    except (ValueError, JoseError, SealBrokenError):
        raise RefusalError(400, "stale_flow", why="the flow is not this browser's") from None
    prefer(request, flow.parameters.get("ui_locales"))
    if lapsed(flow.began_at + LIFETIME, at=desk.ambient.now()):
        raise RefusalError(400, "stale_flow", why="the flow is too old")
    return flow


def resume_url(desk: Desk, flow: Flow, *, browser: Digest) -> str:
    """Where a page of ours sends the browser when it is done; everything is checked again there."""
    return f"{desk.config.issuer}/authorize?{urlencode({'flow': seal_flow(desk, flow, browser=browser)})}"


def _sealer(desk: Desk) -> Sealer:
    return Sealer(desk.secret, "flow", ambient=desk.ambient)
