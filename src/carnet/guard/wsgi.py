"""RFC 6750 for WSGI (PEP 3333): Flask and every other framework that is called that way.

    guard = Guard(issuer="https://id.example", audience="orders")
    application = guard.protect(application, require(scope="orders:read"))

Inside, `principal_in(environ)` answers the principal; `guard.admit(environ, requirement)` guards a single view.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Unpack

import httpx2

from carnet.ambient import SYSTEM, Ambient
from carnet.guard.challenge import answer
from carnet.guard.checkpoint import BlockingCheckpoint, Settings
from carnet.guard.principal import Principal
from carnet.guard.refusal import RefusedRequestError
from carnet.guard.requirement import ANY_PRINCIPAL, Requirement

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PRINCIPAL = "carnet.principal"


class Guard:
    """Guards a WSGI application. Its keys are kept fresh by a thread that begins with the first request."""

    def __init__(
        self, *, ambient: Ambient = SYSTEM, transport: httpx2.BaseTransport | None = None, **settings: Unpack[Settings]
    ) -> None:
        """`settings` are those of `carnet.guard.checkpoint.Settings`."""
        self.checkpoint = BlockingCheckpoint(ambient=ambient, transport=transport, **settings)

    def admit(self, environ: "WSGIEnvironment", requirement: Requirement = ANY_PRINCIPAL) -> Principal:
        """Admit a request, and note the principal in its environment.

        Several Authorization headers arrive joined by commas, which makes them malformed.

        Raises:
            RefusedRequestError: it may not pass, and why.
        """
        header = environ.get("HTTP_AUTHORIZATION")
        authorizations = [] if header is None else [header.encode("latin-1")]
        query = environ.get("QUERY_STRING", "").encode("latin-1")
        principal = self.checkpoint.admit(authorizations, requirement, query=query)
        environ[_PRINCIPAL] = principal
        return principal

    def protect(self, application: "WSGIApplication", requirement: Requirement = ANY_PRINCIPAL) -> "WSGIApplication":
        """An application that lets nothing through to `application` that does not meet the requirement."""

        def protected(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
            try:
                self.admit(environ, requirement)
            except RefusedRequestError as error:
                return refuse(error, start_response)
            return application(environ, start_response)

        return protected


def principal_in(environ: dict[str, Any]) -> Principal:
    """Whom an admitted request speaks for.

    Raises:
        LookupError: no guard has admitted it.
    """
    principal: Principal | None = environ.get(_PRINCIPAL)
    if principal is None:
        raise LookupError("No guard has admitted this request: put a requirement on its route.")
    return principal


def refuse(error: RefusedRequestError, start_response: "StartResponse") -> Iterable[bytes]:
    """Answer a refused request."""
    refusal = answer(error.refused)
    start_response(f"{refusal.status} {HTTPStatus(refusal.status).phrase}", list(refusal.headers))
    return [refusal.body]
