"""OpenID Connect Core section 5.6.2: the roles of an access token that only names them (`token_size.py`)."""

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import json_answer, token_wanted
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.presented_tokens import holder_of, live_access_token
from carnet.oauth.challenge import bearer_token
from carnet.oauth.errors import InvalidTokenError


async def answer(request: Request, desk: Desk) -> Response:
    """The token says whose roles: who has it would read them in it, if it were smaller.

    So no proof of a key is asked for, which a guard that has been shown the token could not give, and no audience of its own.
    """
    headers = request.headers.getlist("authorization")
    if not headers:
        return token_wanted(desk.config, desk.config.issuer)
    token = bearer_token(headers[0]) if len(headers) == 1 else None
    claims = await live_access_token(token, desk) if token is not None else None
    if claims is None:
        raise InvalidTokenError("The access token is not valid.")
    holder = await holder_of(claims, desk)
    return json_answer({"sub": claims["sub"], "roles": () if holder is None else holder.roles})


ENDPOINTS = (Endpoint("/roles", ("GET",), answer, metadata="roles_endpoint"),)
