"""RFC 6749 section 2.3.1, RFC 7617: the secret in the Authorization header, both parts form-encoded."""

from carnet.issuer.client_auth.client_secret_post import SECRET_METHODS, holds
from carnet.issuer.client_auth.method import Presented
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.storage.records import Client


class ClientSecretBasic:
    method = "client_secret_basic"
    serves = SECRET_METHODS
    algorithms = ()

    def offered(self, config: Config) -> bool:
        return True

    def claims(self, presented: Presented) -> str | None:
        return None if presented.basic is None else presented.basic[0]

    async def proves(self, presented: Presented, client: Client, desk: Desk) -> bool:
        return presented.basic is not None and holds(client, presented.basic[1])
