"""RFC 6749 section 3.3: scope, a set of values in the order in which they were written."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

from carnet.oauth.errors import InvalidScopeError

Scope: TypeAlias = tuple[str, ...]

OPENID = "openid"
OFFLINE_ACCESS = "offline_access"

_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")


def parse(text: str | None) -> Scope:
    """Split a scope parameter; each value once.

    Raises:
        InvalidScopeError: a value has a character that section 3.3 does not allow, or is longer than 100 characters.
    """
    return _parse(text) if text else ()


@lru_cache(maxsize=256)
def _parse(text: str) -> Scope:
    """The scopes that are asked for are few; each is taken apart once."""
    values = tuple(dict.fromkeys(text.split(" ")))
    scope = tuple(value for value in values if value)
    if not all(_TOKEN.fullmatch(value) for value in scope):
        raise InvalidScopeError("The scope has a value that is not allowed.")
    return scope


def join(scope: Iterable[str]) -> str:
    return " ".join(scope)


def excess(asked: Iterable[str], allowed: Iterable[str]) -> Scope:
    """What is asked for beyond what is allowed."""
    limit = frozenset(allowed)
    return tuple(value for value in asked if value not in limit)


def narrow(asked: Scope, allowed: Scope) -> Scope:
    """What is asked for, which must be allowed; all that is allowed where nothing is asked for (RFC 6749 section 6).

    Raises:
        InvalidScopeError: more is asked for than is allowed.
    """
    beyond = excess(asked, allowed)
    if beyond:
        raise InvalidScopeError(f"The scope asks for more than is allowed: {join(beyond)}.")
    return asked or allowed
