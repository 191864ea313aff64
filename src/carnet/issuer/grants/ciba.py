"""OpenID CIBA Core section 10.1: the grant with which an app polls for what somebody elsewhere decides."""

from dataclasses import dataclass

from carnet.ambient import lapsed
from carnet.issuer import backchannel_requests
from carnet.issuer.approval import Authorization
from carnet.issuer.decisions import authorized
from carnet.issuer.desk import Desk
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.ports import Spent
from carnet.issuer.storage.records import Client
from carnet.oauth.errors import ExpiredTokenError, InvalidGrantError
from carnet.oauth.parameters import Parameters

GRANT_TYPE = "urn:openid:params:grant-type:ciba"


@dataclass(frozen=True, slots=True)
class Asked:
    auth_req_id: Opaque


class Ciba:
    grant_type = GRANT_TYPE

    def read(self, parameters: Parameters) -> Asked:
        return Asked(Opaque(parameters.require("auth_req_id")))

    async def redeem(self, asked: Asked, client: Client, desk: Desk) -> Authorization:
        """Section 11."""
        digest = asked.auth_req_id.digest
        found = await desk.store.artifacts.get("backchannel_request", digest, at=desk.ambient.now())
        artifact = found.artifact if isinstance(found, Spent) else found
        if artifact is None or artifact.client_id != client.client_id:
            raise InvalidGrantError("The auth_req_id is not valid.", why="unknown, long expired, or another client's")
        if lapsed(backchannel_requests.read(artifact).expires_at, at=desk.ambient.now()):
            raise ExpiredTokenError("The request has expired: make a new one.")
        return await authorized(digest, asked.auth_req_id, desk)
