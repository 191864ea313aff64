"""RFC 6749 section 6: access tokens renewed behind the browser's back, once for each refresh token, whatever tabs do.

Several requests of one browser arrive with the same cookie, some of them after it was replaced. All that carry one refresh token
share one request to the issuer, and late ones get its result for some seconds: a second use of the token would look like theft.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias

from carnet.ambient import Ambient, lapsed
from carnet.guard.browser.session import Session, SessionStore
from carnet.guard.issuer_client import GrantRefusedError, IssuerUnavailableError

_log = logging.getLogger("carnet.guard.browser")

KEPT_SECONDS = 60
"""How long a request may be under way with a cookie that another one's answer has replaced."""
ENDED_SECONDS = 600
"""How long a request that is under way cannot bring an ended session back."""
REST_SECONDS = 5
"""After the issuer has failed, it is left alone for so long, as far as tokens are still good."""

Redeem: TypeAlias = Callable[[Session], Awaitable[Session]]
"""Spend a session's refresh token; raises GrantRefusedError, IssuerUnavailableError."""


class SessionEndedError(Exception):
    """The issuer has ended it, or the browser has signed out meanwhile."""


@dataclass(frozen=True, slots=True)
class Current:
    """A session that can be used now, and the cookie's value that stands for it."""

    session: Session
    value: str = field(repr=False)


class Renewal:
    """Keeps sessions fresh."""

    def __init__(self, redeem: Redeem, sessions: SessionStore, *, ambient: Ambient) -> None:
        self._redeem = redeem
        self._sessions = sessions
        self._ambient = ambient
        self._flights: dict[bytes, asyncio.Task[Current]] = {}
        self._kept: dict[bytes, tuple[Current, float]] = {}
        self._ended: dict[str, float] = {}
        self._rests_until = 0.0

    async def current(self, held: Current, *, refused: str | None = None) -> Current:
        """The session as it can be used now: as it is, or renewed.

        `refused` is an access token that a service does not accept any more: it is as good as expired.

        Raises:
            SessionEndedError: it is over.
            IssuerUnavailableError: its access token has expired and the issuer does not answer.
        """
        while True:
            session = held.session
            self._refuse_ended(session.id)
            at = self._ambient.now()
            useless = session.access_token == refused
            if at < session.renews_at and not useless:
                return held
            if session.refresh_token is None:
                if useless or lapsed(session.expires_at, at=at):
                    raise SessionEndedError("Its access token is of no more use, and there is no refresh token.")
                return held
            try:
                held = await self._renewed(held, session.refresh_token)
            except IssuerUnavailableError as error:
                self._rests_until = self._ambient.monotonic() + REST_SECONDS
                if useless or lapsed(session.expires_at, at=at):
                    raise
                _log.warning("An access token was not renewed and is used until it expires: %s", error)
                return held

    def end(self, session_id: str) -> None:
        """Note that a session is over: requests that are under way with it do not bring it back."""
        now = self._ambient.monotonic()
        self._ended = {name: until for name, until in self._ended.items() if until > now}
        self._ended[session_id] = now + ENDED_SECONDS

    async def _renewed(self, held: Current, refresh_token: str) -> Current:
        digest = sha256(refresh_token.encode()).digest()
        now = self._ambient.monotonic()
        kept = self._kept.get(digest)
        if kept is not None and now < kept[1] and self._still_leads_on(kept[0].session, refresh_token):
            return kept[0]
        flight = self._flights.get(digest)
        if flight is None:
            if now < self._rests_until:
                raise IssuerUnavailableError("The issuer did not answer a moment ago.")
            flight = asyncio.get_running_loop().create_task(self._fly(held, digest), name="carnet-renewal")
            self._flights[digest] = flight
        return await asyncio.shield(flight)

    async def _fly(self, held: Current, digest: bytes) -> Current:
        try:
            session = await self._redeem(held.session)
            self._refuse_ended(session.id)
            renewed = Current(session, await self._sessions.save(session, replacing=held.value))
            now = self._ambient.monotonic()
            self._kept = {key: kept for key, kept in self._kept.items() if kept[1] > now}
            self._kept[digest] = (renewed, now + KEPT_SECONDS)
        except GrantRefusedError as error:
            if error.error != "invalid_grant":
                raise IssuerUnavailableError(f"The issuer refuses this client: {error.error}.") from None
            self.end(held.session.id)
            raise SessionEndedError("The issuer refuses its refresh token.") from None
        finally:
            del self._flights[digest]
        return renewed

    def _still_leads_on(self, renewed: Session, refresh_token: str) -> bool:
        """Whether a kept result is better than asking: not if the issuer does not rotate and its access token is old too."""
        return renewed.refresh_token != refresh_token or self._ambient.now() < renewed.renews_at

    def _refuse_ended(self, session_id: str) -> None:
        until = self._ended.get(session_id)
        if until is not None and self._ambient.monotonic() < until:
            raise SessionEndedError("It has signed out meanwhile.")
