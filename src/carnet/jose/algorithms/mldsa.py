"""RFC 9964, FIPS 204: ML-DSA, signatures that withstand quantum computers.

They are long: 2,420, 3,309 and 4,627 octets, so that a token is 3.3 to 6.3 kB and more. A browser keeps at most 4 kB in a
cookie, and many servers take at most 8 kB of headers in all: such a token breaks both. Ask for it where the way is known.
"""

from typing import Final

from carnet.jose.algorithms.raw_signature import raw_verifier
from carnet.jose.algorithms.signature import Sign, SignatureAlgorithm, Verify, expect
from carnet.jose.key_types import KeyType
from carnet.jose.key_types.algorithm_pair import AKP, PARAMETER_SETS, MldsaPrivateKey, MldsaPublicKey


class Mldsa(SignatureAlgorithm):
    """Keys of one parameter set; the context string is empty (RFC 9964 section 4)."""

    __slots__ = ("signature_length",)

    def __init__(self, name: str, signature_length: int) -> None:
        super().__init__(name)
        self.signature_length: Final = signature_length

    @property
    def key_type(self) -> KeyType:
        return AKP

    def generate(self) -> MldsaPrivateKey:
        return PARAMETER_SETS[self.name].private.generate()

    def check_private(self, material: object) -> None:
        expect(material, PARAMETER_SETS[self.name].private, self.name, f"a private key of {self.name}")

    def check_public(self, material: object) -> None:
        expect(material, PARAMETER_SETS[self.name].public, self.name, f"a public key of {self.name}")

    def signer(self, material: MldsaPrivateKey) -> Sign:
        return material.sign

    def verifier(self, material: MldsaPublicKey) -> Verify:
        return raw_verifier(material, self.signature_length)


ALGORITHMS = (Mldsa("ML-DSA-44", 2420), Mldsa("ML-DSA-65", 3309), Mldsa("ML-DSA-87", 4627))
