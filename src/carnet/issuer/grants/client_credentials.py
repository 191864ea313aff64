"""RFC 6749 section 4.4: a client that acts for itself."""

from dataclasses import dataclass

from carnet.issuer.approval import Authorization
from carnet.issuer.desk import Desk
from carnet.issuer.rotation import authenticates
from carnet.issuer.storage.records import Client
from carnet.oauth import authorization_details, scope
from carnet.oauth.errors import UnauthorizedClientError
from carnet.oauth.parameters import Parameters
from carnet.oauth.scope import Scope

PEOPLES = frozenset({"openid", "profile", "email", "offline_access"})
"""Scope values that only a person can give: OpenID Connect Core sections 5.4 and 11."""


@dataclass(frozen=True, slots=True)
class Asked:
    scope: Scope
    authorization_details: str | None


class ClientCredentials:
    grant_type = "client_credentials"

    def read(self, parameters: Parameters) -> Asked:
        return Asked(
            scope=scope.parse(parameters.get("scope")), authorization_details=parameters.get("authorization_details")
        )

    async def redeem(self, asked: Asked, client: Client, desk: Desk) -> Authorization:
        if not authenticates(client):
            raise UnauthorizedClientError("A public client has no credentials of its own.")
        own = tuple(value for value in scope.parse(client.scope) if value not in PEOPLES)
        details = authorization_details.parse(asked.authorization_details, types=client.authorization_details_types)
        return Authorization(scope=own, asked=asked.scope, authorization_details=details)
