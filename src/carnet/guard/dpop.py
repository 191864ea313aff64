"""RFC 9449 section 7: the proofs of a key that come with each request, and the memory of those that came."""

from collections.abc import Sequence
from hashlib import sha256
from threading import Lock

from carnet.ambient import Instant
from carnet.guard.refusal import Refused, RefusedRequestError, unready
from carnet.oauth.dpop import Dpop, ProofError, check_proof

MOST_PROOFS = 200_000
"""Proofs of the last minutes that are remembered, some 40 MB; more requests than that are refused until some are old enough."""


class ProofMemory:
    """Section 11.1: the proofs that this process has accepted, for as long as they would be accepted again.

    Each process remembers its own. Where several share a port, a proof that was stolen together with its token can come
    once to each of them, within its two minutes.
    """

    def __init__(self, most: int = MOST_PROOFS) -> None:
        self._most = most
        self._until: dict[bytes, Instant] = {}
        self._lock = Lock()

    def accept(self, thumbprint: str, identifier: str, *, at: Instant, until: Instant) -> bool | None:
        """Remember a proof; False if it came before, None if there is no room to tell."""
        name = sha256(f"{thumbprint} {identifier}".encode()).digest()[:16]
        with self._lock:
            while self._until and self._until[first := next(iter(self._until))] <= at:
                del self._until[first]
            if name in self._until:
                return False
            if len(self._until) >= self._most:
                return None
            self._until[name] = until
            return True


def proof_of(proofs: Sequence[bytes], token: str, *, method: str, url: str, at: Instant) -> Dpop:
    """Section 7.1: the one proof of a request, for it and for its token; `proofs` are the values of all DPoP headers.

    Raises:
        RefusedRequestError: there is none, or it is for something else.
    """
    if len(proofs) != 1:
        raise _refused(f"There are {len(proofs)} DPoP headers, wanted one.")
    try:
        return check_proof(proofs[0].decode("latin-1"), method=method, url=url, at=at, access_token=token)
    except ProofError as error:
        raise _refused(str(error)) from None


def spend_proof(proof: Dpop, memory: ProofMemory, *, at: Instant) -> None:
    """Accept it this once.

    Raises:
        RefusedRequestError: it came before, or there is no room to tell.
    """
    accepted = memory.accept(proof.thumbprint, proof.identifier, at=at, until=proof.until)
    if accepted is None:
        raise RefusedRequestError(unready("Too many proofs are remembered.", retry_after=5, code="proofs_full"))
    if not accepted:
        raise _refused("its jti has come before")


def _refused(why: str) -> RefusedRequestError:
    return RefusedRequestError(
        Refused(401, "invalid_proof", "invalid_dpop_proof", "The DPoP proof is not valid for this request.", why)
    )
