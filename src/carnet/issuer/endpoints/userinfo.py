"""OpenID Connect Core section 5.3, RFC 8705 section 3, RFC 9449 section 7: the userinfo endpoint."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer import cors
from carnet.issuer.answers import FORM, NO_STORE, json_answer, read_form, token_refused, token_wanted
from carnet.issuer.client_certificate import client_certificate
from carnet.issuer.desk import Desk
from carnet.issuer.dpop import nonce, proof_in, spend
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.envelope import envelope, wishes
from carnet.issuer.person_claims import claims_of
from carnet.issuer.presented_tokens import Claims, live_access_token
from carnet.issuer.storage.records import Client
from carnet.oauth.challenge import bearer_token, dpop_token
from carnet.oauth.confirmation import CERTIFICATE, KEY, confirmed
from carnet.oauth.dpop import NONCE_HEADER
from carnet.oauth.errors import InsufficientScopeError, InvalidDpopProofError, InvalidRequestError, InvalidTokenError
from carnet.oauth.scope import OPENID, parse


async def answer(request: Request, desk: Desk) -> Response:
    """RFC 6750 sections 2.1 and 2.2: the token comes in the header or in a form; one in a query is not looked at."""
    headers = request.headers.getlist("authorization")
    in_form = await _token_in_form(request)
    if len(headers) + (in_form is not None) > 1:
        raise InvalidRequestError("The request has more than one access token.")
    if in_form is not None:
        headers = [f"Bearer {in_form}"]
    if not headers:
        return token_wanted(desk.config)
    bound = dpop_token(headers[0])
    if bound is None:
        token = bearer_token(headers[0])
        if token is None:
            raise InvalidTokenError("The Authorization header holds no access token.")
        claims = await _claims(token, request, desk)
        if "cnf" in claims and not confirmed(claims["cnf"], _handshake(request, desk)):
            raise InvalidTokenError("The access token is bound, and the request does not prove to what.")
        return await _shown(claims, desk)
    try:
        claims = await _claims(bound, request, desk)
        await _check_proof(bound, claims, request, desk)
        response = await _shown(claims, desk)
    except (InvalidTokenError, InvalidDpopProofError, InsufficientScopeError) as error:
        return token_refused(error, desk.config)
    response.headers[NONCE_HEADER] = nonce(desk)
    return response


async def _token_in_form(request: Request) -> str | None:
    """RFC 6750 section 2.2: OpenID Connect clients from before OAuth 2.1 may send it so."""
    if request.method != "POST" or not request.headers.get("content-type", "").lower().startswith(FORM):
        return None
    return (await read_form(request)).get("access_token")


async def _claims(token: str, request: Request, desk: Desk) -> Claims:
    claims = await live_access_token(token, desk)
    if claims is None or not _for_us(claims["aud"], desk.config.issuer):
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


async def _shown(claims: Claims, desk: Desk) -> Response:
    scope = parse(claims.get("scope"))
    account = await desk.store.accounts.get(claims["sub"])
    client = await desk.store.clients.get(claims["client_id"])
    if OPENID not in scope or account is None or client is None:
        raise InsufficientScopeError("The access token was not issued with the scope openid.", scope=OPENID)
    return await _written(claims_of(account, scope, await desk.definitions.current()), client, desk)


async def _written(shown: Mapping[str, Any], client: Client, desk: Desk) -> Response:
    """Section 5.3.2: as JSON, or as the client is registered to get it; what is signed says by whom and for whom."""
    wanted = wishes(client, "userinfo")
    if wanted.signed is None and wanted.encrypted is None:
        return json_answer(shown)
    closing = await envelope("userinfo", client, desk)
    if wanted.signed is None:
        written = closing.conceal(shown)
    else:
        written = closing.close({**shown, "iss": desk.config.issuer, "aud": client.client_id}, typ="JWT")
    return Response(written, headers={"Content-Type": "application/jwt", **NO_STORE})


def _for_us(audience: object, issuer: str) -> bool:
    return audience == issuer or (isinstance(audience, tuple) and issuer in audience)


ENDPOINTS = (Endpoint("/userinfo", ("GET", "POST"), answer, metadata="userinfo_endpoint", cors="clients", mtls=True),)
