"""RFC 9449 section 4.3, RFC 7800: JWTs that prove the possession of a key that they bring along, and nothing else.

Such a proof says who holds a key. It becomes a statement about somebody only where the key's thumbprint is compared with what a
verified token is bound to (`cnf.jkt`). Hence its own type: a `Proof` is not a `Verified`.
"""

from collections.abc import Collection
from dataclasses import dataclass

from carnet.ambient import Instant
from carnet.jose import base64url
from carnet.jose.claims import check_age, check_presence, check_strings, check_times, check_type
from carnet.jose.errors import SignatureInvalidError
from carnet.jose.header import parse_header
from carnet.jose.jws import allowed, split_compact
from carnet.jose.key_choice import embedded_key
from carnet.jose.keys import VerifyingKey
from carnet.jose.strict_json import JsonObject, parse_object

MAX_PROOF_LENGTH = 8 * 1024
DPOP_TYPE = "dpop+jwt"
DPOP_CLAIMS = ("jti", "htm", "htu", "iat")
"""RFC 9449 section 4.2."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof whose signature is by the key in its own header."""

    header: JsonObject
    claims: JsonObject
    key: VerifyingKey
    """`key.thumbprint()` is what a token's `cnf.jkt` is compared with."""


def verify_proof(
    token: str,
    *,
    algorithms: Collection[str],
    at: Instant,
    max_age: int,
    leeway: int = 0,
    typ: str = DPOP_TYPE,
    required: Collection[str] = DPOP_CLAIMS,
) -> Proof:
    """Verify a proof's form, type, key and signature, and that its `iat` is within `max_age` and `leeway` seconds of `at`.

    The caller compares `htm`, `htu`, `ath` and `nonce`, and spends the `jti`.

    Raises:
        JoseError: it is refused; `code` says why.
    """
    names = allowed(algorithms)
    signed, signature, header_segment, payload = split_compact(token, MAX_PROOF_LENGTH)
    header = parse_header(header_segment)
    check_type(header.get("typ"), (typ,))
    key = embedded_key(header.get("jwk"), header["alg"], names)
    if not key.verify(signed, base64url.decode(signature)):
        raise SignatureInvalidError("The signature is not that of the key in the header.")
    claims = parse_object(base64url.decode(payload))
    check_presence(claims, required)
    check_strings(claims)
    check_times(claims, at=at, leeway=leeway)
    check_age(claims, at=at, max_age=max_age, leeway=leeway)
    return Proof(header, claims, key)
