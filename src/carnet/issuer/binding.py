"""RFC 7800, RFC 8705 section 3, RFC 9449 sections 5 and 10: what tokens are bound to, and what they must be asked for with."""

from carnet.issuer import fapi
from carnet.issuer.approval import Authorization, Confirmation
from carnet.issuer.desk import Desk
from carnet.issuer.dpop import spend
from carnet.issuer.storage.records import Client
from carnet.jose.client_certificates import ClientCertificate
from carnet.oauth.confirmation import CERTIFICATE, KEY
from carnet.oauth.dpop import Dpop
from carnet.oauth.errors import InvalidDpopProofError, InvalidGrantError, InvalidRequestError


async def bind(
    proof: Dpop | None,
    certificate: ClientCertificate | None,
    authorization: Authorization,
    client: Client,
    desk: Desk,
) -> Confirmation | None:
    """What the tokens of a request are bound to; None: to nothing, they are bearer tokens.

    Raises:
        InvalidDpopProofError: the client is registered to prove possession and does not, or the proof was used before.
        InvalidRequestError: it is registered for tokens that are bound to its certificate, and shows none.
        InvalidGrantError: what is redeemed is bound to another key or certificate.
    """
    if proof is None and client.dpop_bound_access_tokens:
        raise InvalidDpopProofError("The client is registered for tokens that are bound to a key: a proof is missing.")
    if certificate is None and client.tls_client_certificate_bound_access_tokens:
        raise InvalidRequestError(
            "The client is registered for tokens that are bound to its certificate, and has shown none (RFC 8705)."
        )
    if proof is not None and client.profile is not None and proof.alg not in fapi.ALGORITHMS:
        raise InvalidDpopProofError(f"The client's profile allows proofs with {', '.join(fapi.ALGORITHMS)}.")
    shown: Confirmation = {
        **({} if proof is None else {KEY: proof.thumbprint}),
        **({} if certificate is None else {CERTIFICATE: certificate.thumbprint}),
    }
    person = authorization.person
    wanted = (person.approval.confirmation if person is not None else None) or {}
    if not wanted.items() <= shown.items():
        raise InvalidGrantError("What is redeemed is bound to another key.", why=f"of {client.client_id}")
    if proof is not None:
        await spend(proof, desk)
    if client.tls_client_certificate_bound_access_tokens or CERTIFICATE in wanted:
        return shown
    return {KEY: proof.thumbprint} if proof is not None else None
