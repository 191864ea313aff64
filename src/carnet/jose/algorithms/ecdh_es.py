"""RFC 7518 section 4.6, RFC 8037 section 3.2: elliptic-curve Diffie-Hellman with a one-time key of the sender.

Rule J10: the sender's point must lie on the very curve of the recipient's key, and X25519 and X448 must not come out all zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from carnet.jose.algorithms.aes_key_wrap import unwrap
from carnet.jose.algorithms.content_encryption import ContentEncryption
from carnet.jose.algorithms.key_management import Agreed, Entropy, KeyAgreement, KeyManagement, KeyWrapping, Wrapped
from carnet.jose.base64url import decode_text
from carnet.jose.errors import InvalidKeyError, JoseError, MalformedError, shown
from carnet.jose.key_types import KeyType
from carnet.jose.key_types.elliptic_curve import CURVES, EC, crv
from carnet.jose.key_types.octet_pair import OKP

PrivatePoint: TypeAlias = EllipticCurvePrivateKey | X25519PrivateKey | X448PrivateKey
PublicPoint: TypeAlias = EllipticCurvePublicKey | X25519PublicKey | X448PublicKey

_WEIERSTRASS = ("P-256", "P-384", "P-521")
_MONTGOMERY: dict[str, type[X25519PrivateKey | X448PrivateKey]] = {"X25519": X25519PrivateKey, "X448": X448PrivateKey}
_CURVE_NAMES = ", ".join((*_WEIERSTRASS, *_MONTGOMERY))


@dataclass(frozen=True, slots=True)
class _OnCurves(KeyManagement):
    """Keys on any of the curves."""

    @property
    def key_types(self) -> tuple[KeyType, ...]:
        return (EC, OKP)

    def key_type_of(self, material: Any) -> KeyType:
        return EC if isinstance(material, EllipticCurvePrivateKey | EllipticCurvePublicKey) else OKP

    @property
    def sends_with(self) -> tuple[str, ...]:
        return ("deriveKey", "deriveBits")

    @property
    def receives_with(self) -> tuple[str, ...]:
        return ("deriveKey", "deriveBits")

    def generate(self, choice: str | None, entropy: Entropy) -> PrivatePoint:
        curve = choice or "P-256"
        if curve in _MONTGOMERY:
            return _MONTGOMERY[curve].generate()
        if curve not in _WEIERSTRASS:
            raise InvalidKeyError(f"{self.name} has no curve {shown(curve)}; it has {_CURVE_NAMES}.")
        return generate_private_key(CURVES[curve])

    def check_private(self, material: object) -> None:
        if not isinstance(material, EllipticCurvePrivateKey | X25519PrivateKey | X448PrivateKey):
            raise InvalidKeyError(f"{self.name} needs a private key on {_CURVE_NAMES}.")
        self._check_curve(material)

    def check_public(self, material: object) -> None:
        if not isinstance(material, EllipticCurvePublicKey | X25519PublicKey | X448PublicKey):
            raise InvalidKeyError(f"{self.name} needs a public key on {_CURVE_NAMES}.")
        self._check_curve(material)

    def _check_curve(self, key: PrivatePoint | PublicPoint) -> None:
        if isinstance(key, EllipticCurvePrivateKey | EllipticCurvePublicKey) and crv(key) not in _WEIERSTRASS:
            raise InvalidKeyError(f"{self.name} works on {_CURVE_NAMES}; this key is on {crv(key)}.")


class EcdhEs(_OnCurves, KeyAgreement):
    """Section 4.6: the derived key encrypts the content."""

    __slots__ = ()

    def agree(self, material: PublicPoint, header: Mapping[str, Any], content: ContentEncryption) -> Agreed:
        ephemeral = _ephemeral(material)
        cek = _derive(_exchange(ephemeral, material), content.name, content.key_length, header)
        return Agreed(cek, _dump(ephemeral))

    def content_key(
        self, material: PrivatePoint, encrypted_key: bytes, header: Mapping[str, Any], content: ContentEncryption
    ) -> bytes | None:
        if encrypted_key:  # RFC 7516 section 5.2 step 10
            return None
        return _received(material, header, content.name, content.key_length)


@dataclass(frozen=True, slots=True)
class EcdhEsKeyWrap(_OnCurves, KeyWrapping):
    """Section 4.6: the derived key wraps the content key."""

    key_length: int

    def wrap(self, material: PublicPoint, cek: bytes, header: Mapping[str, Any], entropy: Entropy) -> Wrapped:
        ephemeral = _ephemeral(material)
        key = _derive(_exchange(ephemeral, material), self.name, self.key_length, header)
        return Wrapped(aes_key_wrap(key, cek), _dump(ephemeral))

    def content_key(
        self, material: PrivatePoint, encrypted_key: bytes, header: Mapping[str, Any], content: ContentEncryption
    ) -> bytes | None:
        key = _received(material, header, self.name, self.key_length)
        return None if key is None else unwrap(key, encrypted_key)


def _received(material: PrivatePoint, header: Mapping[str, Any], algorithm: str, length: int) -> bytes | None:
    """The recipient's side; None for whatever is wrong with the sender's parameters."""
    secret = shared_secret(material, header.get("epk"))
    try:
        return None if secret is None else _derive(secret, algorithm, length, header)
    except MalformedError:
        return None


def shared_secret(material: PrivatePoint, epk: object) -> bytes | None:
    """Section 4.6.2: Z, as the recipient computes it from the sender's one-time key; None for whatever is wrong with that."""
    family = EC if isinstance(material, EllipticCurvePrivateKey) else OKP
    if not isinstance(epk, Mapping) or epk.get("kty") != family.kty or "d" in epk:
        return None
    try:
        return _exchange(material, family.load_public(epk))
    except (JoseError, ValueError):
        return None


def _exchange(private: PrivatePoint, public: PublicPoint) -> bytes:
    """The shared secret Z. Raises MalformedError or ValueError for a point of another curve, and if all of it is zero."""
    match private:
        case EllipticCurvePrivateKey() if isinstance(public, EllipticCurvePublicKey):
            return private.exchange(ECDH(), public)  # which refuses a point of another curve
        case X25519PrivateKey() if isinstance(public, X25519PublicKey):
            return private.exchange(public)  # which refuses what comes out all zero (RFC 7748 section 6)
        case X448PrivateKey() if isinstance(public, X448PublicKey):
            return private.exchange(public)
        case _:
            raise MalformedError("The points are not on one curve.")


def _derive(secret: bytes, algorithm: str, length: int, header: Mapping[str, Any]) -> bytes:
    """Section 4.6.2, NIST SP 800-56A section 5.8.1: the Concat KDF.

    Raises:
        MalformedError: `apu` or `apv` is not base64url.
    """
    parties = (_party(header, "apu"), _party(header, "apv"))
    information = b"".join(len(part).to_bytes(4, "big") + part for part in (algorithm.encode(), *parties))
    information += (length * 8).to_bytes(4, "big")
    return ConcatKDFHash(algorithm=SHA256(), length=length, otherinfo=information).derive(secret)


def _party(header: Mapping[str, Any], name: str) -> bytes:
    value = header.get(name, "")
    if not isinstance(value, str):
        raise MalformedError(f"{name!r} is not a string.")
    return decode_text(value)


def _ephemeral(public: PublicPoint) -> PrivatePoint:
    """A one-time key on the recipient's curve."""
    match public:
        case X25519PublicKey():
            return X25519PrivateKey.generate()
        case X448PublicKey():
            return X448PrivateKey.generate()
        case _:
            return generate_private_key(public.curve)


def _dump(ephemeral: PrivatePoint) -> dict[str, Any]:
    family = EC if isinstance(ephemeral, EllipticCurvePrivateKey) else OKP
    return {"epk": family.dump_public(ephemeral.public_key())}


ALGORITHMS = (
    EcdhEs("ECDH-ES"),
    EcdhEsKeyWrap("ECDH-ES+A128KW", 16),
    EcdhEsKeyWrap("ECDH-ES+A192KW", 24),
    EcdhEsKeyWrap("ECDH-ES+A256KW", 32),
)
