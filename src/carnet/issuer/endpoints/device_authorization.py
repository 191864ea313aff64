"""RFC 8628 section 3.1: a device asks for its two codes."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import json_answer, read_form
from carnet.issuer.authorization_request import asked_scope
from carnet.issuer.client_auth import authenticate
from carnet.issuer.decisions import INTERVAL
from carnet.issuer.desk import Desk
from carnet.issuer.device_codes import LIFETIME, DeviceRequest, begin
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.grants.device_code import GRANT_TYPE
from carnet.issuer.http_security import asking_block, written_address
from carnet.issuer.opaque import Opaque
from carnet.issuer.resource_indicators import asked_audience
from carnet.oauth import authorization_details, user_code
from carnet.oauth.errors import TooManyFailuresError, UnauthorizedClientError

MOST = 100
"""Requests of one client from one address within the lifetime of a code: nobody fills the store, or uses up the codes."""


async def answer(request: Request, desk: Desk) -> Response:
    parameters = await read_form(request)
    client = await authenticate(request, parameters, desk)
    if GRANT_TYPE not in client.grant_types:
        raise UnauthorizedClientError("The client is not registered for the device grant.")
    now = desk.ambient.now()
    key = f"device_authorization/{client.client_id}/{asking_block(request, desk.config)}"
    if await desk.store.throttle.hit(key, at=now, window=LIFETIME) > MOST:
        raise TooManyFailuresError("Too many codes were asked for from here: try again later.")
    device_code = Opaque.fresh(desk.ambient)
    scope = asked_scope(parameters, client)
    asked = DeviceRequest(
        client_id=client.client_id,
        scope=scope,
        audience=asked_audience(parameters, client, scope, desk.config),
        authorization_details=authorization_details.parse(
            parameters.get("authorization_details"), types=client.authorization_details_types
        ),
        device=device_code.digest,
        asked_at=now,
        expires_at=now + LIFETIME,
        address=written_address(request, desk.config),
    )
    code = user_code.written(await begin(desk, client, asked, device_code))
    page = f"{desk.config.issuer}/device"
    document: dict[str, Any] = {
        "device_code": device_code.value,
        "user_code": code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={code}",
        "expires_in": LIFETIME,
        "interval": INTERVAL,
    }
    return json_answer(document)


ENDPOINTS = (
    Endpoint(
        "/device_authorization", ("POST",), answer, metadata="device_authorization_endpoint", cors="clients", mtls=True
    ),
)
