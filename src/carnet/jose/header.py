"""RFC 7515 section 4: the protected header."""

from collections.abc import Collection, Mapping
from typing import Any

from carnet.jose.base64url import decode
from carnet.jose.errors import CriticalHeaderError, MalformedError, TooLargeError, shown
from carnet.jose.key_rules import MAX_KID_LENGTH
from carnet.jose.strict_json import JsonObject, parse_object

MAX_HEADER_LENGTH = 2048
"""Characters of the encoded header (rule J20)."""

REGISTERED = frozenset(
    {
        "alg",
        "jku",
        "jwk",
        "kid",
        "x5u",
        "x5c",
        "x5t",
        "x5t#S256",
        "typ",
        "cty",
        "crit",
        "enc",
        "zip",
        "epk",
        "apu",
        "apv",
    }
    | {"iv", "tag", "p2s", "p2c"}
)
"""RFC 7515 section 4.1, RFC 7516 section 4.1, RFC 7518: names that `crit` must not list."""


def parse_header(segment: bytes, *, understood: Collection[str] = ()) -> JsonObject:
    """Parse and check a protected header that is still base64url.

    `understood` are the extensions that the caller will process if `crit` names them.

    Raises:
        TooLargeError, CriticalHeaderError, MalformedError
    """
    if len(segment) > MAX_HEADER_LENGTH:
        raise TooLargeError(f"The header is longer than {MAX_HEADER_LENGTH} characters.")
    header = parse_object(decode(segment))
    check_header(header, header, understood=understood)
    return header


def check_header(header: Mapping[str, Any], protected: Mapping[str, Any], *, understood: Collection[str]) -> None:
    """Check a whole header, of which `protected` is the part that the signature covers.

    Raises:
        CriticalHeaderError, MalformedError
    """
    if not isinstance(header.get("alg"), str):
        raise MalformedError("The header has no 'alg', or it is not a string (RFC 7515 section 4.1.1).")
    if "kid" in header:
        kid = header["kid"]
        if not isinstance(kid, str):
            raise MalformedError("The header's 'kid' is not a string (RFC 7515 section 4.1.4).")
        if not (0 < len(kid) <= MAX_KID_LENGTH and kid.isascii() and kid.isprintable()):
            raise MalformedError(f"The header's 'kid' has other than 1 to {MAX_KID_LENGTH} printable ASCII characters.")
    if not isinstance(header.get("typ", ""), str) or not isinstance(header.get("cty", ""), str):
        raise MalformedError("The header's 'typ' or 'cty' is not a string (RFC 7515 sections 4.1.9 and 4.1.10).")
    if "crit" in header:
        _check_critical(header, protected, understood)
    if "b64" in header and "b64" not in protected.get("crit", ()):
        raise CriticalHeaderError("'b64' is not named in 'crit' (RFC 7797 section 6).")


def _check_critical(header: Mapping[str, Any], protected: Mapping[str, Any], understood: Collection[str]) -> None:
    """RFC 7515 section 4.1.11."""
    names = protected.get("crit")
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        raise CriticalHeaderError("'crit' is not a non-empty array of names in the protected header.")
    if len(set(names)) != len(names):
        raise CriticalHeaderError("'crit' names a parameter twice.")
    for name in names:
        if name in REGISTERED:
            raise CriticalHeaderError(f"'crit' names {shown(name)}, which the specification itself defines.")
        if name not in understood:
            raise CriticalHeaderError(f"'crit' names {shown(name)}, which is not understood here.")
        if name not in header:
            raise CriticalHeaderError(f"'crit' names {shown(name)}, which the header does not have.")
