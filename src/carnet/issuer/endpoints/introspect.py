"""RFC 7662, RFC 9701: whether a token is active, for whom it is and for who got it; signed for those who ask for that."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import NO_STORE, json_answer, read_form
from carnet.issuer.approval import Approval
from carnet.issuer.client_auth import authenticate
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.envelope import envelope
from carnet.issuer.opaque import Opaque
from carnet.issuer.pairwise import subject_for
from carnet.issuer.presented_tokens import Claims, audience_of, holder_of, live_access_token
from carnet.issuer.rotation import authenticates
from carnet.issuer.storage.records import Artifact, Client
from carnet.oauth.confirmation import token_type
from carnet.oauth.errors import InvalidClientError
from carnet.oauth.scope import join

MEDIA_TYPE = "application/token-introspection+jwt"
"""RFC 9701 section 4: what the Accept header of a request for a signed answer has."""

INACTIVE = {"active": False}
"""Section 2.2: and not a word of why."""


async def answer(request: Request, desk: Desk) -> Response:
    """Section 2.1: who asks must authenticate, so that nobody can try tokens out.

    The `token_type_hint` is not needed: the two kinds of tokens cannot be taken for one another.
    """
    parameters = await read_form(request)
    client = await authenticate(request, parameters, desk)
    if not authenticates(client):
        raise InvalidClientError("Only a client that authenticates may introspect tokens.")
    token = parameters.require("token")
    claims = await live_access_token(token, desk)
    if claims is None:
        found: Mapping[str, Any] = await _refresh_token(Opaque(token), client, desk)
    elif not _concerns(claims, client):
        found = INACTIVE
    else:
        found = {"active": True, "token_type": token_type(claims.get("cnf")), **await _with_roles(claims, desk)}
    if MEDIA_TYPE in request.headers.get("accept", "").lower():
        return await _signed(found, client, desk)
    return json_answer(found)


async def _with_roles(claims: Claims, desk: Desk) -> dict[str, Any]:
    """Of a token that only names its roles, those that its holder has now (`token_size.py`)."""
    told = dict(claims)
    if told.pop("roles_ref", None) is not None:
        holder = await holder_of(claims, desk)
        told["roles"] = () if holder is None else holder.roles
    return told


def _concerns(claims: Claims, client: Client) -> bool:
    """Section 4: a token is the business of who got it and of whom it is for; to anybody else it might be any other string."""
    exchanges = () if client.token_exchange is None else client.token_exchange.receives
    return claims["client_id"] == client.client_id or not {client.client_id, *client.receives, *exchanges}.isdisjoint(
        audience_of(claims)
    )


async def _signed(found: Mapping[str, Any], client: Client, desk: Desk) -> Response:
    """RFC 9701 section 5: an answer that can be kept and shown; nobody but who asked is its audience."""
    claims = {
        "iss": desk.config.issuer,
        "aud": client.client_id,
        "iat": desk.ambient.now(),
        "token_introspection": found,
    }
    signed = (await envelope("introspection", client, desk)).close(claims, typ="token-introspection+jwt")
    return Response(signed, headers={"Content-Type": MEDIA_TYPE, **NO_STORE})


async def _refresh_token(token: Opaque, client: Client, desk: Desk) -> dict[str, Any]:
    """A refresh token is nobody's business but its client's."""
    found = await desk.store.artifacts.get("refresh_token", token.digest, at=desk.ambient.now())
    if not isinstance(found, Artifact) or found.client_id != client.client_id:
        return INACTIVE
    account = await desk.store.accounts.get(found.subject) if found.subject is not None else None
    if account is None or account.disabled_at is not None:
        return INACTIVE
    approval = msgspec.json.decode(found.document, type=Approval)
    return {
        "active": True,
        "iss": desk.config.issuer,
        "sub": subject_for(client, account.subject, desk),
        "client_id": found.client_id,
        "scope": join(approval.scope),
        "iat": found.created_at,
        "exp": found.expires_at,
        "auth_time": approval.auth_time,
    }


ENDPOINTS = (Endpoint("/introspect", ("POST",), answer, metadata="introspection_endpoint", mtls=True),)
