"""RFC 7515-7519: a page that explains and verifies any token in the browser; the server gives the page and never sees a token."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.jose.registered import ALGORITHMS, AUTHENTICATION_METHODS, PRIVATE_MEMBERS, TYPES, descriptions
from carnet.jose.unverified import NOTHING_VERIFIED

REGISTERED: Final[dict[str, Any]] = {
    **descriptions(),
    "algorithms": dict(ALGORITHMS),
    "types": dict(TYPES),
    "methods": dict(AUTHENTICATION_METHODS),
    "private": sorted(PRIVATE_MEMBERS),
    "statement": NOTHING_VERIFIED,
}
"""What inspection knows about names, for the script: plain JSON."""


async def answer(request: Request, desk: Desk) -> Response:
    """The same page for everybody: nothing of the request is in it."""
    keys = desk.metadata["jwks_uri"]
    return desk.pages.render(
        request,
        "debugger",
        english=True,  # as all that its script says is, and `carnet token inspect`
        script_reads=keys,
        issuer=desk.config.issuer,
        keys=keys,
        registered=REGISTERED,
    )


ENDPOINTS = (Endpoint("/debugger", ("GET",), answer),)
