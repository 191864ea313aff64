"""Browser-based apps BCP section 6.1.3.3, rule O15: whether a browser sent a request on its own pages' behalf. Pure rules."""

import hmac
from collections.abc import Mapping
from hashlib import sha256

from carnet.sealing import derive

HEADER = "x-carnet-csrf"
FIELD = "csrf"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class ForgedError(Exception):
    """A request that the front end's own pages did not send; the message is for the log."""


class TokenMint:
    """CSRF tokens: a keyed hash of the session's id, so that nothing needs to be kept for them."""

    def __init__(self, secret: bytes) -> None:
        self._key = derive(secret, "guard/browser-csrf")

    def token(self, session_id: str) -> str:
        """The token of a session."""
        return hmac.new(self._key, session_id.encode(), sha256).hexdigest()

    def genuine(self, token: str | None, session_id: str) -> bool:
        """Whether it is the session's, compared in constant time."""
        return token is not None and hmac.compare_digest(token.encode(), self.token(session_id).encode())


def foreign(method: str, headers: Mapping[str, str], *, own: str, allowed: frozenset[str]) -> str | None:
    """Why a request is not taken to come from the back end's own pages or from `allowed` origins; None if it is.

    `own` and `allowed` are origins (RFC 6454). Browsers set Sec-Fetch-Site and Origin; no page can set them. A method that
    changes something needs at least one of the two; one that only reads is refused if they say that another site asks.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if origin is not None and (origin == own or origin in allowed):
        return None
    if site == "same-origin" and origin in {
        None,
        "null",
    }:  # a page without referrers sends the Origin null to its own host
        return None
    if origin is not None:
        return f"The origin is {origin[:200]!r}."
    if method not in SAFE_METHODS:
        return f"A {method} request has neither Origin nor Sec-Fetch-Site: same-origin."
    return f"Sec-Fetch-Site is {site[:20]!r}." if site in {"cross-site", "same-site"} else None
