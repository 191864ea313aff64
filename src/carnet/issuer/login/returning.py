"""RFC 9700 section 4.11: after a sign-in the browser goes where it came from, never where a parameter says.

The way back is sealed for one browser; nobody else can make or use it.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from urllib.parse import urlencode

import msgspec

from carnet.ambient import Instant, lapsed
from carnet.issuer.browser import Visit
from carnet.issuer.desk import Desk
from carnet.sealing import SealBrokenError, Sealer

LIFETIME = 1_800
"""Seconds that a sign-in may take."""


class Return(msgspec.Struct, frozen=True):
    """A path of ours, and when the sign-in was asked for."""

    path: str
    asked_at: Instant


def sign_in_url(desk: Desk, visit: Visit, path: str) -> str:
    """The sign-in page that comes back to `path` (one of ours, with its query)."""
    sealed = _sealer(desk).seal(msgspec.msgpack.encode(Return(path, desk.ambient.now())), context=visit.browser_digest)
    back = urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")
    return f"{desk.config.issuer}/login?{urlencode({'back': back})}"


def way_back(desk: Desk, visit: Visit, sealed: str) -> str | None:
    """The path that `sign_in_url` was given; None if this is not ours, not this browser's, or too old."""
    try:
        raw = urlsafe_b64decode(sealed.encode("ascii") + b"=" * (-len(sealed) % 4))
        back = msgspec.msgpack.decode(_sealer(desk).open(raw, context=visit.browser_digest), type=Return)
    except (ValueError, SealBrokenError):
        return None
    return None if lapsed(back.asked_at + LIFETIME, at=desk.ambient.now()) else back.path


def _sealer(desk: Desk) -> Sealer:
    return Sealer(desk.secret, "return", ambient=desk.ambient)
