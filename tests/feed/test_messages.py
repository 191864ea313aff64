import re
from dataclasses import replace
from pathlib import Path

import pytest

from carnet.feed.entries import OUTRIGHT, Entry, mark, pack
from carnet.feed.messages import (
    ENTRIES_IN_A_MESSAGE,
    TYP,
    Message,
    RefusedError,
    Snapshot,
    feed_verifier,
    read_message,
    read_snapshot,
    sign_message,
    sign_snapshot,
    split,
)
from carnet.jose import KeySet, SigningKey, sign_jwt

ISSUER = "https://issuer.example"
NOW = 1_800_000_000
SIGNING = SigningKey.generate("ES256")
FOREIGN = SigningKey.generate("ES256", kid=SIGNING.kid)
VERIFIER = feed_verifier(KeySet((SIGNING.public(),)), issuer=ISSUER, algorithms=("ES256",))
MESSAGE = Message(
    stream="one",
    after=7,
    sequence=9,
    issued_at=NOW,
    entries=(Entry(1, OUTRIGHT, NOW + 400), Entry(2**64 - 1, 3, NOW + 300)),
)
SNAPSHOT = Snapshot(stream="one", key=b"k" * 16, sequence=9, issued_at=NOW, packed=pack(MESSAGE.entries))


def claims(**changed):
    whole = {"iss": ISSUER, "aud": ISSUER, "iat": NOW, "stream": "one", "after": 7, "seq": 7} | changed
    return {name: value for name, value in whole.items() if value is not None}


@pytest.mark.parametrize("message", [MESSAGE, Message(stream="one", after=9, sequence=9, issued_at=NOW)])
def test_a_message_is_read_as_it_was_signed(message):
    assert read_message(sign_message(message, issuer=ISSUER, key=SIGNING), VERIFIER, at=NOW) == message


def test_a_full_message_is_shorter_than_a_token_may_be():
    entries = tuple(Entry(number, OUTRIGHT, NOW) for number in range(ENTRIES_IN_A_MESSAGE))
    full = replace(MESSAGE, sequence=7 + len(entries), entries=entries)
    assert read_message(sign_message(full, issuer=ISSUER, key=SIGNING), VERIFIER, at=NOW) == full
    with pytest.raises(ValueError, match="at most"):
        sign_message(replace(full, entries=(*entries, Entry(99_999, 0, 0))), issuer=ISSUER, key=SIGNING)


def test_a_snapshot_is_read_as_it_was_signed():
    assert read_snapshot(sign_snapshot(SNAPSHOT, issuer=ISSUER, key=SIGNING), VERIFIER, at=NOW) == SNAPSHOT


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_snapshot_that_was_altered_is_refused(place):
    body = bytearray(sign_snapshot(SNAPSHOT, issuer=ISSUER, key=SIGNING))
    index = {"first": body.index(b"\n") + 1, "middle": body.index(b"\n") + 12, "last": len(body) - 1}[place]
    body[index] ^= 1
    with pytest.raises(RefusedError, match="not what was signed"):
        read_snapshot(bytes(body), VERIFIER, at=NOW)


@pytest.mark.parametrize("body", [b"", b"no line", b"\n", b"\xff\n", b"a.b.c\n"])
def test_what_is_no_snapshot_is_refused(body):
    with pytest.raises(RefusedError):
        read_snapshot(body, VERIFIER, at=NOW)


def test_a_snapshot_cut_short_is_refused():
    body = sign_snapshot(SNAPSHOT, issuer=ISSUER, key=SIGNING)
    with pytest.raises(RefusedError):
        read_snapshot(body[:-16], VERIFIER, at=NOW)


def test_a_message_signed_by_another_key_is_refused():
    with pytest.raises(RefusedError, match="signature"):
        read_message(sign_message(MESSAGE, issuer=ISSUER, key=FOREIGN), VERIFIER, at=NOW)


def test_a_message_of_another_issuer_is_refused():
    with pytest.raises(RefusedError):
        read_message(sign_message(MESSAGE, issuer="https://other.example", key=SIGNING), VERIFIER, at=NOW)


@pytest.mark.parametrize("typ", ["at+jwt", "JWT"])
def test_a_token_of_another_kind_is_no_message(typ):
    with pytest.raises(RefusedError):
        read_message(sign_jwt(claims(), SIGNING, typ=typ), VERIFIER, at=NOW)


@pytest.mark.parametrize(
    "changed",
    [
        {"stream": None},
        {"stream": 1},
        {"seq": None},
        {"seq": "7"},
        {"seq": True},
        {"seq": 6},
        {"after": -1},
        {"iat": None},
        {"entries": "AAAA"},
        {"seq": 8, "entries": "A"},
        {"seq": 8, "entries": 5},
        {"seq": 8, "entries": "AAAA"},
    ],
)
def test_a_message_that_makes_no_sense_is_refused(changed):
    with pytest.raises(RefusedError):
        read_message(sign_jwt(claims(**changed), SIGNING, typ=TYP), VERIFIER, at=NOW)


def test_a_snapshot_is_no_message_nor_a_message_a_snapshot():
    token = sign_message(MESSAGE, issuer=ISSUER, key=SIGNING)
    with pytest.raises(RefusedError):
        read_snapshot(token.encode() + b"\n", VERIFIER, at=NOW)
    line = sign_snapshot(SNAPSHOT, issuer=ISSUER, key=SIGNING).partition(b"\n")[0].decode()
    with pytest.raises(RefusedError):
        read_message(line, VERIFIER, at=NOW)


def test_many_entries_are_split_into_messages_that_join_on():
    numbered = [
        (number, Entry(number, OUTRIGHT, NOW))
        for number in range(11, 11 + 2 * ENTRIES_IN_A_MESSAGE + 5)
        if number != 40
    ]
    head = numbered[-1][0] + 3
    messages = split(numbered, stream="one", after=10, sequence=head, issued_at=NOW)
    assert [message.after for message in messages] == [10, *(message.sequence for message in messages[:-1])]
    assert messages[-1].sequence == head
    assert [entry for message in messages for entry in message.entries] == [entry for _, entry in numbered]
    assert split([], stream="one", after=10, sequence=12, issued_at=NOW) == [Message("one", 10, 12, NOW)]


def test_the_documented_entry_is_what_is_packed():
    page = (Path(__file__).parents[2] / "docs/reference/feed-protocol.md").read_text("utf-8")
    key, name, until, packed = re.search(
        r"key `([0-9a-f]{32})` the session `([^`]+)`, .* until (\d+), is packed as `([0-9a-f]{32})`", page
    ).groups()
    assert pack([Entry(mark("session", name, key=bytes.fromhex(key)), OUTRIGHT, int(until))]).hex() == packed
