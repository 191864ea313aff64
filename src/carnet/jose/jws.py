"""RFC 7515, RFC 7797: signed content that is not a JWT, in the compact serialization, with its content inside or detached.

Each serialization has functions of its own, and none of them guesses (rules J12 and J13).
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from carnet.jose import base64url
from carnet.jose.algorithms import signature_algorithm
from carnet.jose.errors import MalformedError, SignatureInvalidError, TooLargeError, shown
from carnet.jose.header import parse_header
from carnet.jose.key_choice import choose_key
from carnet.jose.key_set import KeySet
from carnet.jose.keys import SigningKey, VerifyingKey
from carnet.jose.strict_json import JsonObject, encode_object

MAX_LENGTH = 64 * 1024
"""Characters of a serialization, unless a caller says otherwise."""

_OWN_HEADERS = frozenset({"alg", "kid", "crit", "b64"})
UNDERSTOOD = ("b64",)
"""The extensions that the JWS functions process; a JWT has none (RFC 7797 section 7)."""


class VerifiedContent(NamedTuple):
    """Content and the header that the same signature covers."""

    header: JsonObject
    payload: bytes
    """Exactly the octets that were verified."""


def sign_compact(payload: bytes, key: SigningKey, *, headers: Mapping[str, Any] | None = None) -> str:
    """RFC 7515 section 7.1, with the content inside.

    Raises:
        MalformedError: a header that JSON does not have, or that is not the caller's to set.
    """
    signed = encode_header(key.alg, key.kid, headers) + b"." + base64url.encode(payload)
    return (signed + b"." + base64url.encode(key.sign(signed))).decode("ascii")


def verify_compact(
    token: str, keys: KeySet, *, algorithms: Collection[str], max_length: int = MAX_LENGTH
) -> VerifiedContent:
    """RFC 7515 section 5.2: verify a compact serialization with its content inside.

    Raises:
        JoseError: it is refused; `code` says why.
    """
    signed, signature, header_segment, payload = split_compact(token, max_length)
    header = parse_header(header_segment, understood=UNDERSTOOD)
    if not is_encoded(header):
        raise MalformedError("Content that is signed as it is comes detached: see verify_detached (RFC 7797).")
    check_signature(header, signed, signature, keys, allowed(algorithms))
    return VerifiedContent(header, base64url.decode(payload))


def sign_detached(
    payload: bytes, key: SigningKey, *, headers: Mapping[str, Any] | None = None, encoded: bool = True
) -> str:
    """RFC 7515 appendix F: a compact serialization without its content, which travels on its own.

    With `encoded=False` the content is signed as it is (RFC 7797, `b64`), which spares the encoding of large content.

    Raises:
        MalformedError: as `sign_compact`.
    """
    header = encode_header(key.alg, key.kid, headers, encoded=encoded)
    signature = base64url.encode(key.sign(header + b"." + (base64url.encode(payload) if encoded else payload)))
    return (header + b".." + signature).decode("ascii")


def verify_detached(
    token: str, payload: bytes, keys: KeySet, *, algorithms: Collection[str], max_length: int = MAX_LENGTH
) -> VerifiedContent:
    """RFC 7515 appendix F, RFC 7797: verify a compact serialization over content that came another way.

    Raises:
        JoseError: it is refused; `code` says why.
    """
    _, signature, header_segment, inside = split_compact(token, max_length)
    if inside:
        raise MalformedError("The content is inside, and not detached.")
    header = parse_header(header_segment, understood=UNDERSTOOD)
    signed = header_segment + b"." + (base64url.encode(payload) if is_encoded(header) else payload)
    check_signature(header, signed, signature, keys, allowed(algorithms))
    return VerifiedContent(header, payload)


def split_compact(token: str, max_length: int) -> tuple[bytes, bytes, bytes, bytes]:
    """RFC 7515 section 7.1: what is signed, the signature, the header and the payload, the last three still encoded.

    Raises:
        TooLargeError: it is longer than `max_length` characters; nothing was looked at.
        MalformedError: it is not a str of ASCII with exactly two dots.
    """
    if token.__class__ is not str:
        raise MalformedError(f"A token is a str, not a {type(token).__name__}.")
    if len(token) > max_length:
        raise TooLargeError(f"The token has {len(token)} characters, at most {max_length} are read.")
    try:
        octets = token.encode("ascii")
    except UnicodeEncodeError:
        raise MalformedError("The token has characters outside of base64url and dots.") from None
    signed, _, signature = octets.rpartition(b".")
    header, dot, payload = signed.partition(b".")
    if not dot or b"." in payload:
        raise MalformedError("The token is not three parts with two dots between them (RFC 7515 section 7.1).")
    return signed, signature, header, payload


def check_signature(
    header: Mapping[str, Any], signed: bytes, signature: bytes, keys: KeySet, algorithms: Collection[str]
) -> VerifyingKey:
    """Check the encoded `signature` over `signed` by the key that the header names; the answer is that key.

    Raises:
        AlgorithmNotAllowedError, UnknownKeyError, SignatureInvalidError, MalformedError
    """
    key = choose_key(header, keys, algorithms)
    if not key.verify(signed, base64url.decode(signature)):
        raise SignatureInvalidError(f"The signature is not that of the key {shown(header.get('kid'))}.")
    return key


def allowed(algorithms: Collection[str]) -> frozenset[str]:
    """An allow-list that a caller named.

    Raises:
        ValueError: it is empty or a single string.
        UnsupportedError: there is no such algorithm.
    """
    if isinstance(algorithms, str) or not algorithms:
        raise ValueError("algorithms is a collection of at least one name, such as ('ES256',).")
    return frozenset(signature_algorithm(name).name for name in algorithms)


def encode_header(alg: str, kid: str | None, headers: Mapping[str, Any] | None, *, encoded: bool = True) -> bytes:
    """The base64url of a protected header: the key's `alg` and `kid`, what the caller adds, and `b64` where it is needed.

    Raises:
        MalformedError: what the caller adds is not JSON, or not the caller's to set.
    """
    extra = dict(headers or {})
    own = _OWN_HEADERS & extra.keys()
    if own:
        raise MalformedError(f"The header parameters {', '.join(sorted(own))} are not the caller's to set.")
    members: dict[str, Any] = {"alg": alg} if kid is None else {"alg": alg, "kid": kid}
    members |= extra
    if not encoded:
        members |= {"b64": False, "crit": ["b64"]}
    return base64url.encode(encode_object(members))


def is_encoded(header: Mapping[str, Any]) -> bool:
    """RFC 7797 section 3: whether the content is signed as base64url; raises MalformedError if `b64` is not a boolean."""
    value = header.get("b64", True)
    if value.__class__ is not bool:
        raise MalformedError("The header's 'b64' is not a boolean (RFC 7797 section 3).")
    return bool(value)
