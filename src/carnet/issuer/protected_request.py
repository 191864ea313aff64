"""RFC 6750, RFC 8705 section 3, RFC 9449 section 7: requests that bring an access token of ours to the issuer itself."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer import cors
from carnet.issuer.answers import token_refused, token_wanted
from carnet.issuer.client_certificate import client_certificate
from carnet.issuer.desk import Desk
from carnet.issuer.dpop import nonce, proof_in, spend
from carnet.issuer.presented_tokens import Claims, audience_of, live_access_token
from carnet.oauth.challenge import bearer_token, dpop_token
from carnet.oauth.confirmation import CERTIFICATE, KEY, confirmed
from carnet.oauth.dpop import NONCE_HEADER
from carnet.oauth.errors import InvalidDpopProofError, InvalidTokenError, OAuthError, TokenMisplacedError

_SCHEMES = frozenset({"bearer", "dpop"})


async def answer_to_token(
    authorizations: Sequence[str],
    request: Request,
    desk: Desk,
    *,
    resource: str,
    answer: Callable[[Claims], Awaitable[Response]],
) -> Response:
    """Answer whom a token for `resource` speaks for; without one, say what is wanted.

    `authorizations` are the values of the request's Authorization headers.

    Raises:
        OAuthError: the token, or what is asked with it, is refused.
    """
    if len(authorizations) > 1:
        raise TokenMisplacedError("The request has more than one access token.")
    cors.challenges(request)
    if not authorizations or authorizations[0].partition(" ")[0].lower() not in _SCHEMES:
        return token_wanted(desk.config, resource)
    bound = dpop_token(authorizations[0])
    if bound is None:
        token = bearer_token(authorizations[0])
        if token is None:
            raise InvalidTokenError("The Authorization header holds no access token.")
        claims = await _claims(token, request, desk, resource)
        if "cnf" in claims and not confirmed(claims["cnf"], _handshake(request, desk)):
            raise InvalidTokenError("The access token is bound, and the request does not prove to what.")
        return await answer(claims)
    try:
        claims = await _claims(bound, request, desk, resource)
        await _check_proof(bound, claims, request, desk)
        response = await answer(claims)
    except OAuthError as error:
        return token_refused(error, desk.config)
    response.headers[NONCE_HEADER] = nonce(desk)
    return response


async def _claims(token: str, request: Request, desk: Desk, resource: str) -> Claims:
    claims = await live_access_token(token, desk)
    if claims is None or resource not in audience_of(claims):
        raise InvalidTokenError("The access token is not valid here.")
    cors.speaks_for(request, await desk.store.clients.get(claims["client_id"]))
    return claims


async def _check_proof(token: str, claims: Claims, request: Request, desk: Desk) -> None:
    """RFC 9449 section 7.1: a proof for this request and this token, by the key that the token is bound to."""
    proof = proof_in(request, desk, access_token=token)
    if proof is None:
        raise InvalidDpopProofError("The request has no DPoP proof.")
    proved = {KEY: proof.thumbprint, **_handshake(request, desk)}
    if not confirmed(claims.get("cnf"), proved) or KEY not in claims["cnf"]:
        raise InvalidTokenError("The access token is not bound to the key of the proof.")
    await spend(proof, desk)


def _handshake(request: Request, desk: Desk) -> dict[str, str]:
    """RFC 8705 section 3: what the TLS handshake proves."""
    certificate = client_certificate(request, desk.config)
    return {} if certificate is None else {CERTIFICATE: certificate.thumbprint}
