"""RFC 5280, RFC 7517 sections 4.7 to 4.9: a key out of an X.509 certificate that the caller trusts.

Carnet builds no certification path and reads no certificate out of a token's header: whoever passes a certificate here
vouches for it.
"""

from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificate

from carnet.jose import base64url
from carnet.jose.algorithms import signature_algorithm
from carnet.jose.errors import InvalidKeyError
from carnet.jose.keys import VerifyingKey

MAX_CHAIN = 10


def certificate_key(certificate: bytes, *, alg: str, kid: str | None = None) -> VerifyingKey:
    """The key of a trusted certificate, in PEM or DER. Its validity, names and extensions are the caller's business.

    Raises:
        InvalidKeyError: it is not a certificate, or its key is not for `alg`.
        UnsupportedError: there is no such algorithm.
    """
    algorithm = signature_algorithm(alg)
    return VerifyingKey(algorithm, public_key(load_certificate(certificate)), kid=kid)


def certificate_thumbprint(certificate: bytes) -> str:
    """RFC 7515 section 4.1.8, RFC 8705 section 3.1: `x5t#S256`, the base64url of the SHA-256 of the DER encoding."""
    return base64url.text(load_certificate(certificate).fingerprint(SHA256()))


def certificate_members(chain: Sequence[bytes]) -> dict[str, Any]:
    """RFC 7517 sections 4.7 and 4.9: the members `x5c` and `x5t#S256` to add to a JWK; the key's own certificate comes first.

    Raises:
        InvalidKeyError: there is none, or one of them is not a certificate.
    """
    if not chain:
        raise InvalidKeyError("A chain has at least the key's own certificate.")
    encoded = [load_certificate(certificate).public_bytes(Encoding.DER) for certificate in chain]
    return {
        "x5c": [b64encode(der).decode("ascii") for der in encoded],
        "x5t#S256": certificate_thumbprint(encoded[0]),
    }


def check_certificates(jwk: Mapping[str, Any], key: VerifyingKey) -> None:
    """RFC 7517 sections 4.7 and 4.9: where a JWK has `x5c` or `x5t#S256`, its first certificate must be of this very key.

    Raises:
        InvalidKeyError: it is another key's, or malformed.
    """
    chain = jwk.get("x5c")
    if chain is None:
        return
    if not isinstance(chain, list | tuple) or not 0 < len(chain) <= MAX_CHAIN:
        raise InvalidKeyError(f"'x5c' is not an array of 1 to {MAX_CHAIN} certificates (RFC 7517 section 4.7).")
    try:
        encoded = [b64decode(item, validate=True) for item in chain]
    except (Error, TypeError, ValueError):
        raise InvalidKeyError("'x5c' is not an array of base64 strings (RFC 7517 section 4.7).") from None
    certificates = [load_certificate(der) for der in encoded]
    if VerifyingKey(signature_algorithm(key.alg), public_key(certificates[0]), kid=None).to_der() != key.to_der():
        raise InvalidKeyError("The first certificate of 'x5c' is for another key (RFC 7517 section 4.7).")
    if jwk.get("x5t#S256", certificate_thumbprint(encoded[0])) != certificate_thumbprint(encoded[0]):
        raise InvalidKeyError("'x5t#S256' is not the thumbprint of the first certificate (RFC 7517 section 4.9).")


def load_certificate(certificate: bytes) -> Certificate:
    """Out of PEM or DER.

    Raises:
        InvalidKeyError: it is none.
    """
    try:
        if certificate.startswith(b"-----"):
            return load_pem_x509_certificate(certificate)
        return load_der_x509_certificate(certificate)
    except (ValueError, TypeError):
        raise InvalidKeyError("It is not an X.509 certificate in PEM or DER.") from None


def public_key(certificate: Certificate) -> Any:
    """Its key, as the underlying library has it.

    Raises:
        InvalidKeyError: it is of a kind that is not supported.
    """
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidKeyError("The certificate's key is of a kind that is not supported.") from None
