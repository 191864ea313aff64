"""RFC 7591 section 2, `none`: a public client only says who it is; PKCE and rotation stand in for a secret."""

from carnet.issuer.client_auth.method import Presented
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.storage.records import Client

CREDENTIALS = ("client_secret", "client_assertion", "client_assertion_type")
"""Parameters that prove something: a client with one of them is no public one."""


def bare_client_id(presented: Presented) -> str | None:
    """The client_id of a request that shows nothing else of its client, unless in its TLS handshake."""
    if presented.authorization is not None or any(name in presented.parameters for name in CREDENTIALS):
        return None
    return presented.parameters.get("client_id")


class Public:
    method = "none"
    serves = ("none",)
    algorithms = ()

    def offered(self, config: Config) -> bool:
        return True

    def claims(self, presented: Presented) -> str | None:
        return bare_client_id(presented)

    async def proves(self, presented: Presented, client: Client, desk: Desk) -> bool:
        return client.secret_digest is None
