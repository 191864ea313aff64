"""RFC 6749 section 2.3.1, RFC 7617: the secret in the Authorization header, both parts form-encoded."""

import binascii
from base64 import b64decode
from urllib.parse import unquote_plus

from carnet.issuer.client_auth.client_secret_post import SECRET_METHODS, holds
from carnet.issuer.client_auth.method import Presented
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.records import Client
from carnet.oauth.errors import InvalidClientError


class ClientSecretBasic:
    method = "client_secret_basic"
    serves = SECRET_METHODS
    algorithms = ()

    def offered(self, config: Config) -> bool:
        return True

    def claims(self, presented: Presented) -> str | None:
        credentials = _credentials(presented)
        return None if credentials is None else credentials[0]

    async def proves(self, presented: Presented, client: Client, desk: Desk) -> bool:
        credentials = _credentials(presented)
        return credentials is not None and holds(client, credentials[1])


def _credentials(presented: Presented) -> tuple[str, Opaque] | None:
    scheme, _, encoded = (presented.authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        identifier, colon, secret = b64decode(encoded.strip(" "), validate=True).decode("utf-8").partition(":")
        decoded = unquote_plus(identifier, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):
        raise InvalidClientError("The Authorization header is not well formed.") from None
    if not colon or not all(decoded) or not decoded[0].isprintable():
        raise InvalidClientError("The Authorization header is not well formed.")
    return decoded[0], Opaque(decoded[1])
