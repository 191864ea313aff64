"""RFC 6749 section 3.2, OAuth 2.1 section 3.2: the token endpoint: the steps that every grant goes through."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import json_answer, read_form
from carnet.issuer.approval import Authorization
from carnet.issuer.binding import bind
from carnet.issuer.client_auth import authenticate
from carnet.issuer.client_certificate import client_certificate
from carnet.issuer.desk import Desk
from carnet.issuer.dpop import nonce, requests_proof
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.grants import GRANTS
from carnet.issuer.grants.grant import Grant
from carnet.issuer.issuing import Bounds, Minted, mint
from carnet.issuer.logout_uris import wants_to_know
from carnet.issuer.opaque import Opaque
from carnet.issuer.resource_indicators import bounded_audience
from carnet.issuer.rotation import settle
from carnet.issuer.storage.records import Client
from carnet.oauth import authorization_details, scope
from carnet.oauth.authorization_details import Details
from carnet.oauth.confirmation import token_type
from carnet.oauth.dpop import NONCE_HEADER
from carnet.oauth.errors import (
    InvalidGrantError,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
)
from carnet.oauth.parameters import Parameters
from carnet.oauth.scope import Scope


async def answer(request: Request, desk: Desk) -> Response:
    """Nothing is answered before the store has committed; nothing is written before the case is proved."""
    parameters = await read_form(request)
    proof = await requests_proof(request, parameters, desk)
    client = await authenticate(request, parameters, desk)
    certificate = client_certificate(request, desk.config)
    grant = _grant(parameters, client)
    authorization = await grant.redeem(grant.read(parameters), client, desk)
    granted = _bounded_scope(authorization, client)
    audience = bounded_audience(parameters, authorization, client, granted, desk.config)
    granted = (await desk.definitions.current()).belonging(granted, audience)
    details = _bounded_details(parameters, authorization, client)
    confirmation = await bind(proof, certificate, authorization, client, desk)
    bounds = Bounds(scope=granted, audience=audience, details=details, confirmation=confirmation)
    minted = await mint(authorization, client, desk, bounds)
    refresh_token = await _commit(authorization, minted, client, desk)
    await _take_part(authorization, client, desk)
    response = _tokens(minted, authorization, refresh_token, bounds)
    if proof is not None:
        response.headers[NONCE_HEADER] = nonce(desk)
    return response


def _grant(parameters: Parameters, client: Client) -> Grant[Any]:
    named = parameters.require("grant_type")
    for grant in GRANTS:
        if grant.grant_type == named:
            if named not in client.grant_types:
                raise UnauthorizedClientError(f"The client is not registered for the grant {named}.")
            return grant
    raise UnsupportedGrantTypeError("There is no such grant_type.")


def _bounded_scope(authorization: Authorization, client: Client) -> Scope:
    """RFC 6749 section 6: never more than was approved, nor more than the client may have by now."""
    allowed = scope.parse(client.scope)
    narrowed = scope.narrow(authorization.asked, authorization.scope)
    return tuple(value for value in narrowed if value in allowed)


def _bounded_details(parameters: Parameters, authorization: Authorization, client: Client) -> Details:
    """RFC 9396 section 6.1: some of the approved details, of types that the client may have by now."""
    types = client.authorization_details_types
    asked = authorization_details.parse(parameters.get("authorization_details"), types=types)
    return authorization_details.of_types(
        authorization_details.narrow(asked, authorization.authorization_details), types
    )


async def _commit(authorization: Authorization, minted: Minted, client: Client, desk: Desk) -> Opaque | None:
    """Spend what is redeemed and store its successor; only the one who wins gets an answer."""
    successor = minted.successor
    if authorization.redemption is not None:
        return await settle(authorization.redemption, successor, client, desk)
    if successor is None:
        return None
    if not await desk.store.artifacts.put(successor.artifact):
        raise InvalidGrantError("The authorization is not valid any more.", why="ended while it was redeemed")
    return successor.secret


async def _take_part(authorization: Authorization, client: Client, desk: Desk) -> None:
    """Back-Channel Logout section 2.5: note who has learnt of a session; a refresh tells nobody new."""
    person, redemption = authorization.person, authorization.redemption
    if person is None or person.sid is None or not wants_to_know(client):
        return
    if redemption is None or not redemption.retryable:
        await desk.store.participants.join(person.sid, client.client_id, at=desk.ambient.now())


def _tokens(minted: Minted, authorization: Authorization, refresh_token: Opaque | None, bounds: Bounds) -> Response:
    """RFC 6749 section 5.1, RFC 8705 section 3, RFC 9396 section 7, RFC 9449 section 5."""
    document: dict[str, Any] = {
        "access_token": minted.access_token,
        "token_type": token_type(bounds.confirmation),
        "expires_in": minted.expires_in,
        "scope": scope.join(minted.scope),
    }
    if authorization.derived is not None and authorization.derived.issued_token_type is not None:
        document["issued_token_type"] = authorization.derived.issued_token_type
    if bounds.details:
        document["authorization_details"] = bounds.details
    if refresh_token is not None:
        document["refresh_token"] = refresh_token.value
    if minted.id_token is not None:
        document["id_token"] = minted.id_token
    return json_answer(document)


ENDPOINTS = (Endpoint("/token", ("POST",), answer, metadata="token_endpoint", cors="clients", mtls=True),)
