"""OpenID Connect Core section 3.1.3.7: whether an ID token is the issuer's, for this client, of now."""

import hmac
from collections.abc import Mapping
from typing import Any

from carnet.ambient import Ambient
from carnet.guard.issuer_client import IssuerClient
from carnet.guard.verifier import ALGORITHMS
from carnet.jose import JoseError, KeySet, Verified
from carnet.jose.errors import UnknownKeyError
from carnet.jose.header import parse_header
from carnet.jose.profiles import ID_TOKEN
from carnet.oauth import id_token

_LEEWAY = 60


class IdTokenError(Exception):
    """An ID token that is refused; the message says why."""


class IdTokens:
    """Verifies the ID tokens of one client."""

    def __init__(self, client: IssuerClient, *, ambient: Ambient) -> None:
        self._client_id = client.client_id
        self._source = client.source
        self._ambient = ambient
        self._profile = ID_TOKEN.verifier(
            keys=KeySet(()),
            algorithms=ALGORITHMS,
            issuer=client.issuer,
            audience=client.client_id,
            leeway=_LEEWAY,
            cache_size=0,
        )

    async def claims(self, token: str, *, access_token: str) -> Mapping[str, Any]:
        """The claims of a genuine ID token that came with `access_token`; raises IdTokenError."""
        try:
            verified = await self._verified(token)
        except JoseError as error:
            raise IdTokenError(f"The ID token is refused: {error}") from None
        claims = verified.claims
        if claims.get("azp", self._client_id) != self._client_id:
            raise IdTokenError("The ID token was issued to another client (azp).")
        if "at_hash" in claims:
            self._check_hash(claims["at_hash"], access_token, verified.header["alg"])
        return claims

    async def _verified(self, token: str) -> Verified:
        keys = self._source.held() or KeySet(())
        try:
            return self._profile.verify(token, at=self._ambient.now(), keys=keys)
        except UnknownKeyError:
            await self._source.look_for(parse_header(token.partition(".")[0].encode("ascii")).get("kid") or "")
            return self._profile.verify(token, at=self._ambient.now(), keys=self._source.held() or KeySet(()))

    def _check_hash(self, found: object, access_token: str, alg: str) -> None:
        """Section 3.1.3.8: the ID token and the access token were issued together."""
        try:
            wanted = id_token.at_hash(access_token, alg)
        except KeyError:
            raise IdTokenError(f"There is no at_hash for the algorithm {alg}.") from None
        if not isinstance(found, str) or not hmac.compare_digest(found.encode(), wanted.encode()):
            raise IdTokenError("The ID token's at_hash is of another access token.")
