"""RFC 6749 section 6, RFC 9700 section 4.14: the refresh token, rotated at each use."""

from dataclasses import dataclass

import msgspec

from carnet.issuer.approval import Approval, Authorization, Person, Redemption
from carnet.issuer.desk import Desk
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.ports import Spent
from carnet.issuer.storage.records import Client
from carnet.oauth import scope
from carnet.oauth.errors import InvalidGrantError
from carnet.oauth.parameters import Parameters
from carnet.oauth.scope import Scope

_APPROVALS = msgspec.json.Decoder(Approval)


@dataclass(frozen=True, slots=True)
class Asked:
    refresh_token: Opaque
    scope: Scope


class RefreshToken:
    grant_type = "refresh_token"

    def read(self, parameters: Parameters) -> Asked:
        return Asked(
            refresh_token=Opaque(parameters.require("refresh_token")),
            scope=scope.parse(parameters.get("scope")),
        )

    async def redeem(self, asked: Asked, client: Client, desk: Desk) -> Authorization:
        """A spent one is proved like a fresh one; `rotation.py` says what its second use means."""
        found = await desk.store.artifacts.get("refresh_token", asked.refresh_token.digest, at=desk.ambient.now())
        if found is None:
            raise _refusal("unknown, expired or revoked")
        artifact = found.artifact if isinstance(found, Spent) else found
        if artifact.client_id != client.client_id:
            raise _refusal("it is another client's")
        if artifact.subject is None or artifact.family is None:
            raise _refusal("it names no subject or family")
        approval = _APPROVALS.decode(artifact.document)
        return Authorization(
            scope=approval.scope,
            asked=asked.scope,
            audience=approval.audience,
            authorization_details=approval.authorization_details,
            person=Person(subject=artifact.subject, family=artifact.family, sid=artifact.sid, approval=approval),
            redemption=Redemption(
                artifact=artifact,
                secret=asked.refresh_token,
                retryable=True,
                bound=approval.confirmation is not None,
            ),
        )


def _refusal(why: str) -> InvalidGrantError:
    return InvalidGrantError("The refresh token is not valid.", why=why)
