"""RFC 9110, RFC 9457: the admin API over HTTP: each operation of its resources as an endpoint, read and answered alike."""

from typing import Any, get_args
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from msgspec.structs import fields
from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.admin_api import REFUSALS, RESOURCES
from carnet.issuer.admin_api.admission import admitted, resource_of
from carnet.issuer.admin_api.problems import (
    MEDIA_TYPE,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    PreconditionRequired,
    Problem,
    UnsupportedMediaType,
)
from carnet.issuer.admin_api.resource import PATH, Asked, Caller, Operation, Resource, entity_tag
from carnet.issuer.admin_api.trail import noting
from carnet.issuer.answers import NO_STORE
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Answer, Endpoint
from carnet.issuer.presented_tokens import Claims
from carnet.issuer.protected_request import answer_to_token
from carnet.jose import JoseError
from carnet.jose.strict_json import parse_object
from carnet.oauth.errors import InvalidRequestError, OAuthError
from carnet.oauth.parameters import parse

JSON = "application/json"


def answering(resource: Resource, operation: Operation) -> Answer:
    """What answers an operation: first who asks, then what is asked, then the thing itself."""

    async def answer(request: Request, desk: Desk) -> Response:
        async def authorized(claims: Claims) -> Response:
            needs = resource.scope(operation)
            caller = await admitted(request, claims, desk, needs=needs, changes=not operation.reads)
            return await _done(operation, request, caller, noting(desk, caller))

        authorizations = request.headers.getlist("authorization")
        return await answer_to_token(
            authorizations, request, desk, resource=resource_of(desk.config), answer=authorized
        )

    return answer


async def nowhere(request: Request, desk: Desk, *, allow: str | None) -> Response:
    """What is not there, told to whoever a token for the API speaks for: no scope value opens it, so none is asked for.

    `allow`: the methods that the path has, comma-separated; None: it has none.

    Raises:
        OAuthError: the token is refused.
    """

    async def authorized(_claims: Claims) -> Response:
        if allow is None:
            return _refused(NotFound("Nothing is at this path: /api/openapi.json says what there is."))
        response = _refused(MethodNotAllowed(f"The path has no {request.method}: it takes {allow}."))
        response.headers["Allow"] = allow
        return response

    authorizations = request.headers.getlist("authorization")
    return await answer_to_token(authorizations, request, desk, resource=resource_of(desk.config), answer=authorized)


async def _done(operation: Operation, request: Request, caller: Caller, desk: Desk) -> Response:
    try:
        return _written(operation, await operation.act(await _read(operation, request, caller, desk)), desk)
    except Problem as problem:
        return _refused(problem)
    except OAuthError:
        raise
    except Exception as error:
        for problem_of in REFUSALS:
            refusal = problem_of(error)
            if refusal is not None:
                return _refused(refusal)
        raise


async def _read(operation: Operation, request: Request, caller: Caller, desk: Desk) -> Asked:
    """Raises Problem."""
    if_match = tuple(tag.strip() for line in request.headers.getlist("if-match") for tag in line.split(","))
    if operation.conditional and not if_match:
        raise PreconditionRequired("Read it first, and say with If-Match which ETag it had.")
    return Asked(
        desk=desk,
        caller=caller,
        path={name: str(value) for name, value in request.path_params.items()},
        query=_query(operation, request),
        body=await _body(operation.body, request) if operation.body is not None else None,
        if_match=if_match,
    )


def _query(operation: Operation, request: Request) -> Any:
    kind = operation.query or _Nothing
    texts = {field.name for field in fields(kind) if field.type is str or str in get_args(field.type)}
    try:
        given = parse(request.scope["query_string"]).pairs()
        empty = [name for name, text in parse_qsl(request.url.query, keep_blank_values=True) if not text]
        if empty:
            raise Malformed(f"The parameter {empty[0]} is empty: leave it out.")
        return msgspec.convert({name: text if name in texts else _number(text) for name, text in given}, kind)
    except InvalidRequestError as error:
        raise Malformed(error.description) from None
    except msgspec.ValidationError as error:
        raise Malformed(f"The query is not what this takes: {error}.") from None


def _number(text: str) -> int | str:
    """A text that is one in decimal digits; else the text itself, which is then refused where a number is wanted."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else text


class _Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """The query of an operation that takes none."""


async def _body(kind: type[Struct], request: Request) -> Any:
    """Rule J14: one JSON object, whose members come once and are all known."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMediaType(f"Send {JSON}.")
    body = await request.body()
    try:
        parse_object(body)
        return msgspec.json.decode(body, type=kind)
    except JoseError as error:
        raise Malformed(f"The body is not one JSON object: {error}") from None
    except msgspec.ValidationError as error:
        raise Invalid(f"The body is not what this takes: {error}.") from None


def _written(operation: Operation, document: Any, desk: Desk) -> Response:
    if document is None:
        return Response(status_code=204, headers=NO_STORE)
    headers = {"Content-Type": JSON, **NO_STORE}
    if operation.tagged:
        headers["ETag"] = entity_tag(document)
    if operation.location is not None:
        headers["Location"] = desk.config.issuer + PATH + operation.location(document)
    return Response(msgspec.json.encode(document), operation.status, headers=headers)


def _refused(problem: Problem) -> Response:
    return Response(
        msgspec.json.encode(problem.details()), problem.status, headers={"Content-Type": MEDIA_TYPE, **NO_STORE}
    )


ENDPOINTS = tuple(
    Endpoint(PATH + operation.path, (operation.method,), answering(resource, operation), mtls=True)
    for resource in RESOURCES
    for operation in resource.operations
)
