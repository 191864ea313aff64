"""RFC 7519 section 5.2, RFC 8725 section 3.3: JWTs that are signed and then encrypted, whose two layers are both verified.

There is no function that takes a JWE or a JWS as it comes, and none that takes claims which are only encrypted (rule J13).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from carnet.ambient import SYSTEM, Instant
from carnet.jose.algorithms.key_management import Entropy
from carnet.jose.encryption_keys import DecryptionKey, EncryptionKey
from carnet.jose.errors import ClaimError, MalformedError
from carnet.jose.jwe import decrypt_compact, encrypt_compact
from carnet.jose.jwt import JwtVerifier, sign_jwt
from carnet.jose.keys import SigningKey
from carnet.jose.strict_json import JsonObject
from carnet.jose.verified import Verified

MAX_LENGTH = 16 * 1024
"""Characters: a token of 8 KiB, encrypted."""

_CONTENT_TYPE = "JWT"
_REPLICATED = ("iss", "sub", "aud")


def sign_then_encrypt(
    claims: Mapping[str, Any],
    signing_key: SigningKey,
    encryption_key: EncryptionKey,
    *,
    typ: str,
    enc: str,
    headers: Mapping[str, Any] | None = None,
    entropy: Entropy = SYSTEM.entropy,
) -> str:
    """Sign claims, then encrypt the token. `typ` is the inner token's; `headers` are added to the outer header.

    Raises:
        JoseError: as `sign_jwt` and `encrypt_compact`.
    """
    inner = sign_jwt(claims, signing_key, typ=typ)
    outer = {"cty": _CONTENT_TYPE} | dict(headers or {})
    return encrypt_compact(inner.encode("ascii"), encryption_key, enc=enc, headers=outer, entropy=entropy)


def decrypt_then_verify(
    token: str,
    keys: Sequence[DecryptionKey],
    *,
    enc: Collection[str],
    verifier: JwtVerifier,
    at: Instant,
    max_length: int = MAX_LENGTH,
) -> Verified:
    """Decrypt the outer layer, then verify the inner one as of the instant `at`. What is inside must be a signed JWT.

    Raises:
        JoseError: it is refused; `code` says why.
    """
    decrypted = decrypt_compact(token, keys, enc=enc, max_length=max_length)
    if decrypted.header.get("cty", "").upper() != _CONTENT_TYPE:
        raise MalformedError("The header's 'cty' is not JWT: there is no token inside (RFC 7519 section 5.2).")
    try:
        inner = decrypted.plaintext.decode("ascii")
    except UnicodeDecodeError:
        raise MalformedError("What is encrypted is not a JWT.") from None
    verified = verifier.verify(inner, at=at)
    _check_replicated(decrypted.header, verified.claims)
    return verified


def _check_replicated(header: JsonObject, claims: JsonObject) -> None:
    """RFC 7519 section 5.3: what the outer header repeats of the claims must be the same there."""
    for name in _REPLICATED:
        if name in header and header[name] != claims.get(name):
            raise ClaimError(f"The header's {name!r} is not that of the claims (RFC 7519 section 5.3).", claim=name)
