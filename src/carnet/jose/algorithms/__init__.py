"""RFC 7518, RFC 8037, RFC 8812, RFC 9864, RFC 9964: the algorithms; a new family is one file and one line in a table here.

All of them are off unless a caller names them: no function of Carnet has a default list of algorithms. A family is loaded when
one of its algorithms is first named, so that a service which verifies ES256 does without RSA.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from carnet.jose.errors import UnsupportedError, shown

if TYPE_CHECKING:
    from carnet.jose.algorithms.signature import SignatureAlgorithm

_FILES = {
    **dict.fromkeys(("HS256", "HS384", "HS512"), "hmac"),
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "rsa"),
    **dict.fromkeys(("ES256", "ES384", "ES512", "ES256K", "ESP256", "ESP384", "ESP512"), "ecdsa"),
    **dict.fromkeys(("Ed25519", "Ed448", "EdDSA"), "eddsa"),
    **dict.fromkeys(("ML-DSA-44", "ML-DSA-65", "ML-DSA-87"), "mldsa"),
}
SIGNATURES = tuple(_FILES)
"""The names of all algorithms of signatures."""


def signature_algorithm(name: str) -> "SignatureAlgorithm":
    """The algorithm of that exact name; raises UnsupportedError."""
    try:
        file = _FILES[name]
    except (KeyError, TypeError):
        raise UnsupportedError(f"{shown(name)} is not the name of a signature algorithm that Carnet has.") from None
    return _family(file)[name]


@cache
def _family(file: str) -> "dict[str, SignatureAlgorithm]":
    algorithms: tuple[SignatureAlgorithm, ...] = import_module(f"carnet.jose.algorithms.{file}").ALGORITHMS
    return {algorithm.name: algorithm for algorithm in algorithms}
