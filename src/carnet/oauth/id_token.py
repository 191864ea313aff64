"""OpenID Connect Core section 2: ID tokens."""

from base64 import urlsafe_b64encode
from hashlib import sha256, sha384, sha512
from typing import Any, Final

from carnet.ambient import Instant
from carnet.oauth.access_token import SignIn, sign_in_claims

TYP: Final = "JWT"
REQUIRED: Final = ("iss", "sub", "aud", "exp", "iat")

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
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")


def claims(
    *,
    issuer: str,
    subject: str,
    client_id: str,
    issued_at: Instant,
    expires_at: Instant,
    sign_in: SignIn,
    nonce: str | None = None,
    sid: str | None = None,
    access_token_hash: str | None = None,
) -> dict[str, Any]:
    """Section 2: the claims of an ID token; `sid` is that of Front-Channel Logout section 3."""
    made: dict[str, Any] = {
        "iss": issuer,
        "sub": subject,
        "aud": client_id,
        "exp": expires_at,
        "iat": issued_at,
        **sign_in_claims(sign_in),
    }
    for name, value in (("nonce", nonce), ("sid", sid), ("at_hash", access_token_hash)):
        if value is not None:
            made[name] = value
    return made
