"""RFC 7800, RFC 9449 sections 5 and 10: the key that tokens are bound to, and the one that they must be asked for with."""

from carnet.issuer import fapi
from carnet.issuer.approval import Authorization, Confirmation
from carnet.issuer.desk import Desk
from carnet.issuer.dpop import spend
from carnet.issuer.storage.records import Client
from carnet.oauth.dpop import Dpop
from carnet.oauth.errors import InvalidDpopProofError, InvalidGrantError


async def bind(proof: Dpop | None, authorization: Authorization, client: Client, desk: Desk) -> Confirmation | None:
    """What the tokens of a request are bound to; None: to nothing, they are bearer tokens.

    Raises:
        InvalidDpopProofError: the client is registered to prove possession and does not, or the proof was used before.
        InvalidGrantError: what is redeemed is bound to another key.
    """
    proved: Confirmation = {} if proof is None else {"jkt": proof.thumbprint}
    if proof is None and client.dpop_bound_access_tokens:
        raise InvalidDpopProofError("The client is registered for tokens that are bound to a key: a proof is missing.")
    if proof is not None and client.profile is not None and proof.alg not in fapi.ALGORITHMS:
        raise InvalidDpopProofError(f"The client's profile allows proofs with {', '.join(fapi.ALGORITHMS)}.")
    person = authorization.person
    wanted = person.approval.confirmation if person is not None else None
    if wanted is not None and not wanted.items() <= proved.items():
        raise InvalidGrantError("What is redeemed is bound to another key.", why=f"of {client.client_id}")
    if proof is not None:
        await spend(proof, desk)
    return proved or None
