"""RFC 6749 section 2.3: what a client authentication is."""

from dataclasses import dataclass, field
from typing import Protocol

from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.storage.records import Client
from carnet.jose.client_certificates import ClientCertificate
from carnet.oauth.parameters import Parameters


class UnprovedError(Exception):
    """The proof of a client is refused; the message, which is for the log alone, says why."""


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request shows of its client."""

    authorization: str | None = field(repr=False)
    """The Authorization header."""
    parameters: Parameters
    certificate: ClientCertificate | None = None
    """Of its TLS handshake."""


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
