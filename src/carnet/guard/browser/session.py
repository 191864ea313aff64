"""Browser-based apps BCP section 6.1: what a browser back end keeps for a browser, and where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from carnet.ambient import Ambient, Instant
from carnet.jose import JoseError, base64url
from carnet.sealing import SealBrokenError, Sealer


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in, and its tokens."""

    id: str
    """128 random bits; new at each sign-in."""
    subject: str
    claims: Mapping[str, Any]
    """What the ID token and userinfo say of the person, as of the newest refresh."""
    signed_in_at: Instant
    renews_at: Instant
    """From then on the access token is renewed at the next request."""
    expires_at: Instant
    """The access token's end."""
    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    sid: str | None = None
    """The issuer's name of its own session (Front-Channel Logout section 3)."""


class SessionStore(Protocol):
    """Keeps sessions. The default keeps them in the browser, sealed; one with a database can end them from outside."""

    async def save(self, session: Session, *, replacing: str | None = None) -> str:
        """Keep a session; the answer is the cookie's value. `replacing` is the value that named it before, if any."""

    async def load(self, value: str) -> Session | None:
        """The session that a cookie's value stands for; None for any other value."""

    async def forget(self, value: str) -> None:
        """Forget a session."""


class SealedSessions:
    """The whole session, sealed, is the cookie's value: nothing is kept at the back end, and any of its processes can read it."""

    def __init__(self, secret: bytes, *, ambient: Ambient) -> None:
        """`secret`: at least 32 bytes, the same for all processes of one back end."""
        self._sealer = Sealer(secret, "guard/browser-session", ambient=ambient)
        self._decoder = msgspec.json.Decoder(Session)

    async def save(self, session: Session, *, replacing: str | None = None) -> str:
        return base64url.text(self._sealer.seal(msgspec.json.encode(session)))

    async def load(self, value: str) -> Session | None:
        try:
            return self._decoder.decode(self._sealer.open(base64url.decode_text(value)))
        except (SealBrokenError, JoseError, msgspec.MsgspecError):
            return None

    async def forget(self, value: str) -> None:
        """Without effect: what a browser has cannot be taken back; the caller clears the cookie and revokes the token."""
