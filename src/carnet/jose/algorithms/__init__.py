"""RFC 7518, RFC 8037, RFC 8812, RFC 9864, RFC 9964: the algorithms; a new family is one file and one line in a tuple here.

All of them are off unless a caller names them: no function of Carnet has a default list of algorithms.
"""

from carnet.jose.algorithms import ecdsa, eddsa, hmac, mldsa, rsa
from carnet.jose.algorithms.signature import SignatureAlgorithm
from carnet.jose.errors import UnsupportedError, shown

SIGNATURES: tuple[SignatureAlgorithm, ...] = (
    *hmac.ALGORITHMS,
    *rsa.ALGORITHMS,
    *ecdsa.ALGORITHMS,
    *eddsa.ALGORITHMS,
    *mldsa.ALGORITHMS,
)

_BY_NAME = {algorithm.name: algorithm for algorithm in SIGNATURES}


def signature_algorithm(name: str) -> SignatureAlgorithm:
    """The algorithm of that exact name; raises UnsupportedError."""
    try:
        return _BY_NAME[name]
    except (KeyError, TypeError):
        raise UnsupportedError(f"{shown(name)} is not the name of a signature algorithm that Carnet has.") from None
