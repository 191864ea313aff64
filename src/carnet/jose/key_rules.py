"""RFC 7517 sections 4.2 to 4.5: what a key says of its own use, and its name."""

from collections.abc import Collection, Mapping
from typing import Any

from carnet.jose.errors import InvalidKeyError, KeyUseError, shown

MAX_KID_LENGTH = 128


def check_kid(kid: Any) -> str | None:
    """Rule J6: a kid is a name to look up and nothing else: 1 to 128 printable ASCII characters.

    Raises:
        InvalidKeyError: it is not.
    """
    if kid is None:
        return None
    if isinstance(kid, str) and (0 < len(kid) <= MAX_KID_LENGTH and kid.isascii() and kid.isprintable()):
        return kid
    raise InvalidKeyError(f"A kid has 1 to {MAX_KID_LENGTH} printable ASCII characters; this one is {shown(kid)}.")


def check_use(jwk: Mapping[str, Any], *, alg: str, use: str, operations: Collection[str]) -> None:
    """Refuse a JWK that is not for the algorithm `alg`, the `use`, or one of the `operations`.

    Raises:
        KeyUseError: it says that it is for something else.
        InvalidKeyError: `use` or `key_ops` is not of its form.
    """
    if "alg" in jwk and jwk["alg"] != alg:
        raise KeyUseError(f"The key is for {shown(jwk['alg'])} and was asked for as {alg} (RFC 7517 section 4.4).")
    if "use" in jwk and jwk["use"] != use:
        raise KeyUseError(f"The key's use is {shown(jwk['use'])}, wanted {use!r} (RFC 7517 section 4.2).")
    if "key_ops" not in jwk:
        return
    given = jwk["key_ops"]
    if not isinstance(given, list | tuple) or not all(isinstance(item, str) for item in given):
        raise InvalidKeyError("The key's 'key_ops' is not an array of strings (RFC 7517 section 4.3).")
    if len(set(given)) != len(given):
        raise InvalidKeyError("The key's 'key_ops' names an operation twice (RFC 7517 section 4.3).")
    if not set(given) & set(operations):
        raise KeyUseError(f"The key's 'key_ops' has none of {', '.join(operations)} (RFC 7517 section 4.3).")
