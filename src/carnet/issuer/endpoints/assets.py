"""RFC 8246, RFC 9111: the style sheet and the pictures of the pages; a new content has a new URL."""

from mimetypes import guess_type

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint


async def answer(request: Request, desk: Desk) -> Response:
    """Serve a file that is there: the name is looked up, never put into a path."""
    name = request.path_params["name"]
    content = desk.pages.asset(name)
    if content is None:
        return PlainTextResponse("There is no such file.\n", 404)
    tag = f'"{desk.pages.version(name)}"'
    fresh = request.query_params.get("v") == desk.pages.version(name)
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if fresh else "public, no-cache",
        "ETag": tag,
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=guess_type(name)[0], headers=headers)


ENDPOINTS = (Endpoint("/assets/{name}", ("GET",), answer),)
