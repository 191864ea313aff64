"""OpenAPI 3.1: what answers here, for programs that are made from such descriptions."""

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import json_answer
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.openapi import description

_HEADERS = {"Cache-Control": "public, max-age=300"}


async def answer(_request: Request, desk: Desk) -> Response:
    return json_answer(description(desk.config, desk.endpoints), headers=_HEADERS)


ENDPOINTS = (Endpoint("/api/openapi.json", ("GET",), answer, cors="any"),)
