"""RFC 8037 section 2: keys on the curves of RFC 8032 and RFC 7748 (`OKP`)."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey, Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from carnet.jose.base64url import text
from carnet.jose.errors import InvalidKeyError
from carnet.jose.key_types.key_type import KeyType, curve_name, octets

PrivateOctets: TypeAlias = Ed25519PrivateKey | Ed448PrivateKey | X25519PrivateKey | X448PrivateKey
PublicOctets: TypeAlias = Ed25519PublicKey | Ed448PublicKey | X25519PublicKey | X448PublicKey


class Curve(NamedTuple):
    """The two classes of keys on a curve."""

    private: type[PrivateOctets]
    public: type[PublicOctets]


CURVES: dict[str, Curve] = {
    "Ed25519": Curve(Ed25519PrivateKey, Ed25519PublicKey),
    "Ed448": Curve(Ed448PrivateKey, Ed448PublicKey),
    "X25519": Curve(X25519PrivateKey, X25519PublicKey),
    "X448": Curve(X448PrivateKey, X448PublicKey),
}


def crv(key: PublicOctets) -> str:
    """The `crv` of a public key."""
    return next(name for name, curve in CURVES.items() if isinstance(key, curve.public))


def _load_public(jwk: Mapping[str, Any]) -> PublicOctets:
    curve = curve_name(jwk, CURVES)
    try:
        return CURVES[curve].public.from_public_bytes(octets(jwk, "x"))
    except ValueError:
        raise InvalidKeyError(f"The key's 'x' is not of the length of {curve} (RFC 8037 section 2).") from None


def _load_private(jwk: Mapping[str, Any]) -> PrivateOctets:
    public, curve = _load_public(jwk), curve_name(jwk, CURVES)
    try:
        private = CURVES[curve].private.from_private_bytes(octets(jwk, "d"))
    except ValueError:
        raise InvalidKeyError(f"The key's 'd' is not of the length of {curve} (RFC 8037 section 2).") from None
    if private.public_key() != public:
        raise InvalidKeyError("The key's 'd' does not belong to its 'x'.")
    return private


def _dump_public(key: PublicOctets) -> dict[str, Any]:
    return {"kty": "OKP", "crv": crv(key), "x": text(key.public_bytes_raw())}


def _dump_private(key: PrivateOctets) -> dict[str, Any]:
    return _dump_public(key.public_key()) | {"d": text(key.private_bytes_raw())}


def _public_of(key: PrivateOctets) -> PublicOctets:
    return key.public_key()


OKP = KeyType(
    kty="OKP",
    secret=("d",),
    load_public=_load_public,
    load_private=_load_private,
    dump_public=_dump_public,
    dump_private=_dump_private,
    public_of=_public_of,
)
