"""RFC 7638, RFC 9278: a key's thumbprint and its URI."""

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256, Hash

from carnet.jose import base64url
from carnet.jose.errors import InvalidKeyError, shown
from carnet.jose.strict_json import encode_object

_IDENTITIES = {
    "oct": ("k", "kty"),
    "RSA": ("e", "kty", "n"),
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "AKP": ("alg", "kty", "pub"),
}
"""Section 3.2, RFC 8037 section 2, RFC 9964: the members that it is made of, in lexicographic order."""
_URI_PREFIX = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"


def jwk_thumbprint(jwk: Mapping[str, Any]) -> str:
    """RFC 7638 section 3: the base64url of the SHA-256 of the key's required members.

    Raises:
        InvalidKeyError: the `kty` is unknown, or a required member is absent or not a string.
    """
    kty = jwk.get("kty")
    if not isinstance(kty, str) or kty not in _IDENTITIES:
        raise InvalidKeyError(f"The key's type {shown(kty)} is none of {', '.join(_IDENTITIES)}.")
    members = {name: jwk.get(name) for name in _IDENTITIES[kty]}
    if not all(isinstance(value, str) for value in members.values()):
        raise InvalidKeyError(f"A thumbprint needs the members {', '.join(members)} as strings (RFC 7638 section 3.2).")
    digest = Hash(SHA256())
    digest.update(encode_object(members))
    return base64url.text(digest.finalize())


def thumbprint_uri(thumbprint: str) -> str:
    """RFC 9278 section 3: a SHA-256 thumbprint as a URI."""
    return _URI_PREFIX + thumbprint
