"""RFC 7468, RFC 5280 section 4.1, RFC 5958: the cryptographic library's keys out of PEM and DER."""

from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from carnet.jose.errors import InvalidKeyError

# What the library raises for bytes that are not a key, are encrypted, or are of a kind that it does not have.
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)


def public_from_pem(pem: bytes) -> Any:
    """A SubjectPublicKeyInfo in PEM; raises InvalidKeyError."""
    try:
        return load_pem_public_key(pem)
    except _UNREADABLE:
        raise InvalidKeyError("It is not a public key in PEM (BEGIN PUBLIC KEY).") from None


def public_from_der(der: bytes) -> Any:
    """A SubjectPublicKeyInfo in DER; raises InvalidKeyError."""
    try:
        return load_der_public_key(der)
    except _UNREADABLE:
        raise InvalidKeyError("It is not a SubjectPublicKeyInfo in DER.") from None


def private_from_pem(pem: bytes, password: bytes | None) -> Any:
    """A private key in PEM (PKCS #8, or the traditional forms); raises InvalidKeyError."""
    try:
        return load_pem_private_key(pem, password)
    except _UNREADABLE:
        raise InvalidKeyError("It is not a private key in PEM, or the password is not its own.") from None


def private_from_der(der: bytes, password: bytes | None) -> Any:
    """A private key in DER (PKCS #8, or the traditional forms); raises InvalidKeyError."""
    try:
        return load_der_private_key(der, password)
    except _UNREADABLE:
        raise InvalidKeyError("It is not a private key in DER, or the password is not its own.") from None
