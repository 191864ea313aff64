"""RFC 8259, RFC 7493 (I-JSON): JSON objects read strictly and kept read-only (rule J14).

msgspec parses; it refuses invalid UTF-8, byte order marks, NaN, lone surrogates and trailing text, but keeps the last of two
equal names. One walk over the result checks depth and numbers, makes it read-only, and counts its strings: the source has
exactly two quotation marks for each of them unless a member was dropped or a string has an escaped quotation mark. Only where the
counts differ does a second, exact parse decide.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from math import isfinite
from typing import Any, NoReturn, TypeAlias

from carnet.jose.errors import DuplicateMemberError, MalformedError, shown

MAX_DEPTH = 16
MAX_INTEGER = 2**53 - 1
"""RFC 7493 section 2.2: beyond it, programs disagree on a number."""


class _Codec:
    """msgspec takes as long to load as all that verifies: the first text loads it (or `prepare`), not the import."""

    @cached_property
    def decode(self) -> Callable[[bytes], Any]:
        from msgspec.json import Decoder  # noqa: PLC0415

        return Decoder().decode

    @cached_property
    def encode(self) -> Callable[[Any], bytes]:
        from msgspec.json import Encoder  # noqa: PLC0415

        return Encoder().encode

    @cached_property
    def unreadable(self) -> tuple[type[Exception], ...]:
        from msgspec import MsgspecError  # noqa: PLC0415

        return MsgspecError, UnicodeDecodeError


_codec = _Codec()


def prepare() -> None:
    """Load the parser now, so that the first token does not wait for it."""
    _codec.decode  # noqa: B018 - asking for it loads it


class JsonObject(dict[str, Any]):
    """A JSON object that cannot be changed; arrays inside of it are tuples."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("What was parsed is read-only: make a dict of it first.")

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = _refuse
    __ior__ = _refuse

    def __reduce__(self) -> tuple[type["JsonObject"], tuple[dict[str, Any]]]:
        return JsonObject, (dict(self),)


JsonValue: TypeAlias = Any
"""None, bool, int, float, str, a tuple of values, or a `JsonObject`."""


def parse_object(source: bytes) -> JsonObject:
    """Parse the JSON text of one object.

    Raises:
        DuplicateMemberError: a name comes twice in an object.
        MalformedError: anything else that is not strict JSON, is nested more than 16 deep, or has an integer beyond 2^53 - 1.
    """
    members = _parse(source)
    if members.__class__ is not dict:
        raise MalformedError("It is JSON, but not an object.")
    if source.count(b'"') != 2 * _freeze(members, 1):
        _refuse_duplicates(source)
    return JsonObject(members)


def parse_array(source: bytes) -> tuple[Any, ...]:
    """Parse the JSON text of one array, as strictly; raises as `parse_object`."""
    values = _parse(source)
    if values.__class__ is not list:
        raise MalformedError("It is JSON, but not an array.")
    frozen, strings = _frozen_array(values, 1)
    if source.count(b'"') != 2 * strings:
        _refuse_duplicates(source)
    return frozen


def _parse(source: bytes) -> Any:
    try:
        return _codec.decode(source)
    except _codec.unreadable:
        raise MalformedError("It is not JSON (RFC 8259) in UTF-8.") from None
    except RecursionError:
        raise _too_deep() from None


def encode_array(values: Iterable[Any]) -> bytes:
    """Write an array so that `parse_array` accepts it; raises as `encode_object`."""
    values = list(values)
    _check_values(values, 1)
    return _written(values)


def encode_object(members: Mapping[str, Any]) -> bytes:
    """Write an object so that `parse_object` accepts it.

    Raises:
        MalformedError: a value that JSON does not have (NaN, bytes, dates…), too deep, or an integer beyond 2^53 - 1.
    """
    if members.__class__ is not dict:
        members = dict(members)
    _check_object(members, 1)
    return _written(members)


def _written(value: Any) -> bytes:
    try:
        return _codec.encode(value)
    except UnicodeEncodeError:
        raise MalformedError("A string has a lone surrogate, which UTF-8 cannot write.") from None


def _freeze(members: dict[str, Any], depth: int) -> int:
    """Make the values read-only in place; the answer is how many strings there are, names included."""
    strings = len(members)
    for name, value in members.items():
        kind = value.__class__
        if kind is str:
            strings += 1
        elif kind is int:
            if not -MAX_INTEGER <= value <= MAX_INTEGER:
                raise _too_big()
        elif kind is list or kind is dict:
            members[name], inner = _frozen(value, depth + 1)
            strings += inner
    return strings


def _frozen_array(values: list[Any], depth: int) -> tuple[tuple[Any, ...], int]:
    strings = 0
    for index, value in enumerate(values):
        kind = value.__class__
        if kind is str:
            strings += 1
        elif kind is int:
            if not -MAX_INTEGER <= value <= MAX_INTEGER:
                raise _too_big()
        elif kind is list or kind is dict:
            values[index], inner = _frozen(value, depth + 1)
            strings += inner
    return tuple(values), strings


def _frozen(value: dict[str, Any] | list[Any], depth: int) -> tuple[JsonValue, int]:
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, list):
        return _frozen_array(value, depth)
    strings = _freeze(value, depth)
    return JsonObject(value), strings


def _refuse_duplicates(source: bytes) -> None:
    import json  # noqa: PLC0415 - hardly any token comes here

    try:
        json.loads(source, object_pairs_hook=_unique)
    except RecursionError:
        raise _too_deep() from None


def _unique(pairs: list[tuple[str, Any]]) -> None:
    names = set()
    for name, _ in pairs:
        if name in names:
            raise DuplicateMemberError(f"The member {shown(name)} comes twice in one object.")
        names.add(name)


def _check_object(members: dict[Any, Any], depth: int) -> None:
    for name, value in members.items():
        if name.__class__ is not str:
            raise MalformedError(f"The name {shown(name)} of a member is not a string.")
        if value.__class__ is not str:
            _check_value(value, depth)


def _check_value(value: Any, depth: int) -> None:
    kind = value.__class__
    if kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise _too_big()
    elif kind is dict or kind is JsonObject:
        if depth == MAX_DEPTH:
            raise _too_deep()
        _check_object(value, depth + 1)
    elif kind is list or kind is tuple:
        if depth == MAX_DEPTH:
            raise _too_deep()
        _check_values(value, depth + 1)
    elif kind is float:
        if not isfinite(value):
            raise MalformedError("NaN and infinities are not JSON numbers (RFC 8259 section 6).")
    elif kind is not bool and value is not None:
        raise MalformedError(f"JSON has no {kind.__name__}: write it as a string, a number, an array or an object.")


def _check_values(values: Iterable[Any], depth: int) -> None:
    for value in values:
        if value.__class__ is not str:
            _check_value(value, depth)


def _too_deep() -> MalformedError:
    return MalformedError(f"The JSON is nested more than {MAX_DEPTH} deep.")


def _too_big() -> MalformedError:
    return MalformedError("The JSON has an integer beyond 2^53 - 1, on which programs disagree (RFC 7493 section 2.2).")
