"""RFC 8032, FIPS 204: keys whose library signs and verifies a message as it is, with no further choice."""

from typing import Protocol

from cryptography.exceptions import InvalidSignature

from carnet.jose.algorithms.signature import Verify


class VerifiesRaw(Protocol):
    """A public key that has one way to verify."""

    def verify(self, signature: bytes, data: bytes) -> None: ...


def raw_verifier(material: VerifiesRaw, length: int) -> Verify:
    """What verifies signatures of `length` octets."""
    verify_with = material.verify

    def verify(data: bytes, signature: bytes) -> bool:
        if len(signature) != length:
            return False
        try:
            verify_with(signature, data)
        except InvalidSignature:
            return False
        return True

    return verify
