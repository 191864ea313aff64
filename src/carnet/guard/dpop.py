"""RFC 9449 section 7: access tokens that are bound to a key, and the proofs of it that come with each request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Lock

from carnet.ambient import Instant
from carnet.guard.principal import Principal
from carnet.guard.refusal import Refused, RefusedRequestError, invalid_token, unready
from carnet.oauth.dpop import ProofError, check_proof

MOST_PROOFS = 200_000
"""Proofs of the last minutes that are remembered, some 40 MB; more requests than that are refused until some are old enough."""


@dataclass(frozen=True, slots=True)
class Possession:
    """What a proof is held against: the request's method and URL, and the values of all its DPoP headers."""

    method: str
    url: str
    """As the caller sees it, without regard to query and fragment."""
    proofs: Sequence[bytes] = field(repr=False)


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


def refuse_unproved(principal: Principal) -> None:
    """Section 7.2: a token that is bound to a key does not come as a bearer token.

    Raises:
        RefusedRequestError: it is bound, to whatever kind of key.
    """
    if "cnf" in principal.claims:
        raise RefusedRequestError(
            invalid_token("bound_token", "The token is bound to a key, and came as a bearer token.")
        )


def check_possession(
    possession: Possession | None, token: str, principal: Principal, memory: ProofMemory, *, at: Instant
) -> None:
    """Section 7.1: a proof for this request and this token, by the key that the token is bound to, accepted once.

    Raises:
        RefusedRequestError: there is none, or the token is not bound to that key.
    """
    if possession is None:
        raise RefusedRequestError(
            invalid_token("unprovable", "This guard does not learn what a proof is held against.")
        )
    if len(possession.proofs) != 1:
        raise _refused(f"There are {len(possession.proofs)} DPoP headers, wanted one.")
    try:
        proof = check_proof(
            possession.proofs[0].decode("latin-1"),
            method=possession.method,
            url=possession.url,
            at=at,
            access_token=token,
        )
    except ProofError as error:
        raise _refused(str(error)) from None
    confirmation = principal.claims.get("cnf")
    if not isinstance(confirmation, Mapping) or dict(confirmation) != {"jkt": proof.thumbprint}:
        raise RefusedRequestError(
            invalid_token("other_key", "The token is not bound to the key of the proof, and to it alone.")
        )
    accepted = memory.accept(proof.thumbprint, proof.identifier, at=at, until=proof.until)
    if accepted is None:
        raise RefusedRequestError(unready("Too many proofs are remembered.", retry_after=5, code="proofs_full"))
    if not accepted:
        raise _refused("its jti has come before")


def _refused(why: str) -> RefusedRequestError:
    return RefusedRequestError(
        Refused(401, "invalid_proof", "invalid_dpop_proof", "The DPoP proof is not valid for this request.", why)
    )
