"""RFC 7519 section 2 and the IANA registries: what a single value of a token says, in words."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from carnet.ambient import Instant
from carnet.jose.registered import ALGORITHMS, AUTHENTICATION_METHODS, TYPES

_LAST_INSTANT: Final = 253_402_300_799
"""9999-12-31T23:59:59Z, the last moment that has a date in four digits."""

_UNITS: Final = (("year", 31_557_600), ("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_DATES: Final = frozenset({"exp", "nbf", "iat", "auth_time", "updated_at", "toe", "event_timestamp"})


def span(seconds: int) -> str:
    """A length of time in its two largest units: `4 min 10 s`."""
    if seconds < 1:
        return "0 s"
    largest = next(index for index, (_, size) in enumerate(_UNITS) if seconds >= size)
    words = []
    for unit, size in _UNITS[largest : largest + 2]:
        count, seconds = divmod(seconds, size)
        if count:
            words.append(f"{count} {unit}{'s' * (count != 1 and unit in {'year', 'day'})}")
    return " ".join(words)


def instant(name: str, value: Any) -> Instant | None:
    """The moment that the member of this name and value is, if it is one."""
    if name not in _DATES or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= _LAST_INSTANT else None


def utc(moment: Instant) -> str:
    """The moment as `2020-08-28 10:05:48 UTC`."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _distance(moment: Instant, at: Instant) -> str:
    if moment == at:
        return "now"
    return f"{span(at - moment)} ago" if moment < at else f"in {span(moment - at)}"


def _date(name: str, value: Any, at: Instant) -> str | None:
    moment = instant(name, value)
    if moment is None:
        if not isinstance(value, bool) and isinstance(value, int | float) and value > _LAST_INSTANT:
            return "after the year 9999: perhaps milliseconds, where seconds are wanted"
        return "not a date: it must be a number of seconds since 1970-01-01 00:00:00 UTC"
    distance = _distance(moment, at)
    if name == "exp":
        return f"{utc(moment)}, {'expired' if moment <= at else 'expires'} {distance}"
    if name == "nbf":
        return f"{utc(moment)}, valid {'since ' + span(at - moment) if moment < at else distance}"
    return f"{utc(moment)}, {distance}"


def _algorithm(value: Any) -> str | None:
    if isinstance(value, str) and value.lower() == "none":
        return ALGORITHMS["none"]
    return ALGORITHMS.get(value) if isinstance(value, str) else "not a name"


def _type(value: Any) -> str | None:
    return TYPES.get(value.lower().removeprefix("application/")) if isinstance(value, str) else "not a media type"


def _methods(value: Any) -> str | None:
    if not isinstance(value, list):
        return "not a list"
    return ", ".join(AUTHENTICATION_METHODS.get(name, name) for name in value if isinstance(name, str)) or None


def _confirmation(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "not an object"
    means = {
        "jkt": "bound to a DPoP key (RFC 9449)",
        "x5t#S256": "bound to a TLS client certificate (RFC 8705)",
        "jwk": "bound to the key given here (RFC 7800)",
        "kid": "bound to the key of that name (RFC 7800)",
    }
    return ", ".join(text for name, text in means.items() if name in value) or None


def _use(value: Any) -> str | None:
    return {"sig": "signatures", "enc": "encryption"}.get(value) if isinstance(value, str) else None


def _family(value: Any) -> str | None:
    families = {
        "RSA": "RSA",
        "EC": "elliptic curve",
        "OKP": "Edwards or Montgomery curve (RFC 8037)",
        "oct": "a shared secret",
        "AKP": "a key of one algorithm (RFC 9964)",
    }
    return families.get(value) if isinstance(value, str) else None


_READERS: Final[Mapping[str, Callable[[Any], str | None]]] = MappingProxyType(
    {
        "alg": _algorithm,
        "enc": _algorithm,
        "typ": _type,
        "cty": _type,
        "amr": _methods,
        "cnf": _confirmation,
        "use": _use,
        "kty": _family,
    }
)


def read(name: str, value: Any, *, at: Instant) -> str | None:
    """What the value of the member of that name says, or `None` if it speaks for itself."""
    if name in _DATES:
        return _date(name, value, at)
    reader = _READERS.get(name)
    return reader(value) if reader else None
