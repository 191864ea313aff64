"""Fetch, section "CORS protocol": whose scripts may read an answer (OAuth 2.1 section 3.1: never that of `/authorize`)."""

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.endpoint import Cors
from carnet.issuer.storage.records import Client
from carnet.oauth.redirect_uri import origin

_ALLOWED_HEADERS = "Authorization, Content-Type, DPoP"
_EXPOSED_HEADERS = "WWW-Authenticate, DPoP-Nonce"
_PREFLIGHT_LIFETIME = 600
_CLIENT = "carnet.client"
_CHALLENGED = "carnet.challenged"


def preflight(request: Request, methods: tuple[str, ...]) -> Response:
    """Answer a preflight: which client asks is known only when the request itself comes, and `allow` decides then."""
    headers = {
        "Access-Control-Allow-Origin": request.headers.get("origin", "*"),
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
        "Access-Control-Max-Age": str(_PREFLIGHT_LIFETIME),
        "Vary": "Origin",
    }
    return Response(status_code=204, headers=headers)


def speaks_for(request: Request, client: Client | None) -> None:
    """Note whose request it is, as soon as that is known: scripts of that client may read its refusals too."""
    request.scope[_CLIENT] = client


def challenges(request: Request) -> None:
    """Note that the answer is a challenge for want of a good token, whose client nobody can tell: all scripts may read it."""
    request.scope[_CHALLENGED] = True


def allow(request: Request, response: Response, policy: Cors) -> None:
    """Let scripts read the answer: everybody's if it is public; those of the request's client if it has that origin.

    Credentials are never allowed: no cookie speaks at these endpoints.
    """
    headers: MutableHeaders = response.headers
    if policy == "any":
        headers["Access-Control-Allow-Origin"] = "*"
    elif policy == "clients":
        headers.append("Vary", "Origin")
        asking = request.headers.get("origin")
        client: Client | None = request.scope.get(_CLIENT)
        homes = set() if client is None else {origin(uri) for uri in client.redirect_uris}
        if asking is not None and (asking in homes or (client is None and _CHALLENGED in request.scope)):
            headers["Access-Control-Allow-Origin"] = str(asking)
            headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
