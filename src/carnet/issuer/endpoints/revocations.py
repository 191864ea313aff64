"""The revocation feed, at its source: a signed snapshot, then signed messages (`carnet.outlet`)."""

from starlette.requests import Request
from starlette.responses import Response

from carnet import outlet
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint


async def snapshot(_request: Request, desk: Desk) -> Response:
    return outlet.snapshot_answer(await desk.publisher.snapshot())


async def follow(request: Request, desk: Desk) -> Response:
    return await outlet.follow(request, desk.publisher.channel, desk.ambient)


ENDPOINTS = (
    Endpoint("/revocations", ("GET",), follow, metadata="revocations_endpoint", cors="any"),
    Endpoint("/revocations/snapshot", ("GET",), snapshot, metadata="revocations_snapshot_endpoint", cors="any"),
)
