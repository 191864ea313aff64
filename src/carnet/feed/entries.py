"""Entries of the feed: a keyed hash of what was taken back, the epoch below which it counts, and the end of its use.

Sixteen bytes each, packed in columns (all hashes, then all epochs, then all expiries; little-endian), so that a map of a
million entries is read without touching each one. The hash is keyed for each stream, so that nobody can make two names
collide on purpose, and a name cannot be read back from the feed.
"""

import sys
from array import array
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from carnet.ambient import Instant

HASH_KEY_LENGTH = 16
RECORD_LENGTH = 16

Mark: TypeAlias = int
"""The keyed hash of one name, 64 bits."""

KINDS: dict[str, bytes] = {
    "session": b"s",
    "family": b"f",
    "token": b"t",
    "subject": b"u",
    "client": b"c",
    "key": b"k",
}
"""What can be taken back, each in a name space of its own."""

OUTRIGHT = 0
"""The epoch of an entry that refuses whatever epoch a token carries."""


class MalformedError(ValueError):
    """Bytes that are not packed entries."""


class Entry(NamedTuple):
    """What a guard needs to know of one thing that was taken back."""

    mark: Mark
    epoch: int
    """Tokens that carry a lower epoch are refused; `OUTRIGHT`: all are."""
    expires_at: Instant
    """When the last token that it could concern has expired."""


def mark(kind: str, value: str, *, key: bytes) -> Mark:
    """The hash under which something is looked up; `key` is the stream's, of 16 bytes.

    Raises:
        KeyError: there is no such kind.
    """
    return int.from_bytes(blake2b(KINDS[kind] + value.encode(), key=key, digest_size=8).digest(), "little")


def stricter(one: int, other: int) -> int:
    """Of two epochs for one mark the one that refuses more; what was taken back outright stays so."""
    return OUTRIGHT if OUTRIGHT in {one, other} else max(one, other)


class Columns(NamedTuple):
    """Packed entries, readable in place: three columns of one length, in the order of marks."""

    marks: Sequence[Mark]
    epochs: Sequence[int]
    expiries: Sequence[Instant]


def pack(entries: Iterable[Entry]) -> bytes:
    """Pack entries in the order of their marks, one for each mark."""
    rows = sorted(entries, key=itemgetter(0))
    columns = _columns(rows)
    if not _strictly_rising(columns[0]):
        columns = _columns(_merged(rows))
    return b"".join(_little_endian(column).tobytes() for column in columns)


def _columns(rows: Sequence[Entry]) -> "tuple[array[int], array[int], array[int]]":
    return (
        array("Q", [row[0] for row in rows]),
        array("I", [row[1] for row in rows]),
        array("I", [row[2] for row in rows]),
    )


def _merged(rows: Sequence[Entry]) -> list[Entry]:
    """One entry for each mark, out of rows in the order of marks."""
    merged: list[Entry] = []
    for row in rows:
        last = merged[-1] if merged else None
        if last is not None and last.mark == row.mark:
            merged[-1] = Entry(row.mark, stricter(last.epoch, row.epoch), max(last.expires_at, row.expires_at))
        else:
            merged.append(row)
    return merged


def unpack(packed: bytes) -> Columns:
    """Read what `pack` made.

    Raises:
        MalformedError: the length is not a whole number of entries, or the marks are not in strictly rising order.
    """
    count, rest = divmod(len(packed), RECORD_LENGTH)
    if rest:
        raise MalformedError(f"{len(packed)} bytes are not a whole number of entries.")
    marks, epochs, expiries = array("Q"), array("I"), array("I")
    octets = memoryview(packed)
    marks.frombytes(octets[: 8 * count])
    epochs.frombytes(octets[8 * count : 12 * count])
    expiries.frombytes(octets[12 * count :])
    for column in (marks, epochs, expiries):
        _little_endian(column)
    if not _strictly_rising(marks):
        raise MalformedError("The marks are not in strictly rising order.")
    return Columns(marks, epochs, expiries)


def _strictly_rising(marks: "array[int]") -> bool:
    """Whether a binary search in them finds what is there: no order, no look-up."""
    return all(map(int.__lt__, marks, memoryview(marks)[1:]))


def _little_endian(column: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        column.byteswap()
    return column
