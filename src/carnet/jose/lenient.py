"""RFC 8259, RFC 4648: decode what may be malformed, and name what is wrong instead of refusing it.

Only inspection uses this. What decides by a token decodes with `base64url` and `strict_json`.
"""

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

_DEEPEST_ALLOWED: Final = 16
_DEEPEST_SHOWN: Final = 64
_NAMED_AT_MOST: Final = 20
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_OUTSIDE_ALPHABET: Final = re.compile(r"[^A-Za-z0-9_-]")
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")

Pairs: TypeAlias = list[tuple[str, Any]]
"""A JSON object's members in their order, repeated ones included."""


def decode(segment: str, where: str, defects: list[str]) -> bytes:
    """RFC 7515 section 2: base64url without padding; what is wrong is named, and the rest decoded.

    `where` begins the sentences: `The header`.
    """
    cleaned = segment
    if _OUTSIDE_ALPHABET.search(segment):
        defects.append(f"{where} has characters that are not base64url (only A-Z a-z 0-9 - _ are).")
        cleaned = _OUTSIDE_ALPHABET.sub("", segment.replace("+", "-").replace("/", "_"))
    if len(cleaned) % 4 == 1:
        defects.append(f"{where} has a length that base64url never has; a character is missing or too many.")
        cleaned = cleaned[:-1]
    decoded = base64.urlsafe_b64decode(cleaned + "=" * (-len(cleaned) % 4))
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != cleaned:
        defects.append(f"The last character of {where[:1].lower()}{where[1:]} has bits that do not belong there.")
    return decoded


def json_value(raw: bytes, where: str, defects: list[str]) -> Any:
    """RFC 8259 as strict readers want it (UTF-8, no repeated members, no NaN); what deviates is named, the rest returned.

    `None` if nothing can be shown.
    """
    text = _utf8(raw, where, defects)
    deepest = _depth(text)
    if deepest > _DEEPEST_ALLOWED:
        defects.append(f"{where} is nested {deepest} levels deep; strict readers stop at {_DEEPEST_ALLOWED}.")
    if deepest > _DEEPEST_SHOWN:
        return None

    def odd(constant: str) -> str:
        defects.append(f"{where} has the number {constant}, which is not JSON.")
        return constant

    def integer(digits: str) -> int | str:
        if len(digits) > 16:
            defects.append(f"{where} has an integer of {len(digits)} digits, which readers round differently.")
        return int(digits) if len(digits) <= 20 else digits

    def fraction(digits: str) -> float | str:
        number = float(digits)
        return number if math.isfinite(number) else odd(digits)

    try:
        return json.loads(text, object_pairs_hook=_Object, parse_constant=odd, parse_int=integer, parse_float=fraction)
    except json.JSONDecodeError as error:
        defects.append(f"{where} is not JSON: {error.msg[:1].lower()}{error.msg[1:]} at character {error.pos + 1}.")
        return None


def _utf8(raw: bytes, where: str, defects: list[str]) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        defects.append(f"{where} is not UTF-8 text.")
        text = raw.decode("utf-8", "replace")
    if text.startswith("\ufeff"):
        defects.append(f"{where} begins with a byte order mark.")
    return text.removeprefix("\ufeff")


class _Object(dict[str, Any]):
    """A JSON object that remembers repeated members."""

    def __init__(self, pairs: Pairs) -> None:
        super().__init__(pairs)
        self.pairs = pairs

    def repeated(self) -> set[str]:
        """The names that occur more than once."""
        return {name for name, count in Counter(name for name, _ in self.pairs).items() if count > 1}


def json_object(raw: bytes, where: str, defects: list[str]) -> Pairs | None:
    """The members of the JSON object that `raw` is, or `None` if it is none."""
    if not raw:
        defects.append(f"{where} is empty.")
        return None
    value = json_value(raw, where, defects)
    if not isinstance(value, _Object):
        if value is not None:
            defects.append(f"{where} is not a JSON object.")
        return None
    repeated = sorted({name for each in _objects(value) for name in each.repeated()})
    defects.extend(
        f"{where} has the member {name!r} more than once; readers may disagree on which one counts."
        for name in repeated[:_NAMED_AT_MOST]
    )
    if any(_LONE_SURROGATE.search(text) for text in _texts(value)):
        defects.append(f"{where} has half of a character pair (a lone surrogate).")
    return [(plain(name), plain(content)) for name, content in value.pairs]


def plain(value: Any) -> Any:
    """The value as plain JSON that can be printed and sent."""
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {plain(name): plain(content) for name, content in value.items()}
    if isinstance(value, list):
        return [plain(element) for element in value]
    return value


def _objects(value: Any) -> Iterator[_Object]:
    if isinstance(value, _Object):
        yield value
    if isinstance(value, dict | list):
        for content in value.values() if isinstance(value, dict) else value:
            yield from _objects(content)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, content in value.items():
            yield name
            yield from _texts(content)
    elif isinstance(value, list):
        for element in value:
            yield from _texts(element)


def _depth(text: str) -> int:
    """How deep brackets are nested outside of strings."""
    deepest = depth = 0
    for character in _STRING.sub("", text):
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest
