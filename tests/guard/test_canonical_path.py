"""A path is accepted in one spelling alone (rule A3)."""

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.guard.canonical_path import NotCanonicalError, below, canonical_path

GOOD = [b"/", b"/a", b"/a/", b"/a/b.c/~d", b"/caf%C3%A9", b"/a%20b", b"/a:b@c,d=e!$&'()*+", b"/...", b"/.well-known"]
BAD = [
    b"",
    b"a",
    b"//",
    b"/a//b",
    b"/.",
    b"/..",
    b"/a/../b",
    b"/a/./b",
    b"/%2e%2e/a",
    b"/%2E",
    b"/a%2fb",
    b"/a%2Fb",
    b"/a%5cb",
    b"/a\\b",
    b"/a;b",
    b"/a%3Bb",
    b"/a%00",
    b"/a%0d%0ab",
    b"/a%7f",
    b"/a%25",
    b"/a%252e",
    b"/a%",
    b"/a%2",
    b"/a%zz",
    b"/a?b",
    b"/a#b",
    b"/a b",
    b"/a\x00",
    b"/\xe9",
    b"/a%e9",
    b"/a%c0%ae",
    b"/a\n",
    b'/a"',
    b"/a|b",
]


@pytest.mark.parametrize("path", GOOD)
def test_a_path_in_its_only_spelling_is_taken_as_it_is(path: bytes) -> None:
    assert canonical_path(path) == path.decode()


@pytest.mark.parametrize("path", BAD)
def test_a_path_with_a_second_reading_is_refused(path: bytes) -> None:
    with pytest.raises(NotCanonicalError):
        canonical_path(path)


@given(st.lists(st.sampled_from([b"/", b".", b"%", b"2", b"e", b"f", b"5", b"c", b"a", b";", b"\\", b"0", b"\xff"])))
def test_what_is_taken_reads_the_same_when_it_is_decoded(pieces: list[bytes]) -> None:
    raw = b"".join(pieces)
    try:
        path = canonical_path(raw)
    except NotCanonicalError:
        return
    decoded = unquote_to_bytes(path)
    assert decoded.count(b"/") == path.count("/")
    assert not {b".", b".."} & set(decoded.split(b"/"))
    assert unquote_to_bytes(decoded) == decoded
    assert b"\\" not in decoded


@pytest.mark.parametrize(
    ("path", "rest"), [("/api", ""), ("/api/", "/"), ("/api/x", "/x"), ("/apis", None), ("/ap", None), ("/", None)]
)
def test_a_prefix_ends_where_a_segment_ends(path: str, rest: str | None) -> None:
    assert below(path, "/api") == rest
