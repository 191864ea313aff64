"""RFC 8628 section 3.4: the device grant: a device polls until its person has decided in a browser elsewhere."""

from dataclasses import dataclass

import msgspec

from carnet.ambient import lapsed
from carnet.issuer.approval import Authorization, Person, Redemption
from carnet.issuer.desk import Desk
from carnet.issuer.device_codes import INTERVAL, DeviceDecision, DeviceRequest, decided
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.records import Artifact, Client
from carnet.oauth.errors import (
    AccessDeniedError,
    AuthorizationPendingError,
    ExpiredTokenError,
    InvalidGrantError,
    SlowDownError,
)
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
        """Section 3.5. A spent decision is proved like a fresh one: its second redemption ends the family, as with codes."""
        digest = asked.device_code.digest
        waiting = await desk.store.artifacts.get("device_code", digest, at=desk.ambient.now())
        if not isinstance(waiting, Artifact) or waiting.client_id != client.client_id:
            raise InvalidGrantError("The device code is not valid.", why="unknown, long expired, or another client's")
        request = msgspec.msgpack.decode(waiting.document, type=DeviceRequest)
        if lapsed(request.expires_at, at=desk.ambient.now()):
            raise ExpiredTokenError("The device code has expired: ask for a new one.")
        if await desk.store.throttle.hit(f"device/{digest.hex()}", at=desk.ambient.now(), window=INTERVAL) > 1:
            raise SlowDownError(f"The device asks more often than each {INTERVAL} seconds: wait 5 seconds longer.")
        decision = await decided(desk, digest)
        if decision is None or decision.subject is None or decision.family is None:
            raise AuthorizationPendingError("Nobody has decided yet.")
        document = msgspec.json.decode(decision.document, type=DeviceDecision)
        if document.approval is None:
            raise AccessDeniedError("The person did not allow it.")
        return Authorization(
            scope=document.approval.scope,
            audience=document.approval.audience,
            person=Person(
                subject=decision.subject,
                family=decision.family,
                sid=decision.sid or document.sid,
                approval=document.approval,
            ),
            redemption=Redemption(artifact=decision, secret=asked.device_code),
        )
