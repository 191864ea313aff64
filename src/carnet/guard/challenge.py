"""RFC 6750 section 3, RFC 9449 section 7.1, RFC 9470 section 3, RFC 9728 section 5.1: a refusal as an HTTP answer."""

from dataclasses import dataclass

from carnet.guard.refusal import Refused
from carnet.jose.strict_json import encode_object
from carnet.oauth.challenge import challenge
from carnet.oauth.dpop import ALGORITHMS, SCHEME


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers with lower-case names, and a JSON body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def answer(refused: Refused) -> Answer:
    """The answer that the caller gets: the RFC's codes, and nothing of the reason that is for the log."""
    body = encode_object({"error": refused.error or "unauthorized", "error_description": refused.description})
    headers = [
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
    ]
    if refused.retry_after is not None:
        headers.append(("retry-after", str(refused.retry_after)))
    if refused.status != 503:
        headers.append(("www-authenticate", _challenge(refused)))
    return Answer(refused.status, tuple(headers), body)


def _challenge(refused: Refused) -> str:
    """The value of WWW-Authenticate; RFC 9449 section 7.1 wants the algorithms of proofs in it."""
    return challenge(
        refused.scheme,
        error=refused.error,
        error_description=refused.description if refused.error else None,
        scope=" ".join(sorted(refused.scope)) or None,
        acr_values=" ".join(refused.acr_values) or None,
        max_age=None if refused.max_age is None else str(refused.max_age),
        algs=" ".join(ALGORITHMS) if refused.scheme == SCHEME else None,
        resource_metadata=refused.resource_metadata,
    )
