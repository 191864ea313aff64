"""OpenID Connect Core section 2: ID tokens."""

from collections.abc import Mapping
from hashlib import sha256, sha384, sha512
from typing import Any, Final

from msgspec import Struct, field

from carnet.ambient import Instant
from carnet.jose import base64url
from carnet.oauth.access_token import SignIn, sign_in_claims

TYP: Final = "JWT"

_HASHES = {
    "ES256": sha256,
    "RS256": sha256,
    "PS256": sha256,
    "ES384": sha384,
    "RS384": sha384,
    "PS384": sha384,
    "ES512": sha512,
    "RS512": sha512,
    "PS512": sha512,
    "Ed25519": sha512,
    "EdDSA": sha512,
}


def at_hash(access_token: str, alg: str) -> str:
    """Section 3.1.3.6: the left half of the hash that the signature's algorithm uses.

    Raises:
        KeyError: the algorithm is not known (rule J18: what is unknown is an error).
    """
    digest = _HASHES[alg](access_token.encode("ascii")).digest()
    return base64url.text(digest[: len(digest) // 2])


class IdToken(Struct, frozen=True, kw_only=True):
    """What an ID token says."""

    issuer: str
    subject: str
    client_id: str
    issued_at: Instant
    expires_at: Instant
    sign_in: SignIn
    nonce: str | None = None
    sid: str | None = None
    """Front-Channel Logout section 3."""
    access_token_hash: str | None = None
    person: Mapping[str, Any] = field(default_factory=dict)
    """Section 5.5: what it is asked to say of the person."""

    def claims(self) -> dict[str, Any]:
        """Section 2."""
        made: dict[str, Any] = {
            **self.person,
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.client_id,
            "exp": self.expires_at,
            "iat": self.issued_at,
            **sign_in_claims(self.sign_in),
        }
        optional = {"nonce": self.nonce, "sid": self.sid, "at_hash": self.access_token_hash}
        return made | {name: value for name, value in optional.items() if value is not None}
