"""RFC 7523 section 2.2, OpenID Connect Core section 9, `private_key_jwt`: an assertion signed with the client's private key."""

from carnet.issuer import fapi
from carnet.issuer.client_auth.assertion import check_assertion, presented_assertion
from carnet.issuer.client_auth.method import Presented, UnprovedError
from carnet.issuer.client_keys import ALGORITHMS
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.egress import EgressError
from carnet.issuer.storage.records import Client
from carnet.jose import JoseError


class PrivateKeyJwt:
    method = "private_key_jwt"
    serves = ("private_key_jwt",)
    algorithms = ALGORITHMS

    def offered(self, config: Config) -> bool:
        return True

    def claims(self, presented: Presented) -> str | None:
        assertion = presented_assertion(presented)
        return None if assertion is None or assertion.alg.startswith("HS") else assertion.client_id

    async def proves(self, presented: Presented, client: Client, desk: Desk) -> bool:
        assertion = presented_assertion(presented)
        if assertion is None:
            return False
        allowed = signing_algorithms(client)
        if assertion.alg not in allowed:
            raise UnprovedError(f"the algorithm is {assertion.alg!r}, allowed are {', '.join(allowed)}")
        try:
            keys = await desk.client_keys.key_set(client, assertion.alg, assertion.kid)
        except (EgressError, JoseError) as error:
            raise UnprovedError(str(error)) from None
        await check_assertion(assertion, client, desk, keys=keys, algorithms=(assertion.alg,))
        return True


def signing_algorithms(client: Client) -> tuple[str, ...]:
    """OpenID Connect Dynamic Client Registration section 2: the registered one alone, where one is registered."""
    registered = client.token_endpoint_auth_signing_alg
    return fapi.signing_algorithms(client) if registered is None else (registered,)
