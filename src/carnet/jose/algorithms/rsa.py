"""RFC 7518 sections 3.3 and 3.5: RSASSA-PKCS1-v1_5 and RSASSA-PSS."""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from carnet.jose.algorithms.signature import Sign, SignatureAlgorithm, Verify, expect
from carnet.jose.key_types import KeyType
from carnet.jose.key_types.rsa import RSA, check


class Rsa(SignatureAlgorithm):
    """Keys of 2048 to 8192 bits."""

    __slots__ = ("digest", "padding")

    def __init__(self, name: str, padding: AsymmetricPadding, digest: HashAlgorithm) -> None:
        super().__init__(name)
        self.padding: Final = padding
        self.digest: Final = digest

    @property
    def key_type(self) -> KeyType:
        return RSA

    def generate(self) -> RSAPrivateKey:
        return generate_private_key(public_exponent=65537, key_size=2048)

    def check_private(self, material: object) -> None:
        check(expect(material, RSAPrivateKey, self.name, "an RSA private key").public_key())

    def check_public(self, material: object) -> None:
        check(expect(material, RSAPublicKey, self.name, "an RSA public key"))

    def signer(self, material: RSAPrivateKey) -> Sign:
        sign_with, padding, digest = material.sign, self.padding, self.digest

        def sign(data: bytes) -> bytes:
            return sign_with(data, padding, digest)

        return sign

    def verifier(self, material: RSAPublicKey) -> Verify:
        verify_with, padding, digest = material.verify, self.padding, self.digest
        length = (material.key_size + 7) // 8

        def verify(data: bytes, signature: bytes) -> bool:
            if len(signature) != length:
                return False
            try:
                verify_with(signature, data, padding, digest)
            except InvalidSignature:
                return False
            return True

        return verify


def _pss(digest: HashAlgorithm) -> PSS:
    """RFC 7518 section 3.5: MGF1 with the same hash, and a salt of the hash's size."""
    return PSS(mgf=MGF1(digest), salt_length=digest.digest_size)


ALGORITHMS = (
    Rsa("RS256", PKCS1v15(), SHA256()),
    Rsa("RS384", PKCS1v15(), SHA384()),
    Rsa("RS512", PKCS1v15(), SHA512()),
    Rsa("PS256", _pss(SHA256()), SHA256()),
    Rsa("PS384", _pss(SHA384()), SHA384()),
    Rsa("PS512", _pss(SHA512()), SHA512()),
)
