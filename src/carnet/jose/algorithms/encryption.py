"""RFC 7518 sections 4 and 5: the algorithms of JWE; a new family is one file and one line in a tuple here.

A receiver names those that it accepts: its key is for one `alg`, and it lists each `enc`.
"""

from carnet.jose.algorithms import aes_gcm_key_wrap, aes_key_wrap, content_encryption, direct, ecdh_es, pbes2, rsa_oaep
from carnet.jose.algorithms.content_encryption import ContentEncryption
from carnet.jose.algorithms.key_management import KeyManagementAlgorithm
from carnet.jose.errors import UnsupportedError, shown

KEY_MANAGEMENT: tuple[KeyManagementAlgorithm, ...] = (
    *direct.ALGORITHMS,
    *aes_key_wrap.ALGORITHMS,
    *aes_gcm_key_wrap.ALGORITHMS,
    *rsa_oaep.ALGORITHMS,
    *ecdh_es.ALGORITHMS,
)
PASSWORD_BASED: tuple[KeyManagementAlgorithm, ...] = pbes2.ALGORITHMS
"""Only for keys that are explicitly made of a password (rule J9)."""
CONTENT_ENCRYPTIONS: tuple[ContentEncryption, ...] = content_encryption.ALGORITHMS

_KEY_MANAGEMENT = {algorithm.name: algorithm for algorithm in KEY_MANAGEMENT}
_PASSWORD_BASED = {algorithm.name: algorithm for algorithm in PASSWORD_BASED}
_CONTENT_ENCRYPTIONS = {algorithm.name: algorithm for algorithm in CONTENT_ENCRYPTIONS}


def key_management_algorithm(name: str) -> KeyManagementAlgorithm:
    """The algorithm of that exact name; raises UnsupportedError."""
    if name in _PASSWORD_BASED:
        raise UnsupportedError(f"{name} is for passwords alone: make the key with from_password.")
    try:
        return _KEY_MANAGEMENT[name]
    except (KeyError, TypeError):
        raise UnsupportedError(
            f"{shown(name)} is not the name of a key management algorithm that Carnet has."
        ) from None


def password_based_algorithm(name: str) -> KeyManagementAlgorithm:
    """The algorithm of that exact name; raises UnsupportedError."""
    try:
        return _PASSWORD_BASED[name]
    except (KeyError, TypeError):
        raise UnsupportedError(f"{shown(name)} is none of {', '.join(_PASSWORD_BASED)}.") from None


def content_encryption_algorithm(name: str) -> ContentEncryption:
    """The algorithm of that exact name; raises UnsupportedError."""
    try:
        return _CONTENT_ENCRYPTIONS[name]
    except (KeyError, TypeError):
        raise UnsupportedError(f"{shown(name)} is not the name of a content encryption that Carnet has.") from None
