"""Whether the process lives, and whether it can do its work: for whoever watches it."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.keyring import KeyringError
from carnet.issuer.storage.ports import StorageError
from carnet.sealing import SealBrokenError


async def live(_request: Request, _desk: Desk) -> Response:
    return PlainTextResponse("alive\n")


async def ready(_request: Request, desk: Desk) -> Response:
    """The database answers, and there is a key to sign with."""
    try:
        await desk.store.check()
        await desk.keyring.signing_key()
    except (StorageError, KeyringError, SealBrokenError):
        return PlainTextResponse("not ready\n", 503, {"Retry-After": "5"})
    return PlainTextResponse("ready\n")


ENDPOINTS = (
    Endpoint("/health/live", ("GET",), live),
    Endpoint("/health/ready", ("GET",), ready),
)
