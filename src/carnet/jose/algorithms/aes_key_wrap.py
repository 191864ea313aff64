"""RFC 7518 section 4.4, RFC 3394: AES key wrap with a shared secret."""

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from carnet.jose.algorithms.content_encryption import ContentEncryption
from carnet.jose.algorithms.key_management import Entropy, SecretKeyWrapping, Wrapped
from carnet.jose.key_types import Secret


def unwrap(key: bytes, encrypted_key: bytes) -> bytes | None:
    """RFC 3394 section 2.2.2; None if it was not wrapped with this key."""
    try:
        return aes_key_unwrap(key, encrypted_key)
    except (InvalidUnwrap, ValueError):
        return None


class AesKeyWrap(SecretKeyWrapping):
    """The default initial value of RFC 3394 section 2.2.3.1 shows whether the key was the right one."""

    __slots__ = ()

    def wrap(self, material: Secret, cek: bytes, header: Mapping[str, Any], entropy: Entropy) -> Wrapped:
        return Wrapped(aes_key_wrap(material.value, cek), {})

    def content_key(
        self, material: Secret, encrypted_key: bytes, header: Mapping[str, Any], content: ContentEncryption
    ) -> bytes | None:
        return unwrap(material.value, encrypted_key)


ALGORITHMS = (AesKeyWrap("A128KW", 16), AesKeyWrap("A192KW", 24), AesKeyWrap("A256KW", 32))
