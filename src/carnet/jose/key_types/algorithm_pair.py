"""RFC 9964 section 3: key pairs of algorithms that need no further parameters (`AKP`), here ML-DSA of FIPS 204."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
    MLDSA44PublicKey,
    MLDSA65PrivateKey,
    MLDSA65PublicKey,
    MLDSA87PrivateKey,
    MLDSA87PublicKey,
)

from carnet.jose.base64url import text
from carnet.jose.errors import InvalidKeyError, shown
from carnet.jose.key_types.key_type import KeyType, octets

MldsaPrivateKey: TypeAlias = MLDSA44PrivateKey | MLDSA65PrivateKey | MLDSA87PrivateKey
MldsaPublicKey: TypeAlias = MLDSA44PublicKey | MLDSA65PublicKey | MLDSA87PublicKey


class ParameterSet(NamedTuple):
    """The two classes of keys of one parameter set."""

    private: type[MldsaPrivateKey]
    public: type[MldsaPublicKey]


PARAMETER_SETS: dict[str, ParameterSet] = {
    "ML-DSA-44": ParameterSet(MLDSA44PrivateKey, MLDSA44PublicKey),
    "ML-DSA-65": ParameterSet(MLDSA65PrivateKey, MLDSA65PublicKey),
    "ML-DSA-87": ParameterSet(MLDSA87PrivateKey, MLDSA87PublicKey),
}


def parameter_set(key: MldsaPublicKey) -> str:
    """The `alg` of a public key."""
    return next(name for name, classes in PARAMETER_SETS.items() if isinstance(key, classes.public))


def _classes(jwk: Mapping[str, Any]) -> ParameterSet:
    """RFC 9964 section 3: `alg` is required, and says what the octets mean."""
    name = jwk.get("alg")
    if not isinstance(name, str) or name not in PARAMETER_SETS:
        raise InvalidKeyError(f"The key's 'alg' {shown(name)} is none of {', '.join(PARAMETER_SETS)}.")
    return PARAMETER_SETS[name]


def _load_public(jwk: Mapping[str, Any]) -> MldsaPublicKey:
    try:
        return _classes(jwk).public.from_public_bytes(octets(jwk, "pub"))
    except ValueError:
        raise InvalidKeyError("The key's 'pub' is not of the length that its 'alg' has.") from None


def _load_private(jwk: Mapping[str, Any]) -> MldsaPrivateKey:
    public = _load_public(jwk)
    try:
        private = _classes(jwk).private.from_seed_bytes(octets(jwk, "priv"))
    except ValueError:
        raise InvalidKeyError("The key's 'priv' is not a seed of 32 octets (RFC 9964 section 3).") from None
    if private.public_key() != public:
        raise InvalidKeyError("The key's 'priv' does not belong to its 'pub'.")
    return private


def _dump_public(key: MldsaPublicKey) -> dict[str, Any]:
    return {"kty": "AKP", "alg": parameter_set(key), "pub": text(key.public_bytes_raw())}


def _dump_private(key: MldsaPrivateKey) -> dict[str, Any]:
    return _dump_public(key.public_key()) | {"priv": text(key.private_bytes_raw())}


def _public_of(key: MldsaPrivateKey) -> MldsaPublicKey:
    return key.public_key()


AKP = KeyType(
    kty="AKP",
    secret=("priv",),
    load_public=_load_public,
    load_private=_load_private,
    dump_public=_dump_public,
    dump_private=_dump_private,
    public_of=_public_of,
)
