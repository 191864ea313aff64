"""RFC 7591 section 2.3: what a trusted issuer says about a piece of client software, to whichever server it registers at."""

from collections.abc import Collection

from carnet.ambient import Instant
from carnet.jose import base64url
from carnet.jose.claims import check_audience, check_issuer, check_presence, check_strings, check_times, check_type
from carnet.jose.header import parse_header
from carnet.jose.jws import allowed, check_signature, split_compact
from carnet.jose.key_set import KeySet
from carnet.jose.strict_json import JsonObject, parse_object

MAX_LENGTH = 16 * 1024
"""Characters."""
TYPES = ("software-statement+jwt", "jwt", None)
"""The specification names none."""
OWN_CLAIMS = ("iss", "aud", "iat", "exp", "nbf", "jti")
"""Claims of the statement itself, and not of the software."""

_FORBIDDEN = ("sub", "client_id", "client_secret", "nonce", "events")
"""With `software_id`, which it must have, these set it apart from every other kind of token (rule J17)."""


def verify_software_statement(
    token: str,
    keys: KeySet,
    *,
    algorithms: Collection[str],
    issuer: str,
    recipient: str,
    at: Instant,
    leeway: int = 0,
) -> JsonObject:
    """Verify a statement; the answer is its claims.

    Args:
        token: the statement.
        keys: its issuer's.
        algorithms: the allow-list, of public-key signatures.
        issuer: the one `iss`.
        recipient: who verifies it; a statement that names an audience names this.
        at: now.
        leeway: seconds by which clocks may differ.

    Raises:
        JoseError: it is refused; `code` says why.
    """
    names = allowed(algorithms)
    signed, signature, header_segment, payload = split_compact(token, MAX_LENGTH)
    header = parse_header(header_segment)
    check_type(header.get("typ"), TYPES)
    check_signature(header, signed, signature, keys, names)
    claims = parse_object(base64url.decode(payload))
    check_issuer(claims, issuer)
    if "aud" in claims:
        check_audience(claims, (recipient,))
    check_times(claims, at=at, leeway=leeway)
    check_presence(claims, ("software_id",), _FORBIDDEN)
    check_strings(claims)
    return claims
