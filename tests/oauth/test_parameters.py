"""RFC 6749 section 3.1 and appendix B."""

import contextlib
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.oauth.errors import InvalidRequestError
from carnet.oauth.parameters import MAX_COUNT, MAX_LENGTH, parse


@pytest.mark.spec("RFC 6749", "B", "MUST")
def test_names_and_values_are_form_decoded_as_utf_8():
    parameters = parse(b"a+b=c%20d%2b&%C3%A4=%E2%82%AC")
    assert parameters.get("a b") == "c d+"
    assert parameters.get("ä") == "€"


@pytest.mark.spec("RFC 6749", "3.1", "MUST")
@pytest.mark.parametrize("encoded", [b"", b"x=", b"x", b"&&", b"x=&x="])
def test_an_empty_parameter_is_absent(encoded):
    parameters = parse(encoded)
    assert "x" not in parameters
    assert parameters.get("x") is None
    assert parameters.all("x") == ()
    with pytest.raises(InvalidRequestError, match="The parameter x is missing"):
        parameters.require("x")


@pytest.mark.spec("RFC 6749", "3.1", "MUST NOT")
@pytest.mark.parametrize("encoded", [b"x=1&x=2", b"x=1&x=1", b"x=1&y=2&x=3", b"x=1&%78=2"])
def test_a_repeated_parameter_is_refused(encoded):
    with pytest.raises(InvalidRequestError, match="more than once"):
        parse(encoded)


def test_an_empty_one_repeats_nothing():
    assert parse(b"x=&x=1").get("x") == "1"


@pytest.mark.spec("RFC 8707", "2", "MAY")
def test_a_resource_may_be_repeated():
    parameters = parse(b"resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example")
    assert parameters.all("resource") == ("https://a.example", "https://b.example")


@pytest.mark.parametrize("encoded", [b"x=%", b"x=%2", b"x=%zz", b"x=%ff", b"x=%c3", b"\xff=1", "x=ä".encode()])
def test_what_is_not_form_encoded_utf_8_is_refused(encoded):
    with pytest.raises(InvalidRequestError):
        parse(encoded)


@pytest.mark.parametrize("character", ["%00", "%0a", "%0D", "%1f", "%7F", "%09"])
def test_control_characters_are_refused(character):
    for encoded in (f"x=a{character}b", f"a{character}b=x"):
        with pytest.raises(InvalidRequestError, match="control characters"):
            parse(encoded.encode())


def test_too_many_and_too_long_are_refused():
    within = "&".join(f"p{number}=1" for number in range(MAX_COUNT))
    assert len(parse(within.encode()).pairs()) == MAX_COUNT
    with pytest.raises(InvalidRequestError, match="too many"):
        parse(f"{within}&one=more".encode())
    assert parse(b"x=" + b"a" * (MAX_LENGTH - 2)).get("x")
    with pytest.raises(InvalidRequestError, match="too many"):
        parse(b"x=" + b"a" * (MAX_LENGTH - 1))


def test_values_do_not_print():
    assert "canary" not in repr(parse(b"code=canary"))


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1), max_size=20))
def test_what_is_encoded_comes_back_or_is_refused(pairs):
    try:
        encoded = urlencode(pairs).encode()
    except UnicodeEncodeError:  # lone surrogates are not UTF-8
        return
    try:
        parameters = parse(encoded)
    except InvalidRequestError:
        assert any(
            ord(character) < 32 or ord(character) == 127 for pair in pairs.items() for character in "".join(pair)
        )
        return
    assert dict(parameters.pairs()) == pairs


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(encoded):
    with contextlib.suppress(InvalidRequestError):
        assert all(value for _, value in parse(encoded).pairs())
