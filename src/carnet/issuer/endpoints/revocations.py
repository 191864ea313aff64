"""The revocation feed, at its source: a signed snapshot, then signed messages (`carnet.outlet`)."""

import logging

from starlette.requests import Request
from starlette.responses import Response

from carnet import outlet
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.http_security import asking_block
from carnet.issuer.revocation.publisher import SnapshotTooLargeError
from carnet.outlet import Limits

log = logging.getLogger("carnet.revocations")


async def snapshot(_request: Request, desk: Desk) -> Response:
    try:
        return outlet.snapshot_answer(await desk.publisher.snapshot())
    except SnapshotTooLargeError as error:
        log.error("There is no snapshot: %s", error)  # noqa: TRY400 - it says what is wrong
        return outlet.error_answer(
            503, "temporarily_unavailable", "There is no snapshot at the moment.", {"Retry-After": "30"}
        )


async def follow(request: Request, desk: Desk) -> Response:
    return await outlet.follow(
        request,
        desk.publisher.channel,
        desk.ambient,
        limits=Limits(desk.config.revocation_listeners, desk.config.revocation_listeners_per_address),
        address=asking_block(request, desk.config) or None,
    )


ENDPOINTS = (
    Endpoint("/revocations", ("GET",), follow, metadata="revocations_endpoint", cors="any"),
    Endpoint("/revocations/snapshot", ("GET",), snapshot, metadata="revocations_snapshot_endpoint", cors="any"),
)
