"""RFC 7662: whether a token is active, for confidential clients."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import json_answer, read_form
from carnet.issuer.approval import Approval
from carnet.issuer.client_auth import authenticate
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.opaque import Opaque
from carnet.issuer.presented_tokens import live_access_token
from carnet.issuer.rotation import authenticates
from carnet.issuer.storage.records import Artifact, Client
from carnet.oauth.dpop import SCHEME
from carnet.oauth.errors import InvalidClientError
from carnet.oauth.scope import join

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
    if claims is not None:
        return json_answer({"active": True, "token_type": SCHEME if "cnf" in claims else "Bearer", **claims})
    return json_answer(await _refresh_token(Opaque(token), client, desk))


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
        "sub": found.subject,
        "client_id": found.client_id,
        "scope": join(approval.scope),
        "iat": found.created_at,
        "exp": found.expires_at,
        "auth_time": approval.auth_time,
    }


ENDPOINTS = (Endpoint("/introspect", ("POST",), answer, metadata="introspection_endpoint"),)
