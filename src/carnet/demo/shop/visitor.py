"""RFC 9068 section 2.2: what a page shows of whoever looks at it, read out of the session and its access token."""

from collections import Counter
from dataclasses import dataclass, field

from carnet.ambient import Ambient, Instant
from carnet.guard.browser import SealedSessions, Session
from carnet.jose.inspection import inspect


class CountedSessions(SealedSessions):
    """Sessions in sealed cookies, and how often each has been renewed while this process runs."""

    def __init__(self, secret: bytes, *, ambient: Ambient) -> None:
        super().__init__(secret, ambient=ambient)
        self._saved: Counter[str] = Counter()

    async def save(self, session: Session, *, replacing: str | None = None) -> str:
        self._saved[session.id] += 1
        return await super().save(session, replacing=replacing)

    def renewals(self, session: Session) -> int:
        """The first time that a session is saved is its sign-in; every further one is a refresh."""
        return max(0, self._saved[session.id] - 1)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in."""

    name: str
    email: str
    roles: tuple[str, ...]
    """As the access token has them, which is as of `issued_at`."""
    scope: tuple[str, ...]
    issued_at: Instant
    renews_at: Instant
    expires_at: Instant
    refreshed: int
    csrf: str = field(repr=False)
    access_token: str = field(repr=False)

    @property
    def margin(self) -> int:
        """Seconds before its end in which the back end gets a new access token."""
        return self.expires_at - self.renews_at


def visitor(session: Session, *, refreshed: int, csrf: str) -> Visitor:
    """Read a session. The token came from the token endpoint and is the services' to verify: here it is only shown."""
    token = inspect(session.access_token, at=session.expires_at)
    return Visitor(
        name=session.claims.get("name") or session.claims.get("email") or session.subject,
        email=session.claims.get("email", ""),
        roles=tuple(token.claim("roles") or ()),
        scope=tuple((token.claim("scope") or "").split()),
        issued_at=token.claim("iat"),
        renews_at=session.renews_at,
        expires_at=session.expires_at,
        refreshed=refreshed,
        csrf=csrf,
        access_token=session.access_token,
    )
