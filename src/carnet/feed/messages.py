"""RFC 7515, RFC 8725 section 3.11: the feed's signed messages and snapshots (`typ: revocations+jwt`).

The signature lets anyone relay them: a relay can only delay, and delay shows, because each message says when it was signed.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any, TypeVar

from carnet.ambient import Instant
from carnet.feed.entries import HASH_KEY_LENGTH, RECORD_LENGTH, Entry, MalformedError, pack, unpack
from carnet.jose import JoseError, JwtVerifier, KeySet, SigningKey, Verified, sign_jwt
from carnet.jose.profiles import REVOCATIONS

TYP = "revocations+jwt"
ENTRIES_IN_A_MESSAGE = 1_500
"""So that a message stays below 64 KiB."""
SNAPSHOT_LIMIT = 256 * 1024 * 1024
"""Bytes; sixteen million entries."""

T = TypeVar("T")


class RefusedError(Exception):
    """What came is not a message or snapshot of this issuer's feed."""


@dataclass(frozen=True, slots=True)
class Message:
    """The entries numbered `after + 1` to `sequence` of a stream; a heartbeat has none."""

    stream: str
    after: int
    sequence: int
    issued_at: Instant
    entries: tuple[Entry, ...] = ()
    kids: tuple[str, ...] | None = None
    """The keys that the issuer publishes: whoever lacks one fetches the key set. None: it does not say this time."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All entries that count at a place in a stream."""

    stream: str
    key: bytes
    """Of the marks' hash."""
    sequence: int
    issued_at: Instant
    packed: bytes


def feed_verifier(
    keys: KeySet, *, issuer: str, algorithms: Collection[str], admit: Callable[[Verified], None] | None = None
) -> JwtVerifier:
    """What verifies an issuer's messages and snapshots: they are for whoever follows that issuer, so `aud` is the issuer."""
    return REVOCATIONS.verifier(
        keys=keys,
        algorithms=algorithms,
        issuer=issuer,
        audience=issuer,
        leeway=60,
        admit=admit,
        max_length=64 * 1024,
        cache_size=0,  # each comes once
    )


def sign_message(message: Message, *, issuer: str, key: SigningKey) -> str:
    """Sign a message: a compact JWS.

    Raises:
        ValueError: it has more than `ENTRIES_IN_A_MESSAGE` entries.
    """
    if len(message.entries) > ENTRIES_IN_A_MESSAGE:
        raise ValueError(f"A message holds at most {ENTRIES_IN_A_MESSAGE} entries.")
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": issuer,
        "iat": message.issued_at,
        "stream": message.stream,
        "after": message.after,
        "seq": message.sequence,
    }
    if message.entries:
        claims["entries"] = _text(pack(message.entries))
    if message.kids is not None:
        claims["kids"] = list(message.kids)
    return sign_jwt(claims, key, typ=TYP)


def read_message(token: str, verifier: JwtVerifier, *, at: Instant, keys: KeySet | None = None) -> Message:
    """Verify and read a message, with another key set than the verifier's own if one is given.

    Raises:
        RefusedError: it is not one, or not this issuer's.
    """
    claims = _verified(token, verifier, at, keys)
    packed = _bytes(claims.get("entries", ""))
    after, sequence = _member(claims, "after", int), _member(claims, "seq", int)
    if not 0 <= after <= sequence or (after == sequence and packed):
        raise RefusedError(f"A message from {after} to {sequence} makes no sense.")
    return Message(
        stream=_member(claims, "stream", str),
        after=after,
        sequence=sequence,
        issued_at=_member(claims, "iat", int),
        entries=_entries(packed),
        kids=_kids(claims.get("kids")),
    )


def sign_snapshot(snapshot: Snapshot, *, issuer: str, key: SigningKey) -> bytes:
    """Sign a snapshot: a compact JWS that names the SHA-256 of what follows it, a line feed, the packed entries."""
    claims = {
        "iss": issuer,
        "aud": issuer,
        "iat": snapshot.issued_at,
        "stream": snapshot.stream,
        "seq": snapshot.sequence,
        "key": _text(snapshot.key),
        "count": len(snapshot.packed) // RECORD_LENGTH,
        "sha256": _text(sha256(snapshot.packed).digest()),
    }
    return sign_jwt(claims, key, typ=TYP).encode() + b"\n" + snapshot.packed


def read_snapshot(body: bytes, verifier: JwtVerifier, *, at: Instant, keys: KeySet | None = None) -> Snapshot:
    """Verify and read a snapshot, with another key set than the verifier's own if one is given.

    Raises:
        RefusedError: it is not one, not this issuer's, or not whole.
    """
    token, line_feed, packed = body.partition(b"\n")
    if not line_feed or not token.isascii():
        raise RefusedError("A snapshot begins with a line of its own.")
    claims = _verified(token.decode(), verifier, at, keys)
    if not compare_digest(sha256(packed).digest(), _bytes(_member(claims, "sha256", str))):
        raise RefusedError("The snapshot is not what was signed.")
    key = _bytes(_member(claims, "key", str))
    if len(key) != HASH_KEY_LENGTH or _member(claims, "count", int) * RECORD_LENGTH != len(packed):
        raise RefusedError("The snapshot's description does not fit it.")
    return Snapshot(
        stream=_member(claims, "stream", str),
        key=key,
        sequence=_member(claims, "seq", int),
        issued_at=_member(claims, "iat", int),
        packed=packed,
    )


def split(
    numbered: Sequence[tuple[int, Entry]],
    *,
    stream: str,
    after: int,
    sequence: int,
    issued_at: Instant,
    kids: tuple[str, ...] | None = None,
) -> list[Message]:
    """The messages that carry a stream on from `after` to `sequence`; one heartbeat if there is nothing between.

    `numbered` has all entries between, in order; a number may be missing where an entry has been replaced by a later one.
    The last message tells the `kids`.
    """
    starts = range(0, len(numbered), ENTRIES_IN_A_MESSAGE) or range(1)
    chunks = [numbered[start : start + ENTRIES_IN_A_MESSAGE] for start in starts]
    ends = [chunk[-1][0] for chunk in chunks[:-1]] + [sequence]
    return [
        Message(
            stream=stream,
            after=begin,
            sequence=end,
            issued_at=issued_at,
            entries=tuple(entry for _, entry in chunk),
            kids=kids if end == sequence else None,
        )
        for begin, end, chunk in zip([after, *ends], ends, chunks, strict=False)
    ]


def _verified(token: str, verifier: JwtVerifier, at: Instant, keys: KeySet | None) -> Any:
    try:
        return verifier.verify(token, at=at, keys=keys).claims
    except JoseError as error:
        raise RefusedError(f"The feed's signature does not hold: {error}") from error


def _entries(packed: bytes) -> tuple[Entry, ...]:
    try:
        columns = unpack(packed)
    except MalformedError as error:
        raise RefusedError(str(error)) from error
    return tuple(map(Entry, *columns))


def _kids(told: Any) -> tuple[str, ...] | None:
    if told is not None and not (isinstance(told, tuple) and all(isinstance(kid, str) for kid in told)):
        raise RefusedError("The member kids is no list of strings.")
    return told


def _member(claims: Any, name: str, kind: type[T]) -> T:
    value = claims.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RefusedError(f"The member {name} is missing or of the wrong kind.")
    return value


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: Any) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (TypeError, ValueError, Base64Error):
        raise RefusedError("A member is not base64url.") from None
