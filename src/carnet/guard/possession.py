"""RFC 7800, RFC 8705 section 3, RFC 9449 section 7: what an access token is bound to must come with each request."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from carnet.ambient import Instant
from carnet.guard.bearer import Presented
from carnet.guard.dpop import ProofMemory, proof_of, spend_proof
from carnet.guard.principal import Principal
from carnet.guard.refusal import RefusedRequestError, invalid_token
from carnet.oauth.confirmation import CERTIFICATE, KEY, confirmed
from carnet.oauth.mtls import CertificateHeaderError, thumbprint


def _no_certificate() -> bytes | None:
    return None


@dataclass(frozen=True, slots=True)
class Possession:
    """What a request proves: by a DPoP proof for its method and URL, and by the TLS handshake that it came over."""

    method: str
    url: str
    """As the caller sees it, without regard to query and fragment."""
    proofs: Sequence[bytes] = field(repr=False)
    """The values of all its DPoP headers."""
    certificate: Callable[[], bytes | None] = field(default=_no_certificate, repr=False)
    """The caller's certificate, in DER or PEM: asked for only where a token is bound to one. Raises CertificateHeaderError."""


def check_possession(
    possession: Possession | None, presented: Presented, principal: Principal, memory: ProofMemory, *, at: Instant
) -> None:
    """Refuse a token of which the request does not prove all that it is bound to.

    Raises:
        RefusedRequestError: it does not; or the token comes with a proof, and is bound to no key.
    """
    confirmation: Any = principal.claims.get("cnf")
    if confirmation is None and not presented.bound:
        return
    if possession is None:
        raise _refused("unprovable", "The token is bound, and this guard does not learn what that is held against.")
    by_certificate = isinstance(confirmation, Mapping) and CERTIFICATE in confirmation
    proved = {CERTIFICATE: _shown(possession)} if by_certificate else {}
    if by_certificate and proved[CERTIFICATE] != confirmation[CERTIFICATE]:
        raise _refused("other_certificate", f"The request came with another certificate: {proved[CERTIFICATE]}.")
    if not presented.bound:
        if not confirmed(confirmation, proved):
            raise _refused("bound_token", "The token is bound to a key, and came as a bearer token.")
        return
    proof = proof_of(possession.proofs, presented.token, method=possession.method, url=possession.url, at=at)
    if not confirmed(confirmation, {KEY: proof.thumbprint, **proved}) or KEY not in confirmation:
        raise _refused("other_key", "The token is not bound to the key of the proof, and to what else is proved alone.")
    spend_proof(proof, memory, at=at)


def _shown(possession: Possession) -> str:
    """RFC 8705 section 3: the thumbprint of the certificate that the request came with."""
    try:
        certificate = possession.certificate()
        if certificate is not None:
            return thumbprint(certificate)
    except CertificateHeaderError as error:
        raise _refused("certificate_unreadable", str(error)) from None
    raise _refused("certificate_missing", "The token is bound to a certificate, and none came with the request.")


def _refused(code: str, why: str) -> RefusedRequestError:
    return RefusedRequestError(invalid_token(code, why))
