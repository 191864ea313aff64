"""RFC 6749 section 4.4, RFC 9449: access tokens of a service that acts for itself, for its calls to other services."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field

import httpx2

from carnet.ambient import SYSTEM, Ambient
from carnet.guard.issuer_client import GrantRefusedError, IssuerClient, IssuerUnavailableError
from carnet.guard.proving import Prover, wants_nonce
from carnet.jose import SigningKey


@dataclass(frozen=True, slots=True)
class _Held:
    access_token: str = field(repr=False)
    renew_at: float
    """On the monotonic clock, as the next."""
    ends_at: float


class ServiceTokens(httpx2.Auth):
    """A service's own access token, asked for once and again shortly before it expires.

    `httpx2.AsyncClient(auth=tokens)` sends it with each request; `await tokens.token()` answers it, `await tokens.headers(…)`
    what sends it.
    """

    def __init__(  # noqa: PLR0913 - a deployment's settings, each named where it is given
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        scope: str | None = None,
        resource: str | None = None,
        margin: float = 30,
        dpop: SigningKey | None = None,
        ambient: Ambient = SYSTEM,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`scope` is space-delimited; `resource` is RFC 8707's; `margin`: seconds before its end that a token is renewed.

        `dpop`: a key, such as `SigningKey.generate("ES256")`, that the tokens are bound to (RFC 9449): whoever steals one has
        nothing.
        """
        self._prover = None if dpop is None else Prover(dpop, ambient=ambient)
        self._client = IssuerClient(
            issuer=issuer,
            client_id=client_id,
            client_secret=client_secret,
            ambient=ambient,
            transport=transport,
            prover=self._prover,
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
        """Send the token with a request of an `httpx2.AsyncClient`.

        RFC 9449 section 9: a service that wants a nonce in the proof is asked once more, with the one that it gives.
        """
        url = str(request.url)
        request.headers.update(await self.headers(request.method, url))
        response = yield request
        if self._prover is None or not self._prover.learns(url, response.headers):
            return
        if response.status_code == 401 and wants_nonce(response.headers):
            request.headers.update(await self.headers(request.method, url))
            yield request

    async def headers(self, method: str, url: str) -> dict[str, str]:
        """What a request of another HTTP client has to have; raises as `token`."""
        token = await self.token()
        if self._prover is None:
            return {"authorization": f"Bearer {token}"}
        return self._prover.headers(method, url, token)

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
