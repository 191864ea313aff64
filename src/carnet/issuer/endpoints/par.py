"""RFC 9126: the pushed authorization request endpoint."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import NO_STORE, json_answer, read_form
from carnet.issuer.arrival import arrive, check_signed
from carnet.issuer.authorization_request import authorization_request, return_address
from carnet.issuer.client_auth import CREDENTIALS, authenticate
from carnet.issuer.desk import Desk
from carnet.issuer.dpop import nonce, requests_proof, spend
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.flow import LONGEST
from carnet.issuer.http_security import asking_block
from carnet.issuer.pushed_requests import KEPT, LIFETIME, push
from carnet.issuer.refusals import RefusalError
from carnet.issuer.rotation import authenticates
from carnet.issuer.storage.records import Client
from carnet.oauth.dpop import NONCE_HEADER, Dpop
from carnet.oauth.errors import InvalidDpopProofError, InvalidRequestError, TooManyFailuresError
from carnet.oauth.parameters import Parameters

MOST_UNPROVED = 300
"""Pushed requests of public clients from one address that are kept: nobody fills the store."""


async def answer(request: Request, desk: Desk) -> Response:
    """Section 2.1: authenticate the client, and check the request as `/authorize` does."""
    parameters = await read_form(request)
    proof = await requests_proof(request, parameters, desk)
    client = await authenticate(request, parameters, desk)
    if "request_uri" in parameters:
        raise InvalidRequestError("A pushed request cannot hold a request_uri (RFC 9126 section 2.1).")
    arrival = await arrive(_own(parameters, client), desk)
    check_signed(arrival, client)
    try:
        back = await return_address(arrival.parameters, desk)
    except RefusalError:
        raise InvalidRequestError(
            "The redirect_uri is missing, or is not one that the client has registered."
        ) from None
    await authorization_request(arrival.parameters, back, desk)
    if len(urlencode(arrival.parameters.pairs())) > LONGEST:
        raise InvalidRequestError(f"The request is longer than {LONGEST} characters.")
    if not authenticates(client):
        await _admit(request, desk)
    if proof is not None:
        await spend(proof, desk)
    request_uri = await push(_bound(arrival.parameters, proof), client, desk)
    fresh = {} if proof is None else {NONCE_HEADER: nonce(desk)}
    return json_answer({"request_uri": request_uri, "expires_in": LIFETIME}, status=201, headers={**NO_STORE, **fresh})


async def _admit(request: Request, desk: Desk) -> None:
    """Whoever says that they are a public client can push: so many from one address, for as long as those are kept.

    Raises:
        TooManyFailuresError
    """
    key = f"par/{asking_block(request, desk.config)}"
    if await desk.store.throttle.hit(key, at=desk.ambient.now(), window=KEPT) > MOST_UNPROVED:
        raise TooManyFailuresError("Too many requests were pushed from here: try again later.")


def _own(parameters: Parameters, client: Client) -> Parameters:
    """The request without what its client authenticates with, which is not to be kept."""
    kept = [(name, value) for name, value in parameters.pairs() if name not in {*CREDENTIALS, "client_id"}]
    return Parameters([("client_id", client.client_id), *kept])


def _bound(parameters: Parameters, proof: Dpop | None) -> Parameters:
    """RFC 9449 section 10.1: a proof beside the request binds the code as `dpop_jkt` does, and must agree with it.

    Raises:
        InvalidDpopProofError: it is by another key than the one that the request names.
    """
    if proof is None:
        return parameters
    named = parameters.get("dpop_jkt")
    if named is None:
        return Parameters([*parameters.pairs(), ("dpop_jkt", proof.thumbprint)])
    if named != proof.thumbprint:
        raise InvalidDpopProofError("The DPoP proof is by another key than the one that dpop_jkt names.")
    return parameters


ENDPOINTS = (
    Endpoint("/par", ("POST",), answer, metadata="pushed_authorization_request_endpoint", cors="clients", mtls=True),
)
