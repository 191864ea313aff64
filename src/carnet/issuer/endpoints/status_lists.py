"""Token Status List section 8: where status lists are fetched, and section 9: which there are."""

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import json_answer
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.revocation.status_lists import AGE, MEDIA_TYPE, PATH

_CACHED = {"Cache-Control": f"public, max-age={int(AGE)}"}


async def show(request: Request, desk: Desk) -> Response:
    """Section 8.2. Section 8.4: what was so at another time is not said."""
    if "time" in request.query_params:
        return Response(status_code=501, headers=_CACHED)
    token = await desk.status_lists.signed(request.path_params["list_id"])
    if token is None:
        return Response(status_code=404, headers=_CACHED)
    return Response(token, headers={"Content-Type": MEDIA_TYPE, **_CACHED})


async def aggregate(_request: Request, desk: Desk) -> Response:
    """Section 9.3."""
    return json_answer({"status_lists": await desk.status_lists.published()}, headers=_CACHED)


ENDPOINTS = (
    Endpoint(PATH, ("GET",), aggregate, metadata="status_list_aggregation_endpoint", cors="any"),
    Endpoint(PATH + "/{list_id}", ("GET",), show, cors="any"),
)
