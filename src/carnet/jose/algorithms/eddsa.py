"""RFC 8037 section 3.1, RFC 9864 section 2.2: EdDSA.

`EdDSA` names two curves, `Ed25519` and `Ed448` one each. A key is bound to one of the names and refuses the others' tokens; for
new tokens RFC 9864 wants the latter. A key for `EdDSA` is one on Ed25519 when it is generated, either when it is loaded.
"""

from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey, Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from carnet.jose.algorithms.raw_signature import raw_verifier
from carnet.jose.algorithms.signature import Sign, SignatureAlgorithm, Verify
from carnet.jose.errors import InvalidKeyError
from carnet.jose.key_types import KeyType
from carnet.jose.key_types.octet_pair import OKP

_PRIVATE: dict[str, type[Ed25519PrivateKey | Ed448PrivateKey]] = {
    "Ed25519": Ed25519PrivateKey,
    "Ed448": Ed448PrivateKey,
}
_PUBLIC: dict[str, type[Ed25519PublicKey | Ed448PublicKey]] = {"Ed25519": Ed25519PublicKey, "Ed448": Ed448PublicKey}


class Eddsa(SignatureAlgorithm):
    """Keys on one of `curves`; the first is the one to generate."""

    __slots__ = ("curves",)

    def __init__(self, name: str, curves: tuple[str, ...]) -> None:
        super().__init__(name)
        self.curves: Final = curves

    @property
    def key_type(self) -> KeyType:
        return OKP

    def generate(self) -> Ed25519PrivateKey | Ed448PrivateKey:
        return _PRIVATE[self.curves[0]].generate()

    def check_private(self, material: object) -> None:
        self._check_kind(material, _PRIVATE, "private")

    def check_public(self, material: object) -> None:
        self._check_kind(material, _PUBLIC, "public")

    def _check_kind(self, material: object, kinds: Mapping[str, type], what: str) -> None:
        if not isinstance(material, tuple(kinds[curve] for curve in self.curves)):
            raise InvalidKeyError(f"{self.name} needs a {what} key on {' or '.join(self.curves)}.")

    def signer(self, material: Ed25519PrivateKey | Ed448PrivateKey) -> Sign:
        return material.sign

    def verifier(self, material: Ed25519PublicKey | Ed448PublicKey) -> Verify:
        return raw_verifier(material, 64 if isinstance(material, Ed25519PublicKey) else 114)


ALGORITHMS = (Eddsa("Ed25519", ("Ed25519",)), Eddsa("Ed448", ("Ed448",)), Eddsa("EdDSA", ("Ed25519", "Ed448")))
