"""RFC 7517 section 4.1, RFC 7518 section 6: what each `kty` has to offer."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from carnet.jose.base64url import decode_text
from carnet.jose.errors import InvalidKeyError, MalformedError, shown


class KeyType(NamedTuple):
    """One family of keys. `material` is what the cryptographic library works with, or a `Secret`."""

    kty: str
    secret: tuple[str, ...]
    """The members that only a private key has."""
    load_public: Callable[[Mapping[str, Any]], Any]
    load_private: Callable[[Mapping[str, Any]], Any]
    dump_public: Callable[[Any], dict[str, Any]]
    dump_private: Callable[[Any], dict[str, Any]]
    public_of: Callable[[Any], Any]


def octets(jwk: Mapping[str, Any], name: str) -> bytes:
    """The octets of a base64url member.

    Raises:
        InvalidKeyError: it is absent, not a string, or not canonical base64url.
    """
    value = jwk.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidKeyError(f"The key has no {name!r}, or it is not a string.")
    try:
        return decode_text(value)
    except MalformedError:
        raise InvalidKeyError(f"The key's {name!r} is not canonical base64url (RFC 7515 section 2).") from None


def unsigned(jwk: Mapping[str, Any], name: str) -> int:
    """RFC 7518 section 2, Base64urlUInt: no leading zero octets.

    Raises:
        InvalidKeyError: as `octets`, and where zero octets lead.
    """
    value = octets(jwk, name)
    if value[0] == 0:
        raise InvalidKeyError(f"The key's {name!r} has leading zero octets (RFC 7518 section 2).")
    return int.from_bytes(value, "big")


def curve_name(jwk: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """The member `crv`, if it is one of `known`; raises InvalidKeyError."""
    name = jwk.get("crv")
    if not isinstance(name, str) or name not in known:
        raise InvalidKeyError(f"The key's curve {shown(name)} is none of {', '.join(known)}.")
    return name
