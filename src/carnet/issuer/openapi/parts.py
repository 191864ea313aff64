"""OpenAPI 3.1: what many operations have alike."""

from collections.abc import Mapping
from typing import Any

REFERENCE = "#/components/schemas/{name}"

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}


def named(name: str) -> dict[str, Any]:
    """A schema of the components."""
    return {"$ref": REFERENCE.format(name=name)}


def header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": TEXT}


def json_answer(description: str, schema: Schema, headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "content": {"application/json": {"schema": schema}}}
    return answer | ({"headers": dict(headers)} if headers else {})


def plain(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"text/plain": {"schema": TEXT}}}


_CHALLENGE = {"WWW-Authenticate": header("RFC 9110 section 11.6.1.")}


def refused(description: str, *, challenged: bool = False) -> dict[str, Any]:
    """RFC 6749 section 5.2."""
    return json_answer(description, named("OAuthError"), _CHALLENGE if challenged else None)


def challenged(description: str) -> dict[str, Any]:
    """RFC 6750 section 3.1: a request that brought no token is only told what is wanted, and gets no body."""
    return {"description": f"{description} What is refused has the body of an OAuthError.", "headers": _CHALLENGE}


UNAVAILABLE = json_answer(
    "The database does not answer.", named("OAuthError"), {"Retry-After": header("Seconds (RFC 9110 section 10.2.3).")}
)


def body(media_type: str, schema: Schema, *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "content": {media_type: {"schema": schema}}}
