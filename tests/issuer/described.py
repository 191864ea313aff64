"""Holds answers against the issuer's own description: the status, the media type, and what a JSON body says."""

import json
import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx2
from jsonschema_rs import Draft202012Validator

from carnet.issuer.openapi import description, written


class UndescribedError(AssertionError):
    """An answer that the description does not know."""


def check(response: httpx2.Response, config: Any, endpoints: Any) -> None:
    """Raises UndescribedError. Paths that nothing answers, methods that none has, and preflights are no concern of the description."""
    request = response.request
    path = request.url.path.removeprefix(urlsplit(config.issuer).path)
    if response.status_code in {404, 405, 421} and response.headers.get("content-type", "").startswith("text/plain"):
        return
    method = "GET" if request.method == "HEAD" else request.method
    template = _template(path, tuple(endpoint.path for endpoint in endpoints))
    if method == "OPTIONS" or template is None:
        return
    document = description(config, endpoints)
    operations = document["paths"][written(template)]
    if method.lower() not in operations and response.status_code in {401, 405}:
        return  # 401: the admin API says what it has only to whom it knows
    responses = operations[method.lower()]["responses"]
    described = responses.get(str(response.status_code))
    where = f"{method} {template}"
    if described is None:
        raise UndescribedError(f"{where} answers {response.status_code}; described are {', '.join(responses)}.")
    content = described.get("content")
    if content is None or request.method == "HEAD" or not response.content:
        return
    media_type = response.headers.get("content-type", "").partition(";")[0]
    if media_type not in content:
        raise UndescribedError(f"{where}, {response.status_code}: {media_type}; described are {', '.join(content)}.")
    if media_type.endswith("json"):
        error = next(_validator(content[media_type]["schema"], document).iter_errors(response.json()), None)
        if error is not None:
            raise UndescribedError(f"{where}, {response.status_code}: {error.message}")


_validators: dict[tuple[int, str], Draft202012Validator] = {}


def _validator(schema: dict[str, Any], document: dict[str, Any]) -> Draft202012Validator:
    """Made once for each schema of a description, of which there is one for each issuer."""
    key = id(document), json.dumps(schema)
    if key not in _validators:
        _validators[key] = Draft202012Validator(schema | {"components": document["components"]})
    return _validators[key]


@cache
def _template(path: str, templates: tuple[str, ...]) -> str | None:
    """The described path that a request's path is; literal ones go first, as in the application."""
    if path in templates:
        return path
    for template in templates:
        pattern = re.sub(r"\\{\w+(:path)?\\}", lambda part: ".+" if part[1] else "[^/]+", re.escape(template))
        if pattern != re.escape(template) and re.fullmatch(pattern, path):
            return template
    return None
