"""RFC 6750 section 2.1, RFC 9449 section 7.1: the access token of a request, from its Authorization header alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote_plus

from carnet.guard.refusal import RefusedRequestError, invalid_token, malformed, no_token

MAX_TOKEN = 8 * 1024
"""Characters (rule J20): longer ones are refused before anything is decoded."""

_B64TOKEN = re.compile(rb"[A-Za-z0-9\-._~+/]+=*")


@dataclass(frozen=True, slots=True)
class Presented:
    """An access token as it came."""

    token: str = field(repr=False)
    bound: bool
    """Whether it came with the scheme DPoP."""


def presented_token(authorizations: Sequence[bytes], *, query: bytes = b"") -> Presented:
    """Take the token out of the values of all Authorization headers.

    A token in the query is not looked at (OAuth 2.1 section 5.1), but together with the header it makes two methods, which
    RFC 6750 section 2 forbids.

    Raises:
        RefusedRequestError: none was sent (401), it is not of the form or there are several (400), it is too long (401).
    """
    if not authorizations:
        raise RefusedRequestError(no_token())
    if len(authorizations) > 1:
        raise RefusedRequestError(malformed("several_tokens", "There are several Authorization headers."))
    presented = _presented(authorizations[0])
    if b"access_token" in query or b"%" in query:
        _refuse_in_query(query)
    return presented


def needs_proof(authorizations: Sequence[bytes]) -> bool:
    """Whether what a proof is held against is worth gathering: the token comes with the scheme DPoP."""
    return bool(authorizations) and authorizations[0].lstrip(b" \t")[:5].lower() == b"dpop "


def bearer_token(authorizations: Sequence[bytes], *, query: bytes = b"") -> str:
    """The same for whoever cannot check a proof.

    Raises:
        RefusedRequestError: as `presented_token`, or the scheme is another than Bearer.
    """
    presented = presented_token(authorizations, query=query)
    if presented.bound:
        raise RefusedRequestError(no_token())
    return presented.token


@lru_cache(maxsize=512)
def _presented(authorization: bytes) -> Presented:
    """The same clients send the same header again and again: reading it once spares a guard half of its work."""
    scheme, _, credentials = authorization.strip(b" \t").partition(b" ")
    kind = scheme.lower()
    if kind not in {b"bearer", b"dpop"}:
        raise RefusedRequestError(no_token())
    token = credentials.lstrip(b" ")
    if len(token) > MAX_TOKEN:
        raise RefusedRequestError(
            invalid_token("too_large", f"The token has {len(token)} characters; at most {MAX_TOKEN} are read.")
        )
    if _B64TOKEN.fullmatch(token) is None:
        raise RefusedRequestError(malformed("malformed_header", "What follows the scheme is not one b64token."))
    return Presented(token.decode("ascii"), bound=kind == b"dpop")


def _refuse_in_query(query: bytes) -> None:
    for part in re.split(rb"[&;]", query):
        if unquote_plus(part.partition(b"=")[0].decode("latin-1")) == "access_token":
            raise RefusedRequestError(
                malformed("several_tokens", "There is a token in the query besides the Authorization header.")
            )
