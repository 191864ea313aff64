"""RFC 6750 section 3.1, RFC 9470 section 3: why a request is not let through, for the log and for the caller."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

ErrorCode: TypeAlias = Literal[
    "invalid_request",
    "invalid_token",
    "invalid_dpop_proof",
    "insufficient_scope",
    "insufficient_user_authentication",
    "temporarily_unavailable",
]
"""What the caller is told: RFC 6750 section 3.1, RFC 9449 section 7.1, RFC 9470 section 3, RFC 6749's "come again"."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal. The caller learns `error` and `description`; `code`, `why` and `trace` are for the guard's log alone."""

    status: int
    code: str
    """Stable, for logs, metrics and tests: a code of `carnet.jose.JoseError`, or one of this package's."""
    error: ErrorCode | None
    """None when no token was sent: RFC 6750 section 3.1 asks for a challenge without an error then."""
    description: str
    why: str = ""
    """What was found and what was wanted; never a secret."""
    trace: tuple[str, ...] = ()
    """The rules that were looked at, in order."""
    scope: frozenset[str] = field(default=frozenset())
    """RFC 6750 section 3: what the token would need."""
    acr_values: tuple[str, ...] = ()
    """RFC 9470 section 3."""
    max_age: int | None = None
    """RFC 9470 section 3, in seconds."""
    retry_after: int | None = None
    """RFC 9110 section 10.2.3, in seconds."""
    scheme: Literal["Bearer", "DPoP"] = "Bearer"
    """Of the challenge: the one that the token came with."""
    resource_metadata: str | None = None
    """RFC 9728 section 5.1: where the service says from whom it takes tokens."""


class RefusedRequestError(Exception):
    """Carries a refusal up to the adapter, which answers it."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.description)
        self.refused = refused


def no_token() -> Refused:
    """RFC 6750 section 3.1: the request lacks any authentication information."""
    return Refused(
        401, "no_token", None, "This needs an access token in an Authorization header with the scheme Bearer."
    )


def malformed(code: str, why: str) -> Refused:
    """RFC 6750 section 3.1: not of the form, or sent in more than one way."""
    return Refused(
        400, code, "invalid_request", "Send one access token, in one Authorization header, as Bearer and b64token.", why
    )


def invalid_token(code: str, why: str) -> Refused:
    """RFC 6750 section 3.1: expired, revoked, malformed or not for this service; which of them is for the log."""
    return Refused(401, code, "invalid_token", "The access token is not valid here.", why)


def unready(why: str, *, retry_after: int, code: str = "guard_not_ready") -> Refused:
    """The guard cannot tell yet. Never 401, which would send every client to sign in again."""
    return Refused(
        503,
        code,
        "temporarily_unavailable",
        "Access tokens cannot be checked at the moment: try again shortly.",
        why,
        retry_after=retry_after,
    )
