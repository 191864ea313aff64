"""RFC 7519 section 4.1, RFC 8725 sections 3.8 to 3.12: the rules of registered claims and of `typ`."""

from collections.abc import Collection, Mapping
from typing import Any

from carnet.ambient import Instant
from carnet.jose.errors import (
    AudienceMismatchError,
    ClaimError,
    ExpiredError,
    IssuedInFutureError,
    IssuerMismatchError,
    MissingClaimError,
    NotYetValidError,
    TypeMismatchError,
    shown,
)

_PREFIX = "application/"
_STRINGS = ("sub", "jti")
_LIMIT = 2**53


def media_type(typ: str) -> str:
    """RFC 7515 section 4.1.9, RFC 8725 section 3.11: `typ` as it is compared: lower case, without `application/`."""
    name = typ.lower()
    rest = name.removeprefix(_PREFIX)
    return name if "/" in rest else rest


def check_type(typ: str | None, wanted: Collection[str | None]) -> None:
    """Refuse another kind of token; `wanted` are media types as `media_type` gives them, None where `typ` may be absent.

    Raises:
        TypeMismatchError
    """
    if (None if typ is None else media_type(typ)) not in wanted:
        names = " or ".join(repr(name) if name is not None else "none" for name in wanted)
        raise TypeMismatchError(f"The token's type is {shown(typ)}, wanted {names}.")


def date(claims: Mapping[str, Any], name: str) -> int | float | None:
    """A NumericDate (RFC 7519 section 2), None if it is absent.

    Raises:
        ClaimError: it is not a finite number of seconds from 0 to below 2^53.
    """
    if name not in claims:
        return None
    value = claims[name]
    if (value.__class__ is int or value.__class__ is float) and 0 <= value < _LIMIT:  # a bool is of neither class
        checked: int | float = value
        return checked
    raise ClaimError(f"The claim {name!r} is not a number of seconds since 1970 (RFC 7519 section 2).", claim=name)


def check_times(claims: Mapping[str, Any], *, at: Instant, leeway: int) -> tuple[float, float]:
    """RFC 7519 sections 4.1.4 to 4.1.6. The answer is when the claims begin and cease to hold: begin <= at < end.

    Raises:
        ExpiredError, NotYetValidError, IssuedInFutureError, ClaimError
    """
    begin, end = float("-inf"), float("inf")
    expires_at = date(claims, "exp")
    if expires_at is not None:
        end = expires_at + leeway
        if at >= end:
            raise ExpiredError(f"The token expired {at - expires_at:g} s ago.", claim="exp")
    not_before = date(claims, "nbf")
    if not_before is not None:
        begin = not_before - leeway
        if at < begin:
            raise NotYetValidError(f"The token is not valid for another {not_before - at:g} s.", claim="nbf")
    issued_at = date(claims, "iat")
    if issued_at is not None:
        issued = issued_at - leeway
        if at < issued:
            raise IssuedInFutureError(f"The token was issued {issued_at - at:g} s in the future.", claim="iat")
        begin = max(begin, issued)
    return begin, end


def check_age(claims: Mapping[str, Any], *, at: Instant, max_age: int, leeway: int) -> None:
    """Refuse what was issued `max_age` seconds ago or earlier; `check_times` has checked that `iat` is a date.

    Raises:
        ClaimError
    """
    if at >= claims["iat"] + max_age + leeway:
        raise ClaimError(f"It was issued {at - claims['iat']:g} s ago, at most {max_age} s are accepted.", claim="iat")


def check_issuer(claims: Mapping[str, Any], wanted: str) -> None:
    """Rule J19: exact equality of strings.

    Raises:
        IssuerMismatchError, MissingClaimError
    """
    found = claims.get("iss")
    if found != wanted:
        if found is None:
            raise MissingClaimError("The token has no issuer ('iss').", claim="iss")
        raise IssuerMismatchError(f"The issuer is {shown(found)}, wanted {wanted!r}.", claim="iss")


def check_audience(claims: Mapping[str, Any], wanted: Collection[str]) -> None:
    """Rule J19, RFC 7519 section 4.1.3: a string or an array of strings, one of which is exactly a wanted one.

    Raises:
        AudienceMismatchError, MissingClaimError, ClaimError
    """
    found = claims.get("aud")
    if found.__class__ is str:
        if found in wanted:
            return
    elif isinstance(found, tuple):
        for name in found:
            if name.__class__ is not str:
                raise ClaimError("The claim 'aud' is not a string or an array of strings.", claim="aud")
        if any(name in wanted for name in found):
            return
    elif found is None:
        raise MissingClaimError("The token has no audience ('aud'); a token for nobody is for anybody.", claim="aud")
    else:
        raise ClaimError("The claim 'aud' is not a string or an array of strings.", claim="aud")
    raise AudienceMismatchError(
        f"The audience is {shown(found)}, wanted {' or '.join(map(repr, wanted))}.", claim="aud"
    )


def check_presence(claims: Mapping[str, Any], required: Collection[str], forbidden: Collection[str] = ()) -> None:
    """RFC 8725 section 3.12: what a kind of token must and must not have.

    Raises:
        MissingClaimError, ClaimError
    """
    for name in required:
        if claims.get(name) is None:
            raise MissingClaimError(f"The token has no {name!r}, which its kind must have.", claim=name)
    for name in forbidden:
        if name in claims:
            raise ClaimError(f"The token has {name!r}, which its kind must not have.", claim=name)


def check_strings(claims: Mapping[str, Any]) -> None:
    """RFC 7519 sections 4.1.2 and 4.1.7: `sub` and `jti` are strings, and not empty.

    Raises:
        ClaimError
    """
    for name in _STRINGS:
        if name in claims and (claims[name].__class__ is not str or not claims[name]):
            raise ClaimError(f"The claim {name!r} is not a string, or it is empty.", claim=name)
