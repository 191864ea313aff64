"""RFC 7518 section 3.4, RFC 8812 section 3.2, RFC 9864 section 2.1: ECDSA.

`ES256` and `ESP256` are the same computation under two names. A key is bound to one of them and refuses the other's tokens.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from carnet.jose.algorithms.signature import Sign, SignatureAlgorithm, Verify, expect
from carnet.jose.errors import InvalidKeyError
from carnet.jose.key_types import KeyType
from carnet.jose.key_types.elliptic_curve import CURVES, EC, crv

_INTEGER, _SEQUENCE, _ONE_LENGTH_OCTET = 0x02, 0x30, 0x81


class Ecdsa(SignatureAlgorithm):
    """Keys on one curve, a signature of the two numbers r and s at their full lengths (RFC 7518 section 3.4)."""

    __slots__ = ("crv", "digest")

    def __init__(self, name: str, digest: HashAlgorithm, crv: str) -> None:
        super().__init__(name)
        self.digest: Final = digest
        self.crv: Final = crv

    @property
    def key_type(self) -> KeyType:
        return EC

    def generate(self) -> EllipticCurvePrivateKey:
        return generate_private_key(CURVES[self.crv])

    def check_private(self, material: object) -> None:
        self._check_curve(crv(expect(material, EllipticCurvePrivateKey, self.name, f"a private key on {self.crv}")))

    def check_public(self, material: object) -> None:
        self._check_curve(crv(expect(material, EllipticCurvePublicKey, self.name, f"a public key on {self.crv}")))

    def _check_curve(self, found: str) -> None:
        if found != self.crv:
            raise InvalidKeyError(f"{self.name} needs a key on {self.crv}; this one is on {found}.")

    def signer(self, material: EllipticCurvePrivateKey) -> Sign:
        # RFC 8725 section 3.2: a nonce out of the key and the message cannot repeat for want of randomness.
        sign_with, scheme = material.sign, ECDSA(self.digest, deterministic_signing=True)
        length = (material.curve.key_size + 7) // 8

        def sign(data: bytes) -> bytes:
            return _fixed(sign_with(data, scheme), length)

        return sign

    def verifier(self, material: EllipticCurvePublicKey) -> Verify:
        verify_with, scheme = material.verify, ECDSA(self.digest)
        length = (material.curve.key_size + 7) // 8
        zero = bytes(length)
        order = material.curve.group_order.to_bytes(length, "big")

        def verify(data: bytes, signature: bytes) -> bool:
            if len(signature) != 2 * length:
                return False
            r, s = signature[:length], signature[length:]
            # Octets of equal length compare as the numbers that they are: 0 < r, s < n (FIPS 186-5 section 6.4.2).
            if not (zero < r < order and zero < s < order):
                return False
            try:
                verify_with(_der(r, s), data, scheme)
            except InvalidSignature:
                return False
            return True

        return verify


def _der(r: bytes, s: bytes) -> bytes:
    """ITU-T X.690: the SEQUENCE of two INTEGERs that the library takes."""
    r, s = r.lstrip(b"\0"), s.lstrip(b"\0")
    if r[0] & 0x80:
        r = b"\0" + r
    if s[0] & 0x80:
        s = b"\0" + s
    body = b"%c%c%b%c%c%b" % (_INTEGER, len(r), r, _INTEGER, len(s), s)
    if len(body) < 0x80:
        return b"%c%c%b" % (_SEQUENCE, len(body), body)
    return b"%c%c%c%b" % (_SEQUENCE, _ONE_LENGTH_OCTET, len(body), body)


def _fixed(der: bytes, length: int) -> bytes:
    """The two numbers of the library's own SEQUENCE, each in `length` octets."""
    start = 3 if der[1] == _ONE_LENGTH_OCTET else 2
    middle = start + 2 + der[start + 1]
    r, s = der[start + 2 : middle].lstrip(b"\0"), der[middle + 2 :].lstrip(b"\0")
    return r.rjust(length, b"\0") + s.rjust(length, b"\0")


ALGORITHMS = (
    Ecdsa("ES256", SHA256(), "P-256"),
    Ecdsa("ES384", SHA384(), "P-384"),
    Ecdsa("ES512", SHA512(), "P-521"),
    Ecdsa("ES256K", SHA256(), "secp256k1"),
    Ecdsa("ESP256", SHA256(), "P-256"),
    Ecdsa("ESP384", SHA384(), "P-384"),
    Ecdsa("ESP512", SHA512(), "P-521"),
)
