"""RFC 9728: the issuer as a resource server: what `/userinfo`, streams of events and the admin API take, and from whom."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.admin_api import RESOURCES
from carnet.issuer.admin_api.admission import resource_of
from carnet.issuer.admin_api.resource import PATH
from carnet.issuer.answers import json_answer
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.oauth import dpop, security_events

_HEADERS = {"Cache-Control": "public, max-age=300"}
WELL_KNOWN = "/.well-known/oauth-protected-resource"


async def answer(_request: Request, desk: Desk) -> Response:
    """Section 3.2. The resource is the audience that tokens for it have: the issuer itself."""
    defined = (await desk.definitions.current()).metadata(desk.config)
    scopes = [*defined["scopes_supported"], *security_events.SCOPES]
    return _metadata(desk, desk.config.issuer, scopes, ways=("header", "body"))


async def of_admin_api(_request: Request, desk: Desk) -> Response:
    scopes = [value for resource in RESOURCES for value in resource.scopes]
    return _metadata(desk, resource_of(desk.config), scopes, ways=("header",))


def _metadata(desk: Desk, resource: str, scopes: Sequence[str], *, ways: Sequence[str]) -> Response:
    document = {
        "resource": resource,
        "authorization_servers": [desk.config.issuer],
        "scopes_supported": scopes,
        "bearer_methods_supported": ways,
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
    }
    return json_answer(document, headers=_HEADERS)


ENDPOINTS = (
    Endpoint(WELL_KNOWN, ("GET",), answer, cors="any"),
    Endpoint(WELL_KNOWN + PATH, ("GET",), of_admin_api, cors="any"),
)
