"""RFC 6749 sections 2.3.1 and 3.2: a confidential client's talk with its issuer: token endpoint, revocation, userinfo."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import httpx2

from carnet.ambient import Ambient
from carnet.guard.checkpoint import key_set_machine
from carnet.guard.key_set import Response
from carnet.guard.key_source import AsyncKeySource
from carnet.guard.metadata import Metadata
from carnet.guard.outgoing import FetchError, client_options, exchange
from carnet.guard.proving import Prover
from carnet.guard.verifier import ALGORITHMS
from carnet.jose import JoseError
from carnet.jose.strict_json import JsonObject, parse_object

_LIMIT = 64 * 1024


class IssuerUnavailableError(Exception):
    """The issuer did not answer usably; the message says why. The same request may succeed later."""


class GrantRefusedError(Exception):
    """RFC 6749 section 5.2: the token endpoint refused; `error` is its code."""

    def __init__(self, error: str) -> None:
        super().__init__(f"The issuer refused with {error!r}.")
        self.error = error


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """RFC 6749 section 5.1."""

    access_token: str = field(repr=False)
    expires_in: int
    """Seconds."""
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    scope: str | None = None


class IssuerClient:
    """One confidential client at one issuer, by `client_secret_basic`."""

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        ambient: Ambient,
        transport: httpx2.AsyncBaseTransport | None = None,
        prover: Prover | None = None,
    ) -> None:
        """With a `prover` it asks for tokens that are bound to its key (RFC 9449), and takes no others.

        Raises:
            MetadataError: `issuer` is not an https URL (or http to this machine).
        """
        self.prover = prover
        self.issuer = issuer
        self.client_id = client_id
        credentials = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
        self._authorization = f"Basic {b64encode(credentials.encode()).decode('ascii')}"
        self._transport = transport
        self.source = AsyncKeySource(key_set_machine(issuer, ALGORITHMS, ambient), ambient=ambient, transport=transport)

    def __repr__(self) -> str:
        return f"IssuerClient(issuer={self.issuer!r}, client_id={self.client_id!r})"

    async def metadata(self) -> Metadata:
        """The issuer's metadata, fetched once; raises IssuerUnavailableError."""
        if self.source.metadata is None:
            await self.source.load()
        metadata = self.source.metadata
        if metadata is None:
            raise IssuerUnavailableError(f"There is no metadata of {self.issuer}: {self.source.last_failure}")
        return metadata

    async def redeem(self, parameters: Mapping[str, str]) -> TokenAnswer:
        """Ask the token endpoint.

        Raises:
            GrantRefusedError: it refused what was asked.
            IssuerUnavailableError: it did not answer usably.
        """
        metadata = await self.metadata()
        url = _needed(metadata.token_endpoint, "token_endpoint")
        response = await self._post(url, parameters)
        if self.prover is not None and self.prover.learns(url, response.headers) and _wants_nonce(response):
            response = await self._post(url, parameters)
        members = _members(response)
        if response.status in {400, 401}:
            error = members.get("error")
            raise GrantRefusedError(error if isinstance(error, str) else "invalid_request")
        if response.status != 200:
            raise IssuerUnavailableError(f"The token endpoint answered with status {response.status}.")
        return _token_answer(members, "bearer" if self.prover is None else "dpop")

    async def revoke(self, token: str) -> None:
        """RFC 7009: give a refresh token back; without effect where the issuer has no such endpoint."""
        metadata = await self.metadata()
        if metadata.revocation_endpoint is not None:
            await self._post(metadata.revocation_endpoint, {"token": token, "token_type_hint": "refresh_token"})

    async def userinfo(self, access_token: str) -> JsonObject | None:
        """OpenID Connect Core section 5.3; None where the issuer has no such endpoint or refuses the token."""
        metadata = await self.metadata()
        if metadata.userinfo_endpoint is None:
            return None
        if self.prover is None:
            headers = {"authorization": f"Bearer {access_token}"}
        else:
            headers = self.prover.headers("GET", metadata.userinfo_endpoint, access_token)
        response = await self._send("GET", metadata.userinfo_endpoint, headers=headers)
        if response.status != 200 or not response.headers.get("content-type", "").startswith("application/json"):
            return None
        return _members(response)

    async def _post(self, url: str, parameters: Mapping[str, str]) -> Response:
        headers = {"authorization": self._authorization}
        if self.prover is not None:
            headers["dpop"] = self.prover.proof("POST", url)
        return await self._send("POST", url, headers=headers, data=dict(parameters))

    async def _send(
        self, method: str, url: str, *, headers: dict[str, str], data: dict[str, str] | None = None
    ) -> Response:
        try:
            async with httpx2.AsyncClient(**client_options(url), transport=self._transport) as client:
                request = client.build_request(method, url, data=data, headers=headers)
                return await exchange(client, request, _LIMIT)
        except FetchError as error:
            raise IssuerUnavailableError(str(error)) from None


def _wants_nonce(response: Response) -> bool:
    """RFC 9449 section 8."""
    return response.status in {400, 401} and _members(response).get("error") == "use_dpop_nonce"


def _needed(endpoint: str | None, name: str) -> str:
    if endpoint is None:
        raise IssuerUnavailableError(f"The issuer's metadata has no {name}.")
    return endpoint


def _members(response: Response) -> JsonObject:
    try:
        return parse_object(response.body)
    except JoseError:
        raise IssuerUnavailableError(f"The issuer answered with status {response.status} and no JSON object.") from None


def _token_answer(members: Mapping[str, Any], kind: str) -> TokenAnswer:
    def text(name: str) -> str | None:
        value = members.get(name)
        if value is not None and not isinstance(value, str):
            raise IssuerUnavailableError(f"The token endpoint answered with a {name} that is not a string.")
        return value or None

    access_token, token_type = text("access_token"), text("token_type")
    if access_token is None or token_type is None or token_type.lower() != kind:
        raise IssuerUnavailableError(f"The token endpoint answered without an access token of the type {kind}.")
    expires_in = members.get("expires_in")
    if isinstance(expires_in, bool) or not isinstance(expires_in, int) or expires_in <= 0:
        expires_in = 60  # RFC 6749 section 5.1 lets an issuer leave it out: then the token is not relied on for long
    return TokenAnswer(access_token, expires_in, text("refresh_token"), text("id_token"), text("scope"))
