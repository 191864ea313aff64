"""OpenID Connect Core section 5.5: the `claims` parameter: single claims that a client asks for, and where."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carnet.jose import JoseError
from carnet.jose.strict_json import parse_object
from carnet.oauth.errors import InvalidRequestError

LONGEST = 4_000
"""Characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsRequest:
    """What is asked for; names that mean nothing here are to be left alone (section 5.5)."""

    id_token: tuple[str, ...] = ()
    userinfo: tuple[str, ...] = ()
    subject: str | None = None
    """Section 5.5.1: the one person who will do."""
    acr: tuple[str, ...] = ()
    """Section 5.5.1.1: the only contexts that will do; empty: any."""


NOTHING = ClaimsRequest()


def parse(text: str | None) -> ClaimsRequest:
    """Read the parameter.

    Raises:
        InvalidRequestError: it is not an object of objects as section 5.5 has it.
    """
    if text is None:
        return NOTHING
    if len(text) > LONGEST:
        raise InvalidRequestError(f"The parameter claims is longer than {LONGEST} characters.")
    try:
        document = parse_object(text.encode())
    except JoseError:
        raise InvalidRequestError("The parameter claims is not one JSON object.") from None
    id_token, userinfo = _member(document, "id_token"), _member(document, "userinfo")
    subject, acr = id_token.get("sub") or {}, id_token.get("acr") or {}
    return ClaimsRequest(
        id_token=tuple(id_token),
        userinfo=tuple(userinfo),
        subject=next(iter(_values(subject, "sub")), None),
        acr=_values(acr, "acr") if acr.get("essential") is True else (),
    )


def _member(document: Mapping[str, Any], name: str) -> Mapping[str, Mapping[str, Any] | None]:
    member = document.get(name)
    if member is None:
        return {}
    if not isinstance(member, Mapping) or not all(
        each is None or isinstance(each, Mapping) for each in member.values()
    ):
        raise InvalidRequestError(f"The member {name} of the parameter claims is not an object of objects or nulls.")
    return member


def _values(wanted: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """`value`, or `values`."""
    values = wanted.get("values", (wanted["value"],) if "value" in wanted else ())
    if not isinstance(values, tuple) or not all(isinstance(value, str) for value in values):
        raise InvalidRequestError(f"The parameter claims asks for values of {name} that are no strings.")
    return values
