"""OpenAPI 3.1: the admin API, made of its resources."""

import re
from typing import Any

import msgspec
from msgspec import Struct

from carnet.issuer.admin_api import RESOURCES
from carnet.issuer.admin_api.problems import (
    MEDIA_TYPE,
    Invalid,
    Malformed,
    PreconditionRequired,
    Problem,
    ProblemDetails,
    Stale,
    UnsupportedMediaType,
)
from carnet.issuer.admin_api.resource import PATH, Operation, Resource
from carnet.issuer.openapi.parts import REFERENCE, UNAVAILABLE, body, challenged, header, json_answer, plain, refused

_NAMES = re.compile(r"{(\w+)(?::path)?}")
_TAG = {"description": "RFC 9110 section 8.8.3: what If-Match takes.", "schema": {"type": "string"}}


def scopes() -> dict[str, str]:
    """The scope values that open the admin API, each with what it is good for."""
    found: dict[str, list[str]] = {}
    for resource in RESOURCES:
        for operation in resource.operations:
            found.setdefault(resource.scope(operation), []).append(operation.summary)
    return {value: "; ".join(summaries) for value, summaries in found.items()}


def admin_schemas() -> dict[str, Any]:
    """What the operations take and answer."""
    operations = [operation for resource in RESOURCES for operation in resource.operations]
    types = {kind for operation in operations for kind in (operation.body, operation.answer) if kind is not None}
    _, schemas = msgspec.json.schema_components((ProblemDetails, *_ordered(types)), ref_template=REFERENCE)
    return schemas


def admin_operations() -> dict[tuple[str, str], dict[str, Any]]:
    """Each operation, by its path and method."""
    return {
        (PATH + operation.path, operation.method): _operation(resource, operation)
        for resource in RESOURCES
        for operation in resource.operations
    }


def _operation(resource: Resource, operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation_id(operation),
        "tags": ["administration"],
        "summary": operation.summary,
        "security": [{"administration": [resource.scope(operation)]}],
        "parameters": [*_in_path(operation), *_in_query(operation), *_in_header(resource, operation)],
        "responses": _responses(resource, operation),
    }
    if operation.body is not None:
        described["requestBody"] = body("application/json", reference(operation.body))
    return described


def operation_id(operation: Operation) -> str:
    words = re.findall(r"[a-z]+", _NAMES.sub("one", operation.path))
    return "-".join((operation.method.lower(), *words))


def reference(kind: type[Struct]) -> dict[str, Any]:
    [schema], _ = msgspec.json.schema_components((kind,), ref_template=REFERENCE)
    return schema


def _links(resource: Resource, operation: Operation) -> dict[str, Any]:
    """What can be done with what was made: the operations below its path, by the member that names it."""
    found = {}
    for other in resource.operations if operation.location is not None else ():
        below = other.path.removeprefix(f"{operation.path}/")
        if other.path != below and (name := _NAMES.match(below)):
            place = {name[1]: f"$response.body#/{name[1]}"}
            found[operation_id(other)] = {"operationId": operation_id(other), "parameters": place}
    return found


def _responses(resource: Resource, operation: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {
        "401": challenged("There is no valid access token, or its person has to prove again who they are."),
        "403": refused("The access token has not the scope value, or its holder not the role.", challenged=True),
        "413": plain("The request is too large."),
        "503": UNAVAILABLE,
    }
    if operation.answer is None:
        responses["204"] = {"description": "It is done."}
    else:
        headers = {"ETag": _TAG} if operation.tagged else {}
        if operation.location is not None:
            headers["Location"] = header("Where it is.")
        made = json_answer(operation.summary, reference(operation.answer), headers)
        responses[str(operation.status)] = made | ({"links": links} if (links := _links(resource, operation)) else {})
    problems: list[type[Problem]] = [Malformed, *operation.problems]
    if operation.body is not None:
        problems += [UnsupportedMediaType, Invalid]
    if _compares(resource, operation):
        problems.append(Stale)
    if operation.conditional:
        problems.append(PreconditionRequired)
    for problem in problems:
        if problem.status == 503:
            continue  # as every answer of that status
        responses[str(problem.status)] = {
            "description": problem.title,
            "content": {MEDIA_TYPE: {"schema": reference(ProblemDetails)}},
        }
    return dict(sorted(responses.items()))


def _in_path(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _NAMES.findall(operation.path)
    ]


def _in_query(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = msgspec.json.schema_components((operation.query,))[1][operation.query.__name__]
    return [
        {"name": name, "in": "query", "required": False, "schema": _given(member)}
        for name, member in schema["properties"].items()
    ]


def _given(member: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is left out is none; there is no null in a query."""
    kinds = [kind for kind in member.get("anyOf", [member]) if kind.get("type") != "null"]
    return {name: value for name, value in kinds[0].items() if name != "default"}


def _compares(resource: Resource, operation: Operation) -> bool:
    """Whether it takes If-Match: it changes or deletes what is shown with an entity tag."""
    shown = {other.path for other in resource.operations if other.reads and other.tagged}
    return operation.conditional or (operation.method == "DELETE" and operation.path in shown)


def _in_header(resource: Resource, operation: Operation) -> list[dict[str, Any]]:
    if not _compares(resource, operation):
        return []
    return [
        {
            "name": "If-Match",
            "in": "header",
            "required": operation.conditional,
            "schema": {"type": "string"},
            "description": "RFC 9110 section 13.1.1: the ETag that it had when it was read.",
        }
    ]


def _ordered(types: set[type[Struct]]) -> list[type[Struct]]:
    return sorted(types, key=lambda kind: (kind.__name__, kind.__module__))
