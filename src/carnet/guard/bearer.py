"""RFC 6750 section 2.1, OAuth 2.1 section 5.1: the access token of a request, from its Authorization header alone."""

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import unquote_plus

from carnet.guard.refusal import RefusedRequestError, invalid_token, malformed, no_token

MAX_TOKEN = 8 * 1024
"""Characters (rule J20): longer ones are refused before anything is decoded."""

_B64TOKEN = re.compile(rb"[A-Za-z0-9\-._~+/]+=*")


def bearer_token(authorizations: Sequence[bytes], *, query: bytes = b"") -> str:
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
    token = _token(authorizations[0])
    if b"access_token" in query or b"%" in query:
        _refuse_in_query(query)
    return token


@lru_cache(maxsize=512)
def _token(authorization: bytes) -> str:
    """The same clients send the same header again and again: reading it once spares a guard half of its work."""
    scheme, _, credentials = authorization.strip(b" \t").partition(b" ")
    if scheme.lower() != b"bearer":
        raise RefusedRequestError(no_token())
    token = credentials.lstrip(b" ")
    if len(token) > MAX_TOKEN:
        raise RefusedRequestError(
            invalid_token("too_large", f"The token has {len(token)} characters; at most {MAX_TOKEN} are read.")
        )
    if _B64TOKEN.fullmatch(token) is None:
        raise RefusedRequestError(malformed("malformed_header", "What follows Bearer is not one b64token."))
    return token.decode("ascii")


def _refuse_in_query(query: bytes) -> None:
    for part in re.split(rb"[&;]", query):
        if unquote_plus(part.partition(b"=")[0].decode("latin-1")) == "access_token":
            raise RefusedRequestError(
                malformed("several_tokens", "There is a token in the query besides the Authorization header.")
            )
