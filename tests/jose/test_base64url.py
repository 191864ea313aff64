"""RFC 4648 section 5, RFC 7515 appendix C: base64url without padding, in its canonical spelling."""

import itertools
from base64 import urlsafe_b64encode

import pytest

from carnet.jose import base64url
from carnet.jose.errors import MalformedError

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.mark.spec("RFC 7515", "C", "MUST")
def test_the_example_of_the_specification():
    assert base64url.encode(bytes([3, 236, 255, 224, 193])) == b"A-z_4ME"
    assert base64url.decode(b"A-z_4ME") == bytes([3, 236, 255, 224, 193])
    assert base64url.text(b"\xff\xfe") == "__4"
    assert base64url.decode_text("__4") == b"\xff\xfe"


@pytest.mark.parametrize("length", range(70))
def test_every_length_is_read_back(length):
    data = bytes(range(255, 255 - length, -1))
    assert base64url.encode(data) == urlsafe_b64encode(data).rstrip(b"=")
    assert base64url.decode(base64url.encode(data)) == data


def test_of_all_spellings_of_up_to_three_characters_exactly_the_canonical_ones_are_read():
    strays = b"+/=\n \x00\x80"
    accepted = 0
    for length in (1, 2, 3):
        for letters in itertools.product(ALPHABET[::7] + b"AQgw048_-" + strays, repeat=length):
            segment = bytes(letters)
            try:
                data = base64url.decode(segment)
            except MalformedError:
                continue
            assert base64url.encode(data) == segment
            accepted += 1
    assert accepted > 100


@pytest.mark.parametrize(
    "segment",
    [
        b"A",
        b"AAAAA",
        b"AAA=",
        b"AA==",
        b"AAAA=",
        b"AAAA\n\n\n\n",
        b"AAAAAA\n\n\n\n",
        b"AAAAAAA\n\n\n\n",
        b"\n\n\n\nAA",
        b"AA!!!!AA",
        b"\n\n\n\nAAA",
        b"A====AA",
        b"AB",
        b"AAB",
        b"A\nAA",
        b"AAA ",
        b"+/8",
        b"\xe9AA\xe9",
    ],
)
def test_every_other_spelling_is_refused(segment):
    with pytest.raises(MalformedError, match="base64url"):
        base64url.decode(segment)


def test_a_member_with_characters_outside_of_ascii_is_refused():
    with pytest.raises(MalformedError, match="ASCII"):
        base64url.decode_text("AAé")
