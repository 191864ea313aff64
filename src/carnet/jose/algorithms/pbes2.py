"""RFC 7518 section 4.8, RFC 8018: a key out of a password. Off unless a key is made of a password explicitly (rule J9).

Whoever holds such a JWE can try passwords at leisure, and whoever sends one chooses how much work the recipient has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from carnet.jose import base64url
from carnet.jose.algorithms.aes_key_wrap import unwrap
from carnet.jose.algorithms.content_encryption import ContentEncryption
from carnet.jose.algorithms.key_management import Entropy, KeyWrapping, Wrapped
from carnet.jose.errors import InvalidKeyError, MalformedError
from carnet.jose.key_types import OCT, KeyType, Secret

FEWEST_ITERATIONS: Final = 1_000
"""RFC 7518 section 4.8.1.2."""
MOST_ITERATIONS: Final = 1_200_000
"""RFC 8725bis section 3.13: twice what OWASP asks for."""
ITERATIONS: Final = 600_000
"""What a sender uses: OWASP's figure for PBKDF2 with HMAC-SHA-256."""
_SALT_LENGTH: Final = 16
_SHORTEST_SALT: Final = 8


@dataclass(frozen=True, slots=True)
class Pbes2(KeyWrapping):
    """PBKDF2, then AES key wrap."""

    digest: HashAlgorithm
    key_length: int

    @property
    def key_types(self) -> tuple[KeyType, ...]:
        return (OCT,)

    def generate(self, choice: str | None, entropy: Entropy) -> Secret:
        raise InvalidKeyError("A password is chosen, not generated; for a generated secret use A256KW.")

    def check_private(self, material: object) -> None:
        if not isinstance(material, Secret) or not material.value:
            raise InvalidKeyError(f"{self.name} needs a password that is not empty.")

    def check_public(self, material: object) -> None:
        self.check_private(material)

    def wrap(self, material: Secret, cek: bytes, header: Mapping[str, Any], entropy: Entropy) -> Wrapped:
        salt = entropy(_SALT_LENGTH)
        key = self._derive(material, salt, ITERATIONS)
        return Wrapped(aes_key_wrap(key, cek), {"p2s": base64url.text(salt), "p2c": ITERATIONS})

    def content_key(
        self, material: Secret, encrypted_key: bytes, header: Mapping[str, Any], content: ContentEncryption
    ) -> bytes | None:
        salt, iterations = header.get("p2s"), header.get("p2c")
        if not isinstance(salt, str) or not isinstance(iterations, int):
            return None
        if not FEWEST_ITERATIONS <= iterations <= MOST_ITERATIONS:
            return None
        try:
            octets = base64url.decode_text(salt)
        except MalformedError:
            return None
        if len(octets) < _SHORTEST_SALT:
            return None
        return unwrap(self._derive(material, octets, iterations), encrypted_key)

    def _derive(self, material: Secret, salt: bytes, iterations: int) -> bytes:
        """Section 4.8.1.1: the algorithm's name goes before the salt."""
        salted = self.name.encode() + b"\0" + salt
        return PBKDF2HMAC(self.digest, self.key_length, salted, iterations).derive(material.value)


ALGORITHMS = (
    Pbes2("PBES2-HS256+A128KW", SHA256(), 16),
    Pbes2("PBES2-HS384+A192KW", SHA384(), 24),
    Pbes2("PBES2-HS512+A256KW", SHA512(), 32),
)
