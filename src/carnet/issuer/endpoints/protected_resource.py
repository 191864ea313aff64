"""RFC 9728: the issuer as a resource server: what `/userinfo` takes, and from whom."""

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import json_answer
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.oauth import dpop

_HEADERS = {"Cache-Control": "public, max-age=300"}


async def answer(_request: Request, desk: Desk) -> Response:
    """Section 3.2. The resource is the audience that tokens for it have: the issuer itself."""
    document = {
        "resource": desk.config.issuer,
        "authorization_servers": [desk.config.issuer],
        "scopes_supported": (await desk.definitions.current()).metadata(desk.config)["scopes_supported"],
        "bearer_methods_supported": ["header", "body"],
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
    }
    return json_answer(document, headers=_HEADERS)


ENDPOINTS = (Endpoint("/.well-known/oauth-protected-resource", ("GET",), answer, cors="any"),)
