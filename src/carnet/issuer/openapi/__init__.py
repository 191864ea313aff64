"""OpenAPI 3.1: the whole HTTP surface as programs read it, made of the endpoints that are served and the types that they use."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from carnet import __version__
from carnet.issuer.config import Config
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.openapi.administration import admin_operations, admin_schemas, scopes
from carnet.issuer.openapi.protocol import PROTOCOL, SCHEMAS, page_operation
from carnet.issuer.openapi.signals import SIGNAL_SCHEMAS, SIGNALS

PROGRAMS = PROTOCOL | SIGNALS
"""What programs use beside the admin API."""

Served = tuple[tuple[str, str], ...]
"""Paths in Starlette's syntax, each with a method."""


def description(config: Config, endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The document of an issuer that serves these endpoints."""
    served = tuple((endpoint.path, method) for endpoint in endpoints for method in endpoint.methods)
    return _description(config.issuer, served)


@lru_cache(maxsize=8)
def _description(issuer: str, served: Served) -> dict[str, Any]:
    administration = admin_operations()
    paths: dict[str, dict[str, Any]] = {}
    for path, method in served:
        operation = administration.get((path, method)) or PROGRAMS.get((path, method)) or page_operation(path, method)
        paths.setdefault(written(path), {})[method.lower()] = operation
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Carnet",
            "version": __version__,
            "summary": "An OAuth 2.1 authorization server and OpenID Connect provider.",
            "description": "Clients find the endpoints of the protocols by discovery; the paths are these on this issuer.",
        },
        "servers": [{"url": issuer}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": SCHEMAS | SIGNAL_SCHEMAS | admin_schemas(),
            "securitySchemes": {
                "client": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "client_secret_basic; discovery says which other ways there are.",
                },
                "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "RFC 9068"},
                "registration": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "RFC 7591 section 3, RFC 7592 section 3.",
                },
                "administration": {
                    "type": "oauth2",
                    "description": f"An access token for {issuer}/api/admin, of somebody with the role ADMIN.",
                    "flows": {
                        "clientCredentials": {"tokenUrl": f"{issuer}/token", "scopes": scopes()},
                        "authorizationCode": {
                            "authorizationUrl": f"{issuer}/authorize",
                            "tokenUrl": f"{issuer}/token",
                            "scopes": scopes(),
                        },
                    },
                },
            },
        },
    }


def written(path: str) -> str:
    """A path in the syntax of OpenAPI: without Starlette's converters."""
    return path.replace(":path}", "}")
