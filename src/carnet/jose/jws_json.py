"""RFC 7515 section 7.2: the JSON serializations, flattened and general, each with functions of its own."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carnet.jose import base64url
from carnet.jose.errors import MalformedError, TooLargeError, UnknownKeyError
from carnet.jose.header import MAX_HEADER_LENGTH, check_header
from carnet.jose.jws import MAX_LENGTH, UNDERSTOOD, VerifiedContent, allowed, check_signature, encode_header, is_encoded
from carnet.jose.key_set import KeySet
from carnet.jose.keys import SigningKey
from carnet.jose.strict_json import JsonObject, encode_object, parse_object

MAX_SIGNATURES = 16
_OF_SIGNATURE = frozenset({"protected", "header", "signature"})


@dataclass(frozen=True, slots=True)
class VerifiedSignatures:
    """Content, and the headers of all signatures over it that were verified: at least one."""

    headers: tuple[JsonObject, ...]
    payload: bytes
    """Exactly the octets that were verified."""


def sign_flattened(
    payload: bytes, key: SigningKey, *, headers: Mapping[str, Any] | None = None, detached: bool = False
) -> bytes:
    """RFC 7515 section 7.2.2: one signature, as the JSON text of one object; without its content if `detached`.

    Raises:
        MalformedError: a header that JSON does not have, or that is not the caller's to set.
    """
    encoded = base64url.encode(payload)
    content = {} if detached else {"payload": encoded.decode("ascii")}
    return encode_object(content | _signed(encoded, key, headers))


def sign_general(payload: bytes, keys: Sequence[SigningKey], *, headers: Mapping[str, Any] | None = None) -> bytes:
    """RFC 7515 section 7.2.1: one signature by each key, all with the same additional headers, as JSON text.

    Raises:
        MalformedError: no key, or as `sign_flattened`.
    """
    if not 0 < len(keys) <= MAX_SIGNATURES:
        raise MalformedError(f"Content is signed with 1 to {MAX_SIGNATURES} keys.")
    encoded = base64url.encode(payload)
    signatures = [_signed(encoded, key, headers) for key in keys]
    return encode_object({"payload": encoded.decode("ascii"), "signatures": signatures})


def _signed(encoded: bytes, key: SigningKey, headers: Mapping[str, Any] | None) -> dict[str, Any]:
    protected = encode_header(key.alg, key.kid, headers)
    signature = key.sign(protected + b"." + encoded)
    return {"protected": protected.decode("ascii"), "signature": base64url.text(signature)}


def verify_flattened(
    document: bytes,
    keys: KeySet,
    *,
    algorithms: Collection[str],
    payload: bytes | None = None,
    max_length: int = MAX_LENGTH,
) -> VerifiedContent:
    """Verify the flattened serialization; `payload` is the content if it is detached.

    Raises:
        JoseError: it is refused; `code` says why.
    """
    members = _parse(document, max_length)
    if "signatures" in members:
        raise MalformedError("It has 'signatures': that is the general serialization (RFC 7515 section 7.2.2).")
    protected, header = _header(members)
    content = _check(members, protected, header, members, payload, keys, allowed(algorithms))
    return VerifiedContent(header, content)


def verify_general(
    document: bytes,
    keys: KeySet,
    *,
    algorithms: Collection[str],
    payload: bytes | None = None,
    max_length: int = MAX_LENGTH,
) -> VerifiedSignatures:
    """Verify the general serialization: each signature that names a key of the set must be right, and at least one must name one.

    Signatures by keys that the set does not have (its `kid` and `alg`) say nothing and are passed over; `headers` of the answer
    are those of the others. All of these must agree on `b64` (RFC 7797 section 3).

    Raises:
        JoseError: it is refused; `code` says why.
    """
    members, names = _parse(document, max_length), allowed(algorithms)
    if _OF_SIGNATURE & members.keys():
        raise MalformedError("It has a signature of its own: that is the flattened serialization.")
    signatures = members.get("signatures")
    if not isinstance(signatures, tuple) or not all(isinstance(item, JsonObject) for item in signatures):
        raise MalformedError("'signatures' is not an array of objects (RFC 7515 section 7.2.1).")
    if len(signatures) > MAX_SIGNATURES:
        raise TooLargeError(f"It has {len(signatures)} signatures, at most {MAX_SIGNATURES} are read.")
    verified: list[JsonObject] = []
    content = b""
    for signature in signatures:
        protected, header = _header(signature)
        key = keys.get(header.get("kid"))
        if key is not None and key.alg == header["alg"]:
            verified.append(header)
            content = _check(signature, protected, header, members, payload, keys, names)
    if not verified:
        raise UnknownKeyError("None of the signatures names a key of the set.")
    if len({is_encoded(header) for header in verified}) > 1:
        raise MalformedError("The signatures do not agree on how the content is encoded (RFC 7797 section 3).")
    return VerifiedSignatures(tuple(verified), content)


def _parse(document: bytes, max_length: int) -> JsonObject:
    if len(document) > max_length:
        raise TooLargeError(f"The document has {len(document)} octets, at most {max_length} are read.")
    return parse_object(document)


def _check(
    signature: JsonObject,
    protected: bytes,
    header: JsonObject,
    document: JsonObject,
    payload: bytes | None,
    keys: KeySet,
    algorithms: frozenset[str],
) -> bytes:
    """Check one signature; the answer is the content as its `b64` has it."""
    encoded, content = _content(document, payload, encoded=is_encoded(header))
    check_signature(header, protected + b"." + encoded, _string(signature, "signature"), keys, algorithms)
    return content


def _header(signature: JsonObject) -> tuple[bytes, JsonObject]:
    """RFC 7515 section 7.2.1: the protected header as it is signed, and the whole header, which has no name twice."""
    segment = _string(signature, "protected")
    if len(segment) > MAX_HEADER_LENGTH:
        raise TooLargeError(f"The header is longer than {MAX_HEADER_LENGTH} characters.")
    protected = parse_object(base64url.decode(segment)) if segment else JsonObject()
    unprotected = signature.get("header", JsonObject())
    if not isinstance(unprotected, JsonObject):
        raise MalformedError("The member 'header' is not an object (RFC 7515 section 7.2.1).")
    if protected.keys() & unprotected.keys():
        raise MalformedError("The protected and the unprotected header have a name in common (RFC 7515 section 7.2.1).")
    header = JsonObject({**protected, **unprotected})
    check_header(header, protected, understood=UNDERSTOOD)
    return segment, header


def _content(document: JsonObject, payload: bytes | None, *, encoded: bool) -> tuple[bytes, bytes]:
    """The content as it is signed and as it is."""
    if payload is not None:
        if "payload" in document:
            raise MalformedError("The content is inside, and not detached.")
        return (base64url.encode(payload) if encoded else payload), payload
    if "payload" not in document:
        raise MalformedError("The content is detached: it must be given.")
    inside = _string(document, "payload")
    return inside, base64url.decode(inside) if encoded else inside


def _string(members: Mapping[str, Any], name: str) -> bytes:
    value = members.get(name, "" if name == "protected" else None)
    if not isinstance(value, str):
        raise MalformedError(f"The member {name!r} is not a base64url string (RFC 7515 section 7.2.1).")
    return value.encode()
