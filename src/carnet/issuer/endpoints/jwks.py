"""RFC 7517 section 5: the published keys."""

from hashlib import sha256

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint


async def answer(request: Request, desk: Desk) -> Response:
    """May be kept for half as long as a new key is published before it signs, so that every cache has it by then."""
    document = msgspec.json.encode(await desk.keyring.jwks())
    tag = f'"{sha256(document).hexdigest()[:32]}"'
    headers = {
        "Cache-Control": f"public, max-age={desk.config.lifetimes.key_publication // 2}",
        "ETag": tag,
        "Content-Type": "application/jwk-set+json",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(document, headers=headers)


ENDPOINTS = (Endpoint("/jwks", ("GET",), answer, metadata="jwks_uri", cors="any"),)
