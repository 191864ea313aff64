"""RFC 6749 section 3.1 and appendix B: parameters in application/x-www-form-urlencoded, read once and strictly."""

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

from carnet.oauth.errors import InvalidRequestError

MAX_LENGTH = 65_536
"""Bytes of a query or body: more is refused before it is parsed."""
MAX_COUNT = 100

REPEATABLE = frozenset({"resource", "audience"})
"""RFC 8707 section 2 and RFC 8693 section 2.1: the only ones that may come more than once."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Parameters:
    """The parameters of one request. An empty one is absent, an unknown one is ignored, a repeated one was refused."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> None:
        """Take the decoded pairs.

        Raises:
            InvalidRequestError: a parameter is repeated that must not be.
        """
        self._values: dict[str, tuple[str, ...]] = {}
        for name, value in pairs:
            if value == "":
                continue
            before = self._values.get(name, ())
            if before and name not in REPEATABLE:
                raise InvalidRequestError("A parameter is given more than once.", why=f"repeated: {name[:40]!r}")
            self._values[name] = (*before, value)

    def __repr__(self) -> str:
        return f"Parameters({', '.join(self._values)})"

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def get(self, name: str) -> str | None:
        values = self._values.get(name)
        return values[0] if values else None

    def require(self, name: str) -> str:
        """Its value.

        Raises:
            InvalidRequestError: it is absent or empty.
        """
        value = self.get(name)
        if value is None:
            raise InvalidRequestError(f"The parameter {name} is missing.")
        return value

    def all(self, name: str) -> tuple[str, ...]:
        """The values of a parameter that may be repeated."""
        return self._values.get(name, ())

    def pairs(self) -> list[tuple[str, str]]:
        """All of them, so that the same parameters can be made again."""
        return [(name, value) for name, values in self._values.items() for value in values]


def parse(encoded: bytes) -> Parameters:
    """Parse a query or a body.

    Raises:
        InvalidRequestError: it is too long, has too many parameters, is not UTF-8, holds control characters (appendix A
            allows none) or repeats a parameter (section 3.1).
    """
    if len(encoded) > MAX_LENGTH or encoded.count(b"&") >= MAX_COUNT:
        raise InvalidRequestError("The request has too many or too long parameters.")
    if _BROKEN_ESCAPE.search(encoded):
        raise InvalidRequestError("The parameters are not form-encoded.", why="a percent sign without two hex digits")
    try:
        text = encoded.decode("ascii")
        pairs = [_pair(part) for part in text.split("&") if part]
    except ValueError:
        raise InvalidRequestError("The parameters are not form-encoded UTF-8.") from None
    if _CONTROL.search(text) or ("%" in text and any(_CONTROL.search(part) for pair in pairs for part in pair)):
        raise InvalidRequestError("The parameters hold control characters.")
    return Parameters(pairs)


def _pair(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")
