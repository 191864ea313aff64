"""RFC 9449 sections 5 to 8: proofs of possession at the issuer's endpoints, and the nonces that they answer.

Nonces are made of the time and the deployment's secret key alone: every node knows them, and none is stored.
"""

import hmac
from hashlib import sha256

from starlette.requests import Request

from carnet.issuer import cors
from carnet.issuer.desk import Desk
from carnet.issuer.http_security import asked_origin
from carnet.issuer.replay import seen_before
from carnet.jose import base64url
from carnet.oauth.dpop import HEADER, Dpop, ProofError, check_proof
from carnet.oauth.errors import InvalidDpopProofError, UseDpopNonceError
from carnet.oauth.parameters import Parameters
from carnet.sealing import derive

PERIOD = 300
"""Seconds: a nonce is given out for so long, and accepted for as long again."""


async def requests_proof(request: Request, parameters: Parameters, desk: Desk) -> Dpop | None:
    """The proof of a request to the token endpoint, or to one like it; None if there is none.

    It is read before the client authenticates, so that a client that lacks the nonce has not spent its assertion; and spent
    after that (`spend`), so that strangers write nothing. The client's scripts may read the refusal.

    Raises:
        InvalidDpopProofError, UseDpopNonceError
    """
    if HEADER not in request.headers:
        return None
    client_id = parameters.get("client_id")
    if client_id is not None:
        cors.speaks_for(request, await desk.directory.find(client_id, lenient=True))
    proof = proof_in(request, desk)
    if proof is not None and proof.nonce is None:
        raise UseDpopNonceError("The DPoP proof needs the nonce that this answer gives.", nonce=nonce(desk))
    return proof


def proof_in(request: Request, desk: Desk, *, access_token: str | None = None) -> Dpop | None:
    """The proof of a request, for its access token if it carries one; a nonce must be ours, and fresh.

    Raises:
        InvalidDpopProofError: there are several, or it is none for this request.
        UseDpopNonceError: its nonce is not one of ours, or not any more.
    """
    headers = request.headers.getlist(HEADER)
    if not headers:
        return None
    if len(headers) > 1:
        raise InvalidDpopProofError("The request has more than one DPoP header.")
    url = f"{asked_origin(request, desk.config)}{request.url.path}"
    try:
        proof = check_proof(
            headers[0], method=request.method, url=url, at=desk.ambient.now(), access_token=access_token
        )
    except ProofError as error:
        raise InvalidDpopProofError("The DPoP proof is not valid for this request.", why=str(error)) from None
    if proof.nonce is not None and not _ours(proof.nonce, desk):
        raise UseDpopNonceError("The nonce of the DPoP proof is not one of ours, or too old.", nonce=nonce(desk))
    return proof


async def spend(proof: Dpop, desk: Desk) -> None:
    """Section 11.1: accept it this once.

    Raises:
        InvalidDpopProofError: it was accepted before.
    """
    if await seen_before("dpop", proof.thumbprint, proof.identifier, desk, until=proof.until):
        raise InvalidDpopProofError("The DPoP proof was used before.", why="its jti has come before")


def nonce(desk: Desk) -> str:
    """Section 8: the one that is given out now."""
    return _nonce(desk.ambient.now() // PERIOD, desk)


def _ours(given: str, desk: Desk) -> bool:
    period = desk.ambient.now() // PERIOD
    return any(hmac.compare_digest(given.encode(), _nonce(each, desk).encode()) for each in (period, period - 1))


def _nonce(period: int, desk: Desk) -> str:
    key = derive(desk.secret, "dpop-nonce")
    return base64url.text(hmac.digest(key, str(period).encode("ascii"), sha256)[:16])
