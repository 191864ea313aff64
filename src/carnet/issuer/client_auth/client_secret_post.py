"""RFC 6749 section 2.3.1: the secret in the body of the request."""

import hmac

from carnet.issuer.client_auth.method import Presented
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.records import Client

SECRET_METHODS = ("client_secret_basic", "client_secret_post")
"""Two ways to show one secret. RFC 7591 section 2 registers one for the token endpoint, and clients keep to it there; at the
other endpoints their libraries often use the other one. It proves the same, so both are taken everywhere."""


class ClientSecretPost:
    method = "client_secret_post"
    serves = SECRET_METHODS
    algorithms = ()

    def offered(self, config: Config) -> bool:
        return True

    def claims(self, presented: Presented) -> str | None:
        return presented.parameters.require("client_id") if "client_secret" in presented.parameters else None

    async def proves(self, presented: Presented, client: Client, desk: Desk) -> bool:
        return holds(client, Opaque(presented.parameters.require("client_secret")))


def holds(client: Client, secret: Opaque) -> bool:
    """Whether it is the client's secret, compared in constant time (rule J23)."""
    return client.secret_digest is not None and hmac.compare_digest(secret.digest, client.secret_digest)
