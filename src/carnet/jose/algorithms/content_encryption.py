"""RFC 7518 section 5: what encrypts the content of a JWE."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from hmac import compare_digest
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.padding import PKCS7


class Sealed(NamedTuple):
    """The outcome of authenticated encryption."""

    ciphertext: bytes
    tag: bytes


@dataclass(frozen=True, slots=True)
class ContentEncryption(ABC):
    """One name of the registry. Lengths are in octets."""

    name: str
    """The header's `enc`, compared exactly."""
    key_length: int
    iv_length: int
    tag_length: int

    @abstractmethod
    def encrypt(self, cek: bytes, iv: bytes, plaintext: bytes, aad: bytes) -> Sealed:
        """Encrypt; the key and the vector have the algorithm's lengths."""

    def decrypt(self, cek: bytes, iv: bytes, sealed: Sealed, aad: bytes) -> bytes | None:
        """Decrypt with a key of the algorithm's length; None for whatever is wrong."""
        if len(iv) != self.iv_length or len(sealed.tag) != self.tag_length:
            return None
        return self._decrypt(cek, iv, sealed, aad)

    @abstractmethod
    def _decrypt(self, cek: bytes, iv: bytes, sealed: Sealed, aad: bytes) -> bytes | None:
        """As `decrypt`, with a vector and a tag of the right lengths: a shortened tag would be easy to forge."""


@dataclass(frozen=True, slots=True)
class AesGcm(ContentEncryption):
    """Section 5.3: a vector of 96 bits and a tag of 128."""

    def encrypt(self, cek: bytes, iv: bytes, plaintext: bytes, aad: bytes) -> Sealed:
        sealed = AESGCM(cek).encrypt(iv, plaintext, aad)
        return Sealed(sealed[: -self.tag_length], sealed[-self.tag_length :])

    def _decrypt(self, cek: bytes, iv: bytes, sealed: Sealed, aad: bytes) -> bytes | None:
        try:
            return AESGCM(cek).decrypt(iv, sealed.ciphertext + sealed.tag, aad)
        except InvalidTag:
            return None


@dataclass(frozen=True, slots=True)
class AesCbcHmac(ContentEncryption):
    """Section 5.2: the key's first half authenticates, the second one encrypts; the tag is the MAC's first half."""

    digest: HashAlgorithm

    def encrypt(self, cek: bytes, iv: bytes, plaintext: bytes, aad: bytes) -> Sealed:
        padder = PKCS7(AES.block_size).padder()
        padded = padder.update(plaintext) + padder.finalize()
        encryptor = Cipher(AES(cek[self.key_length // 2 :]), CBC(iv)).encryptor()
        ciphertext = encryptor.update(padded) + encryptor.finalize()
        return Sealed(ciphertext, self._tag(cek, iv, ciphertext, aad))

    def _decrypt(self, cek: bytes, iv: bytes, sealed: Sealed, aad: bytes) -> bytes | None:
        if not compare_digest(self._tag(cek, iv, sealed.ciphertext, aad), sealed.tag):
            return None
        # Nothing is deciphered before the tag is right: so padding tells nobody anything (section 5.2.2.2).
        decryptor = Cipher(AES(cek[self.key_length // 2 :]), CBC(iv)).decryptor()
        unpadder = PKCS7(AES.block_size).unpadder()
        try:
            padded = decryptor.update(sealed.ciphertext) + decryptor.finalize()
            return unpadder.update(padded) + unpadder.finalize()
        except ValueError:
            return None

    def _tag(self, cek: bytes, iv: bytes, ciphertext: bytes, aad: bytes) -> bytes:
        mac = HMAC(cek[: self.key_length // 2], self.digest)
        mac.update(aad + iv + ciphertext + (len(aad) * 8).to_bytes(8, "big"))
        return mac.finalize()[: self.tag_length]


ALGORITHMS: tuple[ContentEncryption, ...] = (
    AesGcm("A128GCM", 16, 12, 16),
    AesGcm("A192GCM", 24, 12, 16),
    AesGcm("A256GCM", 32, 12, 16),
    AesCbcHmac("A128CBC-HS256", 32, 16, 16, SHA256()),
    AesCbcHmac("A192CBC-HS384", 48, 16, 24, SHA384()),
    AesCbcHmac("A256CBC-HS512", 64, 16, 32, SHA512()),
)
