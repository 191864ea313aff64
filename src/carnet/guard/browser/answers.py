"""What a browser back end answers by itself: redirects, and JSON whose `error` its browser module knows."""

import logging
from collections.abc import Mapping

from starlette.responses import JSONResponse, RedirectResponse, Response

from carnet.guard.browser.forgery import ForgedError
from carnet.guard.browser.proxy import UpstreamError
from carnet.guard.issuer_client import IssuerUnavailableError

_log = logging.getLogger("carnet.guard.browser")


def redirect(location: str) -> Response:
    """RFC 9700 section 4.12: 303, so that nothing of the request is sent again."""
    return RedirectResponse(location, 303, {"cache-control": "no-store", "referrer-policy": "no-referrer"})


def document(members: Mapping[str, object], *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(
        members, status, {"cache-control": "no-store", "x-content-type-options": "nosniff"} | dict(headers or {})
    )


def problem(status: int, error: str, description: str, headers: Mapping[str, str] | None = None) -> Response:
    return document({"error": error, "error_description": description}, status=status, headers=headers)


def signed_out(*, ended: bool) -> Response:
    """The front end's cue to sign in; the scheme is no registered one, so that no browser asks for a password."""
    challenge = {"www-authenticate": "Carnet-Session"}
    if ended:
        return problem(401, "session_ended", "The session has ended: sign in again.", challenge)
    return problem(401, "session_required", "This needs a signed-in browser.", challenge)


def forged(error: ForgedError) -> Response:
    _log.info("refused: request_forged: %s", error)
    return problem(403, "request_forged", "This request did not come from the front end's own pages.")


def unavailable(error: IssuerUnavailableError) -> Response:
    _log.warning("The issuer does not answer: %s", error)
    return problem(
        503, "temporarily_unavailable", "The sign-in service does not answer: try again shortly.", {"retry-after": "5"}
    )


def upstream_failed(error: UpstreamError) -> Response:
    _log.warning("An upstream failed: %s", error)
    sentences = {
        413: "The request's body is too long.",
        502: "The service behind this did not answer usably.",
        504: "The service behind this took too long to answer.",
    }
    return problem(error.status, "upstream_failed", sentences[error.status])
