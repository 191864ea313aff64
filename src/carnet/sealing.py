"""NIST SP 800-38D, RFC 5869: authenticated encryption of what Carnet keeps or hands out for itself."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from carnet.ambient import Ambient

_VERSION = b"\x01"
_NONCE_LENGTH = 12
_TAG_LENGTH = 16


class SealBrokenError(Exception):
    """What was opened was not sealed with this key for this purpose and context, or was altered."""


def derive(secret: bytes, purpose: str, *, length: int = 32) -> bytes:
    """Derive a key of `length` bytes that serves one purpose alone from a secret of at least 32 bytes (RFC 5869)."""
    if len(secret) < 32:
        raise ValueError("A secret to derive keys from needs at least 32 bytes.")
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=f"carnet/{purpose}".encode()).derive(secret)


class Sealer:
    """Seals bytes with AES-256-GCM under a key derived for one purpose."""

    __slots__ = ("_aead", "_ambient")

    def __init__(self, secret: bytes, purpose: str, *, ambient: Ambient) -> None:
        """`secret` is the deployment's secret key (at least 32 bytes); `purpose` names what is sealed."""
        self._aead = AESGCM(derive(secret, f"seal/{purpose}"))
        self._ambient = ambient

    def seal(self, plaintext: bytes, *, context: bytes = b"") -> bytes:
        """Seal `plaintext`; `context` is not stored and must be the same when it is opened."""
        nonce = self._ambient.entropy(_NONCE_LENGTH)
        return _VERSION + nonce + self._aead.encrypt(nonce, plaintext, _VERSION + context)

    def open(self, sealed: bytes, *, context: bytes = b"") -> bytes:
        """Open what `seal` made.

        Raises:
            SealBrokenError: whatever is wrong with it; there is no finer answer.
        """
        if len(sealed) < 1 + _NONCE_LENGTH + _TAG_LENGTH or sealed[:1] != _VERSION:
            raise SealBrokenError("The seal is broken.")
        nonce, ciphertext = sealed[1 : 1 + _NONCE_LENGTH], sealed[1 + _NONCE_LENGTH :]
        try:
            return self._aead.decrypt(nonce, ciphertext, _VERSION + context)
        except InvalidTag:
            raise SealBrokenError("The seal is broken.") from None
