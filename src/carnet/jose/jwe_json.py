"""RFC 7516 section 7.2: the JSON serializations, flattened and general, each with functions of its own."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from carnet.ambient import SYSTEM
from carnet.jose import base64url
from carnet.jose.algorithms.key_management import Entropy, KeyWrapping
from carnet.jose.encryption_keys import DecryptionKey, EncryptionKey
from carnet.jose.errors import (
    AlgorithmNotAllowedError,
    InvalidKeyError,
    JoseError,
    MalformedError,
    TooLargeError,
    UnknownKeyError,
)
from carnet.jose.header import MAX_HEADER_LENGTH, check_header
from carnet.jose.jwe import (
    MAX_LENGTH,
    Decrypted,
    Encoded,
    allowed,
    checked_headers,
    choose_key,
    content_for,
    content_of,
    encrypt_to_one,
    open_content,
    own_members,
    refusal,
)
from carnet.jose.strict_json import JsonObject, encode_object, parse_object

MAX_RECIPIENTS = 16
MAX_TRIES = 4
"""So many recipients of one object are tried in vain: each is the work of a private key, or of hashing a password."""
_OF_RECIPIENT = frozenset({"header", "encrypted_key"})


@dataclass(frozen=True, slots=True)
class Recipient:
    """One of those to whom content is encrypted."""

    key: EncryptionKey
    headers: Mapping[str, Any] = field(default_factory=dict)
    """Header parameters for this recipient besides `alg` and `kid`; nothing protects them."""


def encrypt_flattened(
    plaintext: bytes,
    key: EncryptionKey,
    *,
    enc: str,
    headers: Mapping[str, Any] | None = None,
    unprotected: Mapping[str, Any] | None = None,
    aad: bytes = b"",
    entropy: Entropy = SYSTEM.entropy,
) -> bytes:
    """RFC 7516 section 7.2.2: one recipient, as the JSON text of one object.

    `headers` are protected, together with `alg`, `enc` and `kid`; `unprotected` are not. `aad` is authenticated, not encrypted.

    Raises:
        MalformedError, UnsupportedError, KeyUseError, InvalidKeyError: as `encrypt_compact`.
    """
    shared = checked_headers(unprotected)
    _check_disjoint(dict.fromkeys(("alg", "enc", "kid")), dict(headers or {}), shared)
    encoded = encrypt_to_one(plaintext, key, enc=enc, headers=headers, aad=base64url.encode(aad), entropy=entropy)
    return encode_object(_document(encoded, shared, aad))


def encrypt_general(
    plaintext: bytes,
    recipients: Sequence[Recipient],
    *,
    enc: str,
    headers: Mapping[str, Any] | None = None,
    unprotected: Mapping[str, Any] | None = None,
    aad: bytes = b"",
    entropy: Entropy = SYSTEM.entropy,
) -> bytes:
    """RFC 7516 section 7.2.1: any of several recipients can read it. Each of them could also write it anew for the others.

    `headers` and `enc` are protected; each recipient's `alg`, `kid` and parameters are in its own header, which nothing protects.

    Raises:
        InvalidKeyError: a key is for `dir` or `ECDH-ES`, which have one recipient (RFC 7516 section 5.1 step 1).
        MalformedError, UnsupportedError: as `encrypt_compact`; or there is no recipient, or there are too many.
    """
    if not 0 < len(recipients) <= MAX_RECIPIENTS:
        raise MalformedError(f"Content is encrypted to 1 to {MAX_RECIPIENTS} recipients.")
    protected_members = {"enc": enc} | checked_headers(headers)
    shared = checked_headers(unprotected)
    content = content_for(recipients[0].key, enc)
    cek = entropy(content.key_length)
    written = []
    for recipient in recipients:
        algorithm = recipient.key.algorithm
        if not isinstance(algorithm, KeyWrapping):
            raise InvalidKeyError(f"{algorithm.name} has one recipient: use encrypt_compact or encrypt_flattened.")
        own = own_members(recipient.key) | checked_headers(recipient.headers)
        header = _check_disjoint(protected_members, shared, own)
        encrypted_key, parameters = algorithm.wrap(recipient.key.material, cek, header, entropy)
        written.append({"header": own | parameters, "encrypted_key": base64url.text(encrypted_key)})
    protected = base64url.encode(encode_object(protected_members))
    iv = entropy(content.iv_length)
    sealed = content.encrypt(cek, iv, plaintext, _authenticated(protected, base64url.encode(aad)))
    encode = base64url.encode
    encoded = Encoded(protected, b"", encode(iv), encode(sealed.ciphertext), encode(sealed.tag))
    return encode_object(_document(encoded, shared, aad) | {"recipients": written})


def decrypt_flattened(
    document: bytes,
    keys: Sequence[DecryptionKey],
    *,
    enc: Collection[str],
    max_length: int = MAX_LENGTH,
    entropy: Entropy = SYSTEM.entropy,
) -> Decrypted:
    """Decrypt the flattened serialization with the one of `keys` that its header names; raises as `decrypt_compact`."""
    accepted, members = allowed(enc), _parse(document, max_length)
    if "recipients" in members:
        raise MalformedError("It has 'recipients': that is the general serialization (RFC 7516 section 7.2.2).")
    found = _open(members, members, keys, accepted, entropy)
    if found is None:
        raise refusal()
    return found


def decrypt_general(
    document: bytes,
    keys: Sequence[DecryptionKey],
    *,
    enc: Collection[str],
    max_length: int = MAX_LENGTH,
    entropy: Entropy = SYSTEM.entropy,
) -> Decrypted:
    """Decrypt the general serialization as the first recipient whose header names one of `keys`.

    Recipients without a key here are passed over; the others are tried in turn, a few at most.

    Raises:
        DecryptionError: none of them can be decrypted; there is no finer answer.
        JoseError: it is refused before any key is used; `code` says why.
    """
    accepted, members = allowed(enc), _parse(document, max_length)
    if _OF_RECIPIENT & members.keys():
        raise MalformedError("It has a recipient of its own: that is the flattened serialization.")
    recipients = members.get("recipients")
    if not isinstance(recipients, tuple) or not all(isinstance(each, JsonObject) for each in recipients):
        raise MalformedError("'recipients' is not an array of objects (RFC 7516 section 7.2.1).")
    if len(recipients) > MAX_RECIPIENTS:
        raise TooLargeError(f"It has {len(recipients)} recipients, at most {MAX_RECIPIENTS} are read.")
    passed_over: JoseError = UnknownKeyError("It has no recipient.")
    tried = 0
    for recipient in recipients:
        try:
            found = _open(recipient, members, keys, accepted, entropy)
        except (UnknownKeyError, AlgorithmNotAllowedError) as error:
            passed_over = error
            continue
        if found is not None:
            return found
        tried += 1
        if tried == MAX_TRIES:
            break
    raise refusal() if tried else passed_over


def _open(
    recipient: JsonObject,
    document: JsonObject,
    keys: Sequence[DecryptionKey],
    accepted: frozenset[str],
    entropy: Entropy,
) -> Decrypted | None:
    protected_segment = _string(document, "protected")
    header = _header(protected_segment, document, recipient)
    content = content_of(header, accepted)
    key = choose_key(header, keys)
    aad = _string(document, "aad")
    parts = Encoded(
        protected_segment,
        _string(recipient, "encrypted_key"),
        _string(document, "iv"),
        _string(document, "ciphertext", required=True),
        _string(document, "tag"),
    )
    additional = base64url.decode(aad)
    plaintext = open_content(parts, header, content, key, aad=_authenticated(protected_segment, aad), entropy=entropy)
    return None if plaintext is None else Decrypted(header, plaintext, additional)


def _parse(document: bytes, max_length: int) -> JsonObject:
    if len(document) > max_length:
        raise TooLargeError(f"The document has {len(document)} octets, at most {max_length} are read.")
    return parse_object(document)


def _header(protected_segment: bytes, document: JsonObject, recipient: JsonObject) -> JsonObject:
    """RFC 7516 section 7.2.1: the union of the three headers, which have no name in common."""
    if len(protected_segment) > MAX_HEADER_LENGTH:
        raise TooLargeError(f"The header is longer than {MAX_HEADER_LENGTH} characters.")
    protected = parse_object(base64url.decode(protected_segment)) if protected_segment else JsonObject()
    header = _check_disjoint(protected, _object(document, "unprotected"), _object(recipient, "header"))
    check_header(header, protected, understood=())
    return JsonObject(header)


def _check_disjoint(*headers: Mapping[str, Any]) -> dict[str, Any]:
    """The union; raises MalformedError if a name comes in more than one of them."""
    united = {name: value for header in headers for name, value in header.items()}
    if len(united) != sum(map(len, headers)):
        raise MalformedError(
            "The protected and the unprotected headers have a name in common (RFC 7516 section 7.2.1)."
        )
    return united


def _document(encoded: Encoded, shared: Mapping[str, Any], aad: bytes) -> dict[str, Any]:
    members: dict[str, Any] = {name: part.decode("ascii") for name, part in encoded._asdict().items() if part}
    # RFC 7516 section 7.2.1: the ciphertext is always there, the other members are absent when they would be empty.
    members["ciphertext"] = encoded.ciphertext.decode("ascii")
    if shared:
        members["unprotected"] = dict(shared)
    if aad:
        members["aad"] = base64url.text(aad)
    return members


def _authenticated(protected: bytes, aad: bytes) -> bytes:
    """RFC 7516 section 5.1 step 14."""
    return protected + b"." + aad if aad else protected


def _string(members: Mapping[str, Any], name: str, *, required: bool = False) -> bytes:
    value = members.get(name, None if required else "")
    if not isinstance(value, str) or (name in members and not value and not required):
        raise MalformedError(f"The member {name!r} is not a base64url string (RFC 7516 section 7.2.1).")
    return value.encode()


def _object(members: Mapping[str, Any], name: str) -> JsonObject:
    value = members.get(name, JsonObject())
    if not isinstance(value, JsonObject):
        raise MalformedError(f"The member {name!r} is not an object (RFC 7516 section 7.2.1).")
    return value
