"""RFC 8725 section 3.8: the issuer that a token names, read to choose whose keys it is tried with, and for nothing else."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

from carnet.guard.bearer import MAX_TOKEN
from carnet.jose import JoseError, base64url
from carnet.jose.strict_json import parse_object

T = TypeVar("T")


def chosen(others: Mapping[str, T], authorizations: Sequence[bytes]) -> T | None:
    """What is kept for the issuer that the token in the Authorization header names; None: nothing.

    Nothing is believed by it: whoever is chosen verifies the token, the name of the issuer included.
    """
    if len(authorizations) != 1:
        return None
    return others.get(_named_issuer(authorizations[0]) or "")


@lru_cache(maxsize=512)
def _named_issuer(authorization: bytes) -> str | None:
    if len(authorization) > 2 * MAX_TOKEN:
        return None
    segments = authorization.rpartition(b" ")[2].split(b".")
    if len(segments) != 3:
        return None
    try:
        issuer = parse_object(base64url.decode(segments[1])).get("iss")
    except JoseError:
        return None
    return issuer if isinstance(issuer, str) else None
