"""RFC 6749 section 2.3: what a client authentication is."""

import binascii
from base64 import b64decode
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol
from urllib.parse import unquote_plus

from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.records import Client
from carnet.jose.client_certificates import ClientCertificate
from carnet.oauth.errors import InvalidClientError
from carnet.oauth.parameters import Parameters


class UnprovedError(Exception):
    """The proof of a client is refused; the message, which is for the log alone, says why."""


@dataclass(frozen=True)
class Presented:
    """What a request shows of its client. It is asked for twice, by `claims` and by `proves`, and taken apart once."""

    authorization: str | None = field(repr=False)
    """The Authorization header."""
    parameters: Parameters
    certificate: ClientCertificate | None = None
    """Of its TLS handshake."""

    @cached_property
    def basic(self) -> tuple[str, Opaque] | None:
        """RFC 6749 section 2.3.1: the client_id and the secret in the Authorization header; None if there are none.

        Raises:
            InvalidClientError: the header is not well formed.
        """
        scheme, _, encoded = (self.authorization or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            identifier, colon, secret = b64decode(encoded.strip(" "), validate=True).decode("utf-8").partition(":")
            decoded = unquote_plus(identifier, errors="strict"), unquote_plus(secret, errors="strict")
        except (binascii.Error, ValueError):
            raise InvalidClientError("The Authorization header is not well formed.") from None
        if not colon or not all(decoded) or not decoded[0].isprintable():
            raise InvalidClientError("The Authorization header is not well formed.")
        return decoded[0], Opaque(decoded[1])


class ClientAuthentication(Protocol):
    """One `token_endpoint_auth_method`. A new one is one file, and one line in `CLIENT_AUTHENTICATIONS`."""

    @property
    def method(self) -> str: ...

    @property
    def algorithms(self) -> tuple[str, ...]:
        """With which its assertions may be signed; none where it signs nothing."""

    @property
    def serves(self) -> tuple[str, ...]:
        """The registered `token_endpoint_auth_method`s whose clients may use it."""

    def offered(self, config: Config) -> bool:
        """Whether the settings make it work."""

    def claims(self, presented: Presented) -> str | None:
        """The client_id that the request claims by this method; None: it does not use it.

        Raises:
            InvalidClientError: it uses it, and wrongly.
        """

    async def proves(self, presented: Presented, client: Client, desk: Desk) -> bool:
        """Whether the request proves that it is the claimed client's.

        Raises:
            UnprovedError: it does not, and there is more to say of it.
        """
