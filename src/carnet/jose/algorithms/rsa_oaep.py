"""RFC 7518 section 4.3, RFC 8017 section 7.1: RSAES-OAEP. RSA1_5 is not implemented (rule J11, RFC 8725 section 3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from carnet.jose.algorithms.content_encryption import ContentEncryption
from carnet.jose.algorithms.key_management import Entropy, KeyWrapping, Wrapped, no_choice
from carnet.jose.algorithms.signature import expect
from carnet.jose.key_types import KeyType
from carnet.jose.key_types.rsa import RSA, check


@dataclass(frozen=True, slots=True)
class RsaOaep(KeyWrapping):
    """Keys of 2048 to 8192 bits; the hash is also that of the mask generation."""

    digest: HashAlgorithm

    @property
    def key_types(self) -> tuple[KeyType, ...]:
        return (RSA,)

    def generate(self, choice: str | None, entropy: Entropy) -> RSAPrivateKey:
        no_choice(choice, self.name)
        return generate_private_key(public_exponent=65537, key_size=2048)

    def check_private(self, material: object) -> None:
        check(expect(material, RSAPrivateKey, self.name, "an RSA private key").public_key())

    def check_public(self, material: object) -> None:
        check(expect(material, RSAPublicKey, self.name, "an RSA public key"))

    def wrap(self, material: RSAPublicKey, cek: bytes, header: Mapping[str, Any], entropy: Entropy) -> Wrapped:
        return Wrapped(material.encrypt(cek, self._padding), {})

    def content_key(
        self, material: RSAPrivateKey, encrypted_key: bytes, header: Mapping[str, Any], content: ContentEncryption
    ) -> bytes | None:
        try:
            return material.decrypt(encrypted_key, self._padding)
        except ValueError:
            return None

    @property
    def _padding(self) -> OAEP:
        return OAEP(mgf=MGF1(self.digest), algorithm=self.digest, label=None)


# SHA-1 is what the name RSA-OAEP means (RFC 7518 section 4.3); OAEP does not need it to resist collisions.
ALGORITHMS = (RsaOaep("RSA-OAEP", SHA1()), RsaOaep("RSA-OAEP-256", SHA256()))  # noqa: S303
