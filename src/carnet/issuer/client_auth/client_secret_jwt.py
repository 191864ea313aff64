"""RFC 7523 section 2.2, OpenID Connect Core section 9, `client_secret_jwt`: an assertion under the client's secret.

It needs the secret itself, so that for these clients, and for no others, it is kept: sealed under the deployment's secret key.
"""

from carnet.issuer.client_auth.assertion import check_assertion, presented_assertion
from carnet.issuer.client_auth.method import Presented, UnprovedError
from carnet.issuer.client_secrets import open_secret
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.storage.records import Client
from carnet.jose import KeySet, VerifyingKey


class ClientSecretJwt:
    method = "client_secret_jwt"
    serves = ("client_secret_jwt",)
    algorithms = ("HS256",)
    """A secret has 256 bits: enough for this one (RFC 7518 section 3.2) and for no longer hash."""

    def offered(self, config: Config) -> bool:
        return True

    def claims(self, presented: Presented) -> str | None:
        assertion = presented_assertion(presented)
        return assertion.client_id if assertion is not None and assertion.alg.startswith("HS") else None

    async def proves(self, presented: Presented, client: Client, desk: Desk) -> bool:
        assertion = presented_assertion(presented)
        if assertion is None or client.sealed_secret is None:
            return False
        if assertion.alg not in self.algorithms:
            raise UnprovedError(f"the algorithm is {assertion.alg!r}, allowed is HS256")
        secret = open_secret(client.client_id, client.sealed_secret, desk)
        # OpenID Connect Core section 10.1: the key is the secret's UTF-8; whatever kid is named, there is only this one.
        key = VerifyingKey.from_secret(secret.value.encode("ascii"), alg="HS256", kid=assertion.kid)
        await check_assertion(assertion, client, desk, keys=KeySet((key,)), algorithms=self.algorithms)
        return True
