"""RFC 6749 section 4.4: access tokens of a service that acts for itself, for its calls to other services."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field

import httpx2

from carnet.ambient import SYSTEM, Ambient
from carnet.guard.issuer_client import GrantRefusedError, IssuerClient, IssuerUnavailableError


@dataclass(frozen=True, slots=True)
class _Held:
    access_token: str = field(repr=False)
    renew_at: float
    """On the monotonic clock, as the next."""
    ends_at: float


class ServiceTokens(httpx2.Auth):
    """A service's own access token, asked for once and again shortly before it expires.

    `httpx2.AsyncClient(auth=tokens)` sends it with each request; `await tokens.token()` answers it.
    """

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        scope: str | None = None,
        resource: str | None = None,
        margin: float = 30,
        ambient: Ambient = SYSTEM,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`scope` is space-delimited; `resource` is RFC 8707's; `margin`: seconds before its end that a token is renewed."""
        self._client = IssuerClient(
            issuer=issuer, client_id=client_id, client_secret=client_secret, ambient=ambient, transport=transport
        )
        optional = {"scope": scope, "resource": resource}
        self._parameters = {"grant_type": "client_credentials"} | {k: v for k, v in optional.items() if v is not None}
        self._margin = margin
        self._ambient = ambient
        self._held: _Held | None = None
        self._flight: asyncio.Task[_Held] | None = None

    async def token(self) -> str:
        """An access token that lives for some time yet. Concurrent callers share one request.

        While the issuer cannot be reached, the last token is answered until it has expired.

        Raises:
            GrantRefusedError: the issuer refuses the client.
            IssuerUnavailableError: there is no token, and the issuer cannot be reached.
        """
        held = self._held
        if held is not None and self._ambient.monotonic() < held.renew_at:
            return held.access_token
        loop = asyncio.get_running_loop()
        if self._flight is None or self._flight.done() or self._flight.get_loop() is not loop:
            self._flight = loop.create_task(self._ask(), name="carnet-service-token")
        try:
            return (await asyncio.shield(self._flight)).access_token
        except IssuerUnavailableError:
            if held is not None and self._ambient.monotonic() < held.ends_at:
                return held.access_token
            raise

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Send the token with a request of an `httpx2.AsyncClient`."""
        request.headers["authorization"] = f"Bearer {await self.token()}"
        yield request

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Refused: tokens are asked for with asyncio."""
        raise TypeError("ServiceTokens needs an httpx2.AsyncClient.")

    async def _ask(self) -> _Held:
        began = self._ambient.monotonic()
        answer = await self._client.redeem(self._parameters)
        useful = max(answer.expires_in - self._margin, answer.expires_in / 2)
        self._held = _Held(answer.access_token, began + useful, began + answer.expires_in)
        return self._held


__all__ = ["GrantRefusedError", "IssuerUnavailableError", "ServiceTokens"]
