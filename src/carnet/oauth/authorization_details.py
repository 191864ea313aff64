"""RFC 9396: authorization details: what a request asks for where scope values are too coarse."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from carnet.jose import JoseError
from carnet.jose.strict_json import parse_array
from carnet.oauth.errors import InvalidAuthorizationDetailsError

Details: TypeAlias = tuple[dict[str, Any], ...]

MOST = 10
LONGEST = 4_096
"""Characters: they stand in every access token."""

_LISTS = ("locations", "actions", "datatypes", "privileges")


def parse(text: str | None, *, types: Collection[str]) -> Details:
    """Section 2: the objects of the parameter, each of one of `types`; none where it is absent.

    What a type has beyond the members that section 2.2 shares out is its API's to check, and passed on as it is.

    Raises:
        InvalidAuthorizationDetailsError: it is no array of such objects, or there are too many.
    """
    if text is None:
        return ()
    if len(text) > LONGEST:
        raise InvalidAuthorizationDetailsError(f"The authorization_details are longer than {LONGEST} characters.")
    try:
        values = parse_array(text.encode())
    except JoseError:
        raise InvalidAuthorizationDetailsError("The authorization_details are not one JSON array.") from None
    if len(values) > MOST:
        raise InvalidAuthorizationDetailsError(f"There are more than {MOST} authorization_details.")
    for value in values:
        _check(value, types)
    # What was checked is read again, as plain values, which compare equal to stored ones.
    plain: list[dict[str, Any]] = msgspec.json.decode(text)
    return tuple(plain)


def _check(value: object, types: Collection[str]) -> None:
    if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
        raise InvalidAuthorizationDetailsError("An element of authorization_details is no object with a type.")
    if value["type"] not in types:
        raise InvalidAuthorizationDetailsError("The client is not registered for a type of authorization_details.")
    for name in _LISTS:
        words = value.get(name, ())
        if not isinstance(words, tuple) or not all(isinstance(word, str) for word in words):
            raise InvalidAuthorizationDetailsError(
                f"The member {name} of authorization_details is no array of strings."
            )
    if not isinstance(value.get("identifier", ""), str):
        raise InvalidAuthorizationDetailsError("The member identifier of authorization_details is no string.")


def narrow(asked: Details, approved: Details) -> Details:
    """Section 6.1: what is asked for, each as it was approved; all that was approved where nothing is asked for.

    Raises:
        InvalidAuthorizationDetailsError: something else is asked for.
    """
    if any(one not in approved for one in asked):
        raise InvalidAuthorizationDetailsError("The authorization_details ask for something that was not approved.")
    return asked or approved


def of_types(details: Iterable[dict[str, Any]], types: Collection[str]) -> Details:
    """Those of some types."""
    return tuple(one for one in details if one["type"] in types)
