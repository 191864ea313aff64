"""RFC 7516: content that is encrypted to one recipient, in the compact serialization.

Encryption says who can read, not who wrote: with a public key everyone can write. A JWT is therefore signed first (`nested_jwt`).
`zip` is refused (rule J8), and whatever goes wrong once a key is chosen is one and the same `DecryptionError` (rule J11).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from carnet.ambient import SYSTEM
from carnet.jose import base64url
from carnet.jose.algorithms.content_encryption import ContentEncryption, Sealed
from carnet.jose.algorithms.encryption import content_encryption_algorithm
from carnet.jose.algorithms.key_management import Entropy, KeyWrapping
from carnet.jose.encryption_keys import DecryptionKey, EncryptionKey
from carnet.jose.errors import (
    AlgorithmNotAllowedError,
    DecryptionError,
    KeyUseError,
    MalformedError,
    TooLargeError,
    UnknownKeyError,
    shown,
)
from carnet.jose.header import parse_header
from carnet.jose.strict_json import JsonObject, encode_object

MAX_LENGTH = 64 * 1024
"""Characters of a serialization, unless a caller says otherwise."""

_OWN_HEADERS = frozenset({"alg", "enc", "kid", "zip", "crit", "b64", "epk", "iv", "tag", "p2s", "p2c"})


@dataclass(frozen=True, slots=True)
class Decrypted:
    """Content, and the header that it came with. Nobody vouches for who encrypted it, unless the key is a shared secret."""

    header: JsonObject
    """All header parameters for this recipient."""
    plaintext: bytes = field(repr=False)
    aad: bytes = b""
    """Additional data that was authenticated and not encrypted; only the JSON serializations have it."""


class Encoded(NamedTuple):
    """The parts of a JWE, still base64url; of the header only what is protected."""

    protected: bytes
    encrypted_key: bytes
    iv: bytes
    ciphertext: bytes
    tag: bytes


def encrypt_compact(
    plaintext: bytes,
    key: EncryptionKey,
    *,
    enc: str,
    headers: Mapping[str, Any] | None = None,
    entropy: Entropy = SYSTEM.entropy,
) -> str:
    """RFC 7516 section 7.1. The header has `alg`, `enc` and `kid`, and `headers` besides (such as `cty`, `apu`, `apv`).

    Raises:
        UnsupportedError: there is no such `enc`.
        KeyUseError, InvalidKeyError: the key is not for this `enc`.
        MalformedError: a header that JSON does not have, or that is not the caller's to set.
    """
    return b".".join(encrypt_to_one(plaintext, key, enc=enc, headers=headers, aad=b"", entropy=entropy)).decode("ascii")


def decrypt_compact(
    token: str,
    keys: Sequence[DecryptionKey],
    *,
    enc: Collection[str],
    max_length: int = MAX_LENGTH,
    entropy: Entropy = SYSTEM.entropy,
) -> Decrypted:
    """RFC 7516 section 5.2: decrypt with the one of `keys` that the header names; `enc` are the content encryptions accepted.

    A header without `kid` fits if only one key is for its `alg`.

    Raises:
        DecryptionError: the content cannot be decrypted; there is no finer answer.
        JoseError: it is refused before any key is used; `code` says why.
    """
    accepted = allowed(enc)
    parts = split_compact(token, max_length)
    header = parse_header(parts.protected)
    content = content_of(header, accepted)
    key = choose_key(header, keys)
    plaintext = open_content(parts, header, content, key, aad=parts.protected, entropy=entropy)
    if plaintext is None:
        raise refusal()
    return Decrypted(header, plaintext)


def encrypt_to_one(
    plaintext: bytes,
    key: EncryptionKey,
    *,
    enc: str,
    headers: Mapping[str, Any] | None,
    aad: bytes,
    entropy: Entropy,
) -> Encoded:
    """RFC 7516 section 5.1, with everything in the protected header; `aad` is base64url. Raises as `encrypt_compact`."""
    content = content_for(key, enc)
    own = own_members(key) | {"enc": enc} | checked_headers(headers)
    algorithm = key.algorithm
    if isinstance(algorithm, KeyWrapping):
        cek = entropy(content.key_length)
        encrypted_key, parameters = algorithm.wrap(key.material, cek, own, entropy)
    else:
        encrypted_key = b""
        cek, parameters = algorithm.agree(key.material, own, content)
    protected = base64url.encode(encode_object(own | parameters))
    iv = entropy(content.iv_length)
    sealed = content.encrypt(cek, iv, plaintext, protected + b"." + aad if aad else protected)
    encode = base64url.encode
    return Encoded(protected, encode(encrypted_key), encode(iv), encode(sealed.ciphertext), encode(sealed.tag))


def open_content(
    parts: Encoded,
    header: Mapping[str, Any],
    content: ContentEncryption,
    key: DecryptionKey,
    *,
    aad: bytes,
    entropy: Entropy,
) -> bytes | None:
    """RFC 7516 section 5.2 steps 9 to 17: the content, or None for whatever is wrong.

    Section 11.5: where the content key cannot be had, the work goes on with a random one, so that neither the answer nor its
    time says which step failed.

    Raises:
        MalformedError: a part is not canonical base64url, which is seen before the key is used.
    """
    encrypted_key, iv, ciphertext, tag = (base64url.decode(part) for part in parts[1:])
    cek = key.algorithm.content_key(key.material, encrypted_key, header, content)
    substitute = entropy(content.key_length)
    if cek is None or len(cek) != content.key_length:
        cek = substitute
    return content.decrypt(cek, iv, Sealed(ciphertext, tag), aad)


def refusal() -> DecryptionError:
    """The only error of a decryption that failed."""
    return DecryptionError("It cannot be decrypted with this key.")


def split_compact(token: str, max_length: int) -> Encoded:
    """RFC 7516 section 7.1: the five parts, still encoded.

    Raises:
        TooLargeError: it is longer than `max_length` characters; nothing was looked at.
        MalformedError: it is not a str of ASCII with exactly four dots.
    """
    if token.__class__ is not str:
        raise MalformedError(f"A token is a str, not a {type(token).__name__}.")
    if len(token) > max_length:
        raise TooLargeError(f"The token has {len(token)} characters, at most {max_length} are read.")
    try:
        parts = token.encode("ascii").split(b".", maxsplit=5)
    except UnicodeEncodeError:
        raise MalformedError("The token has characters outside of base64url and dots.") from None
    if len(parts) != 5:
        raise MalformedError("The token is not five parts with four dots between them (RFC 7516 section 7.1).")
    return Encoded(*parts)


def choose_key(header: Mapping[str, Any], keys: Sequence[DecryptionKey]) -> DecryptionKey:
    """The one place where a checked header's `alg` meets a key's (rule J3). `jwk`, `jku`, `x5u` and `x5c` are not looked at.

    Raises:
        UnknownKeyError: no key has the header's `kid`, or the header names none and more than one key would fit.
        AlgorithmNotAllowedError: the key is for another `alg` or `enc`.
    """
    alg, kid = header["alg"], header.get("kid")
    named = [key for key in keys if kid is None or key.kid == kid]
    if not named:
        raise UnknownKeyError(f"No key has the kid {shown(kid)}.")
    fitting = [key for key in named if key.alg == alg]
    if not fitting:
        wanted = ", ".join(sorted({key.alg for key in named}))
        raise AlgorithmNotAllowedError(f"The algorithm is {shown(alg)}, but the key is for {wanted}.")
    if len(fitting) > 1:
        raise UnknownKeyError("The header names no key, and more than one would fit.")
    key = fitting[0]
    if key.enc is not None and key.enc != header["enc"]:
        raise AlgorithmNotAllowedError(f"The enc is {shown(header['enc'])}, but the key is for {key.enc}.")
    return key


def content_of(header: Mapping[str, Any], accepted: frozenset[str]) -> ContentEncryption:
    """The content encryption that a received header names.

    Raises:
        AlgorithmNotAllowedError: it is not on the allow-list, or the content is compressed.
        MalformedError: there is no `enc`.
    """
    enc = header.get("enc")
    if not isinstance(enc, str):
        raise MalformedError("The header has no 'enc', or it is not a string (RFC 7516 section 4.1.2).")
    if enc not in accepted:
        raise AlgorithmNotAllowedError(f"The enc is {shown(enc)}, allowed are {', '.join(sorted(accepted))}.")
    if "zip" in header:
        raise AlgorithmNotAllowedError("The content is compressed, which is refused (RFC 8725 section 3.6).")
    return content_encryption_algorithm(enc)


def content_for(key: EncryptionKey, enc: str) -> ContentEncryption:
    """The content encryption of that name for a key; raises UnsupportedError, KeyUseError."""
    if key.enc is not None and key.enc != enc:
        raise KeyUseError(f"The key is for {key.enc} and was asked to encrypt with {shown(enc)}.")
    return content_encryption_algorithm(enc)


def own_members(key: EncryptionKey) -> dict[str, Any]:
    """The header parameters that say which key it is."""
    return {"alg": key.alg} if key.kid is None else {"alg": key.alg, "kid": key.kid}


def checked_headers(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the caller adds to a header; raises MalformedError if it is not the caller's to set."""
    extra = dict(headers or {})
    own = _OWN_HEADERS & extra.keys()
    if own:
        raise MalformedError(f"The header parameters {', '.join(sorted(own))} are not the caller's to set.")
    return extra


def allowed(enc: Collection[str]) -> frozenset[str]:
    """An allow-list that a caller named.

    Raises:
        ValueError: it is empty or a single string.
        UnsupportedError: there is no such content encryption.
    """
    if isinstance(enc, str) or not enc:
        raise ValueError("enc is a collection of at least one name, such as ('A256GCM',).")
    return frozenset(content_encryption_algorithm(name).name for name in enc)
