"""RFC 8414, OpenID Connect Discovery: what this issuer can do, made from what is really there."""

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import json_answer
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint

_HEADERS = {"Cache-Control": "public, max-age=300"}


async def answer(_request: Request, desk: Desk) -> Response:
    defined = (await desk.definitions.current()).metadata(desk.config)
    return json_answer({**desk.metadata, **defined}, headers=_HEADERS)


ENDPOINTS = (
    Endpoint("/.well-known/openid-configuration", ("GET",), answer, cors="any"),
    Endpoint("/.well-known/oauth-authorization-server", ("GET",), answer, cors="any"),
)
