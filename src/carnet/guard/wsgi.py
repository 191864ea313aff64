"""RFC 6750 for WSGI (PEP 3333): Flask and every other framework that is called that way.

    guard = Guard(issuer="https://id.example", audience="orders")
    application = guard.protect(application, require(scope="orders:read"))

Inside, `principal_in(environ)` answers the principal; `guard.admit(environ, requirement)` guards a single view.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import urlsplit
from wsgiref.util import request_uri

import httpx2

from carnet.ambient import SYSTEM, Ambient
from carnet.guard.bearer import needs_proof
from carnet.guard.challenge import answer
from carnet.guard.checkpoint import BlockingCheckpoint, Settings
from carnet.guard.held_answer import CutError
from carnet.guard.held_socket import PAUSE
from carnet.guard.possession import Possession
from carnet.guard.principal import Principal
from carnet.guard.refusal import RefusedRequestError
from carnet.guard.requirement import ANY_PRINCIPAL, Requirement
from carnet.guard.resource import HEADERS

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
        authorizations = _authorizations(environ)
        query = environ.get("QUERY_STRING", "").encode("latin-1")
        possession = self._possession(environ) if self._proves(environ, authorizations) else None
        principal = self.checkpoint.admit(authorizations, requirement, query=query, possession=possession)
        environ[_PRINCIPAL] = principal
        return principal

    def _proves(self, environ: "WSGIEnvironment", authorizations: Sequence[bytes]) -> bool:
        """Whether what the request proves is worth gathering."""
        by_certificate = "SSL_CLIENT_CERT" in environ or self.checkpoint.certificates.speaks(environ.get("REMOTE_ADDR"))
        return by_certificate or needs_proof(authorizations)

    def _possession(self, environ: "WSGIEnvironment") -> Possession:
        """What a DPoP proof names, the request's method and its URL; and the certificate.

        What comes in several headers arrives joined, which makes it no proof and no certificate.
        """
        url = request_uri(environ, include_query=False)
        if self.checkpoint.origin is not None:
            url = self.checkpoint.origin + urlsplit(url).path
        proof = environ.get("HTTP_DPOP")
        return Possession(
            method=environ["REQUEST_METHOD"],
            url=url,
            proofs=() if proof is None else (proof.encode("latin-1"),),
            certificate=lambda: self._certificate(environ),
        )

    def _certificate(self, environ: "WSGIEnvironment") -> bytes | None:
        """Where a trusted proxy asks, what it has passed; else what mod_ssl says, or a server like it."""
        source = self.checkpoint.certificates
        if not source.speaks(environ.get("REMOTE_ADDR")):
            return environ.get("SSL_CLIENT_CERT", "").encode("latin-1") or None
        headers = (pair for pair in environ.items() if pair[0].startswith("HTTP_"))
        return source.passed((name[5:].encode("latin-1"), str(value).encode("latin-1")) for name, value in headers)

    def protect(self, application: "WSGIApplication", requirement: Requirement = ANY_PRINCIPAL) -> "WSGIApplication":
        """An application that lets nothing through to `application` that does not meet the requirement."""
        published = self.checkpoint.published

        def protected(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
            here = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            if published is not None and here == published.path and environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
                start_response("200 OK", list(HEADERS))
                return [published.document if environ["REQUEST_METHOD"] == "GET" else b""]
            try:
                self.admit(environ, requirement)
            except RefusedRequestError as error:
                return refuse(error, start_response)
            return self.held(application(environ, start_response), environ, requirement)

        return protected

    def held(
        self, pieces: Iterable[bytes], environ: "WSGIEnvironment", requirement: Requirement = ANY_PRINCIPAL
    ) -> Iterable[bytes]:
        """An admitted request's answer, which is cut before a piece that comes after its token was refused.

        Between two pieces a thread cannot look: whoever sends little sends something now and then.
        """
        if requirement.long_answers == "finish" or isinstance(pieces, (list, tuple)):
            return pieces
        authorizations = _authorizations(environ)
        recheck = partial(self.checkpoint.readmit, authorizations, requirement)
        return _HeldPieces(pieces, recheck, self.checkpoint.monotonic)


class _HeldPieces:
    """An answer in pieces, each looked at again if the last look is a while ago."""

    def __init__(self, pieces: Iterable[bytes], recheck: Callable[[], object], monotonic: Callable[[], float]) -> None:
        self._pieces = pieces
        self._recheck = recheck
        self._monotonic = monotonic
        self._looked = monotonic()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if self._monotonic() - self._looked >= PAUSE:
                try:
                    self._recheck()
                except RefusedRequestError as error:
                    raise CutError("The access token is not good any more.") from error
                self._looked = self._monotonic()
            yield piece

    def close(self) -> None:
        """PEP 3333: called by the server in any case."""
        if hasattr(self._pieces, "close"):
            self._pieces.close()


def _authorizations(environ: "WSGIEnvironment") -> list[bytes]:
    header = environ.get("HTTP_AUTHORIZATION")
    return [] if header is None else [header.encode("latin-1")]


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
