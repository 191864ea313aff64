"""RFC 8628 section 3.4: the device grant: a device polls until its person has decided in a browser elsewhere."""

from dataclasses import dataclass

import msgspec

from carnet.ambient import lapsed
from carnet.issuer.approval import Authorization
from carnet.issuer.decisions import authorized
from carnet.issuer.desk import Desk
from carnet.issuer.device_codes import DeviceRequest
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.records import Artifact, Client
from carnet.oauth.errors import ExpiredTokenError, InvalidGrantError
from carnet.oauth.parameters import Parameters

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, slots=True)
class Asked:
    device_code: Opaque


class DeviceCode:
    grant_type = GRANT_TYPE

    def read(self, parameters: Parameters) -> Asked:
        return Asked(Opaque(parameters.require("device_code")))

    async def redeem(self, asked: Asked, client: Client, desk: Desk) -> Authorization:
        """Section 3.5."""
        digest = asked.device_code.digest
        waiting = await desk.store.artifacts.get("device_code", digest, at=desk.ambient.now())
        if not isinstance(waiting, Artifact) or waiting.client_id != client.client_id:
            raise InvalidGrantError("The device code is not valid.", why="unknown, long expired, or another client's")
        request = msgspec.msgpack.decode(waiting.document, type=DeviceRequest)
        if lapsed(request.expires_at, at=desk.ambient.now()):
            raise ExpiredTokenError("The device code has expired: ask for a new one.")
        return await authorized(digest, asked.device_code, desk)
