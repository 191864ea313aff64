"""RFC 7518 section 4.5: the shared secret itself encrypts the content."""

from collections.abc import Mapping
from typing import Any

from carnet.jose.algorithms.content_encryption import ALGORITHMS as CONTENT_ENCRYPTIONS
from carnet.jose.algorithms.content_encryption import ContentEncryption
from carnet.jose.algorithms.key_management import Agreed, Entropy, KeyAgreement
from carnet.jose.errors import InvalidKeyError
from carnet.jose.key_types import OCT, KeyType, Secret

_LENGTHS = sorted({content.key_length for content in CONTENT_ENCRYPTIONS})


class Direct(KeyAgreement):
    """A secret of the content encryption's length. At most 2^32 messages may use one with AES-GCM (section 5.3)."""

    __slots__ = ()

    @property
    def key_types(self) -> tuple[KeyType, ...]:
        return (OCT,)

    @property
    def sends_with(self) -> tuple[str, ...]:
        return ("encrypt",)

    @property
    def receives_with(self) -> tuple[str, ...]:
        return ("decrypt",)

    def generate(self, choice: str | None, entropy: Entropy) -> Secret:
        lengths = {content.name: content.key_length for content in CONTENT_ENCRYPTIONS}
        if choice not in lengths:
            raise InvalidKeyError(f"A key for dir needs the enc that it is for, one of {', '.join(lengths)}.")
        return Secret(entropy(lengths[choice]))

    def check_private(self, material: object) -> None:
        if not isinstance(material, Secret):
            raise InvalidKeyError(f"dir needs a secret; this is a {type(material).__name__}.")
        if len(material.value) not in _LENGTHS:
            raise InvalidKeyError(
                f"A secret for dir has {', '.join(map(str, _LENGTHS))} octets; this one has {len(material.value)}."
            )

    def check_public(self, material: object) -> None:
        self.check_private(material)

    def agree(self, material: Secret, header: Mapping[str, Any], content: ContentEncryption) -> Agreed:
        if len(material.value) != content.key_length:
            raise InvalidKeyError(
                f"{content.name} needs a secret of {content.key_length} octets; this one has {len(material.value)}."
            )
        return Agreed(material.value, {})

    def content_key(
        self, material: Secret, encrypted_key: bytes, header: Mapping[str, Any], content: ContentEncryption
    ) -> bytes | None:
        return None if encrypted_key else material.value  # RFC 7516 section 5.2 step 10


ALGORITHMS = (Direct("dir"),)
