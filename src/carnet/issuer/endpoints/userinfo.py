"""OpenID Connect Core section 5.3, RFC 8705 section 3, RFC 9449 section 7: the userinfo endpoint."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import FORM, NO_STORE, json_answer, read_form
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.envelope import envelope, wishes
from carnet.issuer.pairwise import subject_behind
from carnet.issuer.person_claims import claims_of
from carnet.issuer.presented_tokens import Claims
from carnet.issuer.protected_request import answer_to_token
from carnet.issuer.storage.records import Client
from carnet.oauth import interaction_id
from carnet.oauth.errors import InsufficientScopeError, InvalidRequestError, TokenMisplacedError
from carnet.oauth.scope import OPENID, parse


async def answer(request: Request, desk: Desk) -> Response:
    """RFC 6750 sections 2.1 and 2.2: the token comes in the header or in a form; one in a query is not looked at."""
    authorizations = request.headers.getlist("authorization")
    in_form = await _token_in_form(request)
    if in_form is not None:
        authorizations = [*authorizations, f"Bearer {in_form}"]

    async def shown(claims: Claims) -> Response:
        return await _shown(claims, desk)

    response = await answer_to_token(authorizations, request, desk, resource=desk.config.issuer, answer=shown)
    response.headers[interaction_id.HEADER] = interaction_id.of(
        request.headers.get(interaction_id.HEADER), desk.ambient
    )
    return response


async def _token_in_form(request: Request) -> str | None:
    """RFC 6750 section 2.2: OpenID Connect clients from before OAuth 2.1 may send it so."""
    if request.method != "POST" or not request.headers.get("content-type", "").lower().startswith(FORM):
        return None
    try:
        return (await read_form(request)).get("access_token")
    except InvalidRequestError as error:
        raise TokenMisplacedError(error.description, why=error.why) from None


async def _shown(claims: Claims, desk: Desk) -> Response:
    scope = parse(claims.get("scope"))
    client = await desk.store.clients.get(claims["client_id"])
    account = await desk.store.accounts.get(await subject_behind(claims["sub"], client, desk))
    if OPENID not in scope or account is None or client is None:
        raise InsufficientScopeError("The access token was not issued with the scope openid.", scope=OPENID)
    shown = claims_of(account, scope, await desk.definitions.current())
    return await _written({**shown, "sub": claims["sub"]}, client, desk)


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


ENDPOINTS = (Endpoint("/userinfo", ("GET", "POST"), answer, metadata="userinfo_endpoint", cors="clients", mtls=True),)
