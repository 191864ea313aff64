"""RFC 7518 section 3.2: HMAC with SHA-2."""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC

from carnet.ambient import SYSTEM
from carnet.jose.algorithms.signature import Sign, SignatureAlgorithm, Verify, expect
from carnet.jose.errors import InvalidKeyError
from carnet.jose.key_types import OCT, KeyType, Secret


class Hmac(SignatureAlgorithm):
    """One secret both signs and verifies."""

    __slots__ = ("digest",)

    def __init__(self, name: str, digest: HashAlgorithm) -> None:
        super().__init__(name)
        self.digest: Final = digest

    @property
    def key_type(self) -> KeyType:
        return OCT

    def generate(self) -> Secret:
        return Secret(SYSTEM.entropy(self.digest.digest_size))

    def check_private(self, material: object) -> None:
        """RFC 7518 section 3.2: a key of at least the hash's size."""
        secret = expect(material, Secret, self.name, "a secret")
        if len(secret.value) < self.digest.digest_size:
            raise InvalidKeyError(
                f"A secret for {self.name} has at least {self.digest.digest_size} octets (RFC 7518 section 3.2); "
                f"this one has {len(secret.value)}."
            )

    def check_public(self, material: object) -> None:
        self.check_private(material)

    def signer(self, material: Secret) -> Sign:
        # The key's two blocks are hashed once; each signature begins with a copy of that state.
        keyed = HMAC(material.value, self.digest)

        def sign(data: bytes) -> bytes:
            mac = keyed.copy()
            mac.update(data)
            return mac.finalize()

        return sign

    def verifier(self, material: Secret) -> Verify:
        keyed = HMAC(material.value, self.digest)

        def verify(data: bytes, signature: bytes) -> bool:
            mac = keyed.copy()
            mac.update(data)
            try:
                mac.verify(signature)  # in constant time (rule J23)
            except InvalidSignature:
                return False
            return True

        return verify


ALGORITHMS = (Hmac("HS256", SHA256()), Hmac("HS384", SHA384()), Hmac("HS512", SHA512()))
