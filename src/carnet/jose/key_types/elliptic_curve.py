"""RFC 7518 section 6.2, RFC 8812 section 3.1: elliptic-curve keys (`EC`)."""

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
    derive_private_key,
)

from carnet.jose.base64url import text
from carnet.jose.errors import InvalidKeyError
from carnet.jose.key_types.key_type import KeyType, curve_name, octets

CURVES: dict[str, EllipticCurve] = {
    "P-256": SECP256R1(),
    "P-384": SECP384R1(),
    "P-521": SECP521R1(),
    "secp256k1": SECP256K1(),
}
_NAMES = {curve.name: name for name, curve in CURVES.items()}


def crv(key: EllipticCurvePublicKey | EllipticCurvePrivateKey) -> str:
    """The `crv` of a key; raises InvalidKeyError for a curve that JOSE does not have."""
    try:
        return _NAMES[key.curve.name]
    except KeyError:
        raise InvalidKeyError(f"The curve {key.curve.name} is none of {', '.join(CURVES)}.") from None


def _coordinate(jwk: Mapping[str, Any], name: str, curve: EllipticCurve) -> int:
    value, length = octets(jwk, name), (curve.key_size + 7) // 8
    if len(value) != length:
        raise InvalidKeyError(f"The key's {name!r} is not of its curve's {length} octets (RFC 7518 section 6.2).")
    return int.from_bytes(value, "big")


def _load_public(jwk: Mapping[str, Any]) -> EllipticCurvePublicKey:
    curve = CURVES[curve_name(jwk, CURVES)]
    numbers = EllipticCurvePublicNumbers(_coordinate(jwk, "x", curve), _coordinate(jwk, "y", curve), curve)
    try:
        return numbers.public_key()
    except ValueError:
        raise InvalidKeyError("The key's point is not on its curve.") from None


def _load_private(jwk: Mapping[str, Any]) -> EllipticCurvePrivateKey:
    public = _load_public(jwk)
    try:
        private = derive_private_key(_coordinate(jwk, "d", public.curve), public.curve)
    except ValueError:
        raise InvalidKeyError("The key's 'd' is not between 1 and the order of its curve.") from None
    if private.public_key() != public:
        raise InvalidKeyError("The key's 'd' does not belong to its 'x' and 'y'.")
    return private


def _dump_public(key: EllipticCurvePublicKey) -> dict[str, Any]:
    numbers, length = key.public_numbers(), (key.curve.key_size + 7) // 8
    return {
        "kty": "EC",
        "crv": crv(key),
        "x": text(numbers.x.to_bytes(length, "big")),
        "y": text(numbers.y.to_bytes(length, "big")),
    }


def _dump_private(key: EllipticCurvePrivateKey) -> dict[str, Any]:
    d = key.private_numbers().private_value.to_bytes((key.curve.key_size + 7) // 8, "big")
    return _dump_public(key.public_key()) | {"d": text(d)}


def _public_of(key: EllipticCurvePrivateKey) -> EllipticCurvePublicKey:
    return key.public_key()


EC = KeyType(
    kty="EC",
    secret=("d",),
    load_public=_load_public,
    load_private=_load_private,
    dump_public=_dump_public,
    dump_private=_dump_private,
    public_of=_public_of,
)
