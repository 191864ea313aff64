"""RFC 7518 section 4.7: AES-GCM key encryption with a shared secret."""

from collections.abc import Mapping
from typing import Any

from carnet.jose import base64url
from carnet.jose.algorithms.content_encryption import AesGcm, ContentEncryption, Sealed
from carnet.jose.algorithms.key_management import Entropy, SecretKeyWrapping, Wrapped
from carnet.jose.errors import MalformedError
from carnet.jose.key_types import Secret

_IV_LENGTH = 12
_TAG_LENGTH = 16


class AesGcmKeyWrap(SecretKeyWrapping):
    """The vector and the tag of the wrapped key are header parameters."""

    __slots__ = ()

    def wrap(self, material: Secret, cek: bytes, header: Mapping[str, Any], entropy: Entropy) -> Wrapped:
        iv = entropy(_IV_LENGTH)
        sealed = self._cipher.encrypt(material.value, iv, cek, b"")
        return Wrapped(sealed.ciphertext, {"iv": base64url.text(iv), "tag": base64url.text(sealed.tag)})

    def content_key(
        self, material: Secret, encrypted_key: bytes, header: Mapping[str, Any], content: ContentEncryption
    ) -> bytes | None:
        iv, tag = header.get("iv"), header.get("tag")
        if not isinstance(iv, str) or not isinstance(tag, str):
            return None
        try:
            sealed = Sealed(encrypted_key, base64url.decode_text(tag))
            return self._cipher.decrypt(material.value, base64url.decode_text(iv), sealed, b"")
        except MalformedError:
            return None

    @property
    def _cipher(self) -> AesGcm:
        return AesGcm(self.name, self.key_length, _IV_LENGTH, _TAG_LENGTH)


ALGORITHMS = (AesGcmKeyWrap("A128GCMKW", 16), AesGcmKeyWrap("A192GCMKW", 24), AesGcmKeyWrap("A256GCMKW", 32))
