"""RFC 7468, RFC 5280 section 4.1, RFC 5958: the cryptographic library's keys out of PEM and DER, and into them.

That part of the library takes two thirds as long to load as all the others; most programs have JWKs and never need it. So it is
loaded by the first PEM or DER.
"""

from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm

from carnet.jose.errors import InvalidKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization import Encoding, KeySerializationEncryption

# What the library raises for bytes that are not a key, are encrypted, or are of a kind that it does not have.
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)


def public_from_pem(pem: bytes) -> Any:
    """A SubjectPublicKeyInfo in PEM; raises InvalidKeyError."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return load_pem_public_key(pem)
    except _UNREADABLE:
        raise InvalidKeyError("It is not a public key in PEM (BEGIN PUBLIC KEY).") from None


def public_from_der(der: bytes) -> Any:
    """A SubjectPublicKeyInfo in DER; raises InvalidKeyError."""
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return load_der_public_key(der)
    except _UNREADABLE:
        raise InvalidKeyError("It is not a SubjectPublicKeyInfo in DER.") from None


def private_from_pem(pem: bytes, password: bytes | None) -> Any:
    """A private key in PEM (PKCS #8, or the traditional forms); raises InvalidKeyError."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(pem, password)
    except _UNREADABLE:
        raise InvalidKeyError("It is not a private key in PEM, or the password is not its own.") from None


def private_from_der(der: bytes, password: bytes | None) -> Any:
    """A private key in DER (PKCS #8, or the traditional forms); raises InvalidKeyError."""
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    try:
        return load_der_private_key(der, password)
    except _UNREADABLE:
        raise InvalidKeyError("It is not a private key in DER, or the password is not its own.") from None


def public_to_pem(key: Any) -> bytes:
    """Its SubjectPublicKeyInfo in PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return _public(key, Encoding.PEM)


def public_to_der(key: Any) -> bytes:
    """Its SubjectPublicKeyInfo in DER."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return _public(key, Encoding.DER)


def private_to_pem(key: Any, password: bytes | None) -> bytes:
    """PKCS #8 in PEM, encrypted if there is a password."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return _private(key, Encoding.PEM, password)


def private_to_der(key: Any, password: bytes | None) -> bytes:
    """PKCS #8 in DER, encrypted if there is a password."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return _private(key, Encoding.DER, password)


def _public(key: Any, encoding: "Encoding") -> bytes:
    from cryptography.hazmat.primitives.serialization import PublicFormat

    encoded: bytes = key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _private(key: Any, encoding: "Encoding", password: bytes | None) -> bytes:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, PrivateFormat

    encryption: KeySerializationEncryption = BestAvailableEncryption(password) if password else NoEncryption()
    encoded: bytes = key.private_bytes(encoding, PrivateFormat.PKCS8, encryption)
    return encoded
