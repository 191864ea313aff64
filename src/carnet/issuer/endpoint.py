"""What an endpoint is: a path, its methods, and a function of the request and the desk."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.config import Config
from carnet.issuer.desk import Desk

Answer: TypeAlias = Callable[[Request, Desk], Awaitable[Response]]

Cors: TypeAlias = Literal["never", "clients", "any"]
"""Whose scripts may read the answer: nobody's; those of the registered clients' origins; everybody's (public facts)."""


def _always(_config: Config) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One URL. A module in `endpoints` ends with `ENDPOINTS = (Endpoint(…), …)`; `app.py` lists the modules."""

    path: str
    """In Starlette's syntax, such as `/account/sessions/{sid}`."""
    methods: tuple[str, ...]
    answer: Answer
    metadata: str | None = None
    """The member of the RFC 8414 metadata that names this endpoint's URL, such as `token_endpoint`."""
    cors: Cors = "never"
    mtls: bool = False
    """RFC 8705 section 5: whether clients come to it with certificates, under its alias where there is one."""
    served: Callable[[Config], bool] = _always
    """Whether the settings turn it on; one that is off is neither there nor in the metadata."""
