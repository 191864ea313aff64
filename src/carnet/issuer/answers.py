"""RFC 6749 sections 5.1 and 5.2, RFC 6750 section 3: requests read from the wire, and answers as programs get them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.config import Config
from carnet.oauth import dpop
from carnet.oauth.challenge import challenge
from carnet.oauth.errors import (
    InsufficientScopeError,
    InsufficientUserAuthenticationError,
    InvalidClientError,
    InvalidTokenError,
    OAuthError,
    TemporarilyUnavailableError,
    TokenMisplacedError,
    UnsupportedMediaTypeError,
    UseDpopNonceError,
)
from carnet.oauth.metadata import protected_resource_url
from carnet.oauth.parameters import Parameters, parse

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}

FORM = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> Parameters:
    """RFC 6749 section 3.2: the parameters of a POST, which come in its body and nowhere else.

    Raises:
        UnsupportedMediaTypeError: the body is not a form.
        InvalidRequestError: as `parse`.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise UnsupportedMediaTypeError(f"The request's Content-Type is not {FORM}.")
    return parse(await request.body())


def json_answer(
    document: Mapping[str, Any] | Sequence[Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """JSON, not to be stored unless `headers` say otherwise."""
    return Response(
        msgspec.json.encode(document),
        status,
        headers={"Content-Type": "application/json", **(NO_STORE if headers is None else headers)},
    )


def refusal(error: OAuthError, config: Config) -> Response:
    """The RFC's JSON, status and challenge for an error."""
    response = json_answer(error.to_json(), status=error.status)
    demanded = _challenge(error, realm=config.issuer)
    if demanded is not None:
        response.headers["WWW-Authenticate"] = demanded
    if isinstance(error, UseDpopNonceError):
        response.headers[dpop.NONCE_HEADER] = error.nonce
    if isinstance(error, TemporarilyUnavailableError):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def token_wanted(config: Config, resource: str) -> Response:
    """RFC 6750 section 3.1: a request without a token, or with something else, is told what is wanted, and nothing of errors.

    RFC 9728 section 5.1: and where to learn more of the resource.
    """
    more = protected_resource_url(resource)
    bearer = challenge("Bearer", realm=config.issuer, resource_metadata=more)
    bound = challenge(dpop.SCHEME, algs=" ".join(dpop.ALGORITHMS), resource_metadata=more)
    return Response(status_code=401, headers={"WWW-Authenticate": f"{bearer}, {bound}", **NO_STORE})


def token_refused(error: OAuthError, config: Config) -> Response:
    """RFC 9449 section 7.1: what a bound token's request is told."""
    response = refusal(error, config)
    response.status_code = max(error.status, 401)
    response.headers["WWW-Authenticate"] = challenge(
        dpop.SCHEME, realm=config.issuer, **_told(error), algs=" ".join(dpop.ALGORITHMS)
    )
    return response


def _challenge(error: OAuthError, *, realm: str) -> str | None:
    if isinstance(error, InvalidClientError):
        return challenge("Basic", realm=realm, charset="UTF-8")
    if isinstance(
        error, InvalidTokenError | TokenMisplacedError | InsufficientScopeError | InsufficientUserAuthenticationError
    ):
        return challenge("Bearer", realm=realm, **_told(error))
    return None


def _told(error: OAuthError) -> dict[str, str | None]:
    """RFC 6750 section 3, RFC 9470 section 3: what a challenge says of an error."""
    told: dict[str, str | None] = {"error": error.code, "error_description": error.description}
    if isinstance(error, InsufficientScopeError):
        told["scope"] = error.scope
    if isinstance(error, InsufficientUserAuthenticationError):
        told |= {"acr_values": error.acr_values, "max_age": str(error.max_age)}
    return told
