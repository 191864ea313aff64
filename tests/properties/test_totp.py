"""RFC 6238 appendix B, RFC 4226 appendix D: codes, and which of them are accepted."""

import hmac
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.issuer import totp
from carnet.testing.authenticator import Authenticator

KEY = b"12345678901234567890"
KEYS = st.binary(min_size=totp.KEY_LENGTH, max_size=totp.KEY_LENGTH)
INSTANTS = st.integers(120, 2**33)


@pytest.mark.spec("RFC 6238", "appendix B", "MUST")
@pytest.mark.parametrize(
    ("instant", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_codes_of_the_specification_come_out(instant, code):
    assert totp.code_at(KEY, totp.step_at(instant), digits=8) == code
    assert totp.code_at(KEY, totp.step_at(instant)) == code[2:]


@pytest.mark.spec("RFC 4226", "appendix D", "MUST")
@pytest.mark.parametrize(
    ("counter", "code"),
    list(
        enumerate(
            "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489".split()  # noqa: SIM905 - as the RFC has them
        )
    ),
)
def test_the_codes_by_counter_of_the_specification_come_out(counter, code):
    assert totp.code_at(KEY, counter) == code


@pytest.mark.spec("RFC 6238", "5.2", "MUST")
@given(key=KEYS, at=INSTANTS, drift=st.integers(-1, 1))
def test_the_present_code_and_its_neighbours_are_accepted_once_and_none_before_them_again(key, at, drift):
    step = totp.step_at(at) + drift
    code = totp.code_at(key, step)
    found = totp.matching_step(key, code, at=at, after=-1)
    assert found is not None
    assert totp.code_at(key, found) == code
    assert totp.matching_step(key, code, at=at, after=found) is None
    for earlier in range(found - 2, found):
        again = totp.matching_step(key, totp.code_at(key, earlier), at=at, after=found)
        assert again is None or again > found


@given(key=KEYS, at=INSTANTS, distance=st.integers(2, 10_000), side=st.sampled_from((-1, 1)))
def test_a_code_from_further_away_is_not_accepted(key, at, distance, side):
    step = totp.step_at(at)
    other = max(0, step + side * distance)
    near = {totp.code_at(key, near) for near in range(step - 1, step + 2)}
    code = totp.code_at(key, other)
    assert (totp.matching_step(key, code, at=at, after=-1) is not None) == (code in near)


@given(key=KEYS, at=INSTANTS, typed=st.text(max_size=12))
def test_whatever_is_typed_is_refused_unless_it_is_a_code(key, at, typed):
    near = {totp.code_at(key, step) for step in range(totp.step_at(at) - 1, totp.step_at(at) + 2)}
    accepted = totp.matching_step(key, typed, at=at, after=-1) is not None
    assert accepted == ("".join(typed.split()) in near)


@given(key=KEYS, step=st.integers(0, 2**40))
def test_a_code_is_six_digits_of_the_truncated_mac(key, step):
    code = totp.code_at(key, step)
    assert len(code) == 6
    assert code.isascii()
    assert code.isdigit()
    mac = hmac.digest(key, step.to_bytes(8, "big"), "sha1")
    assert any((int.from_bytes(mac[at : at + 4], "big") & 0x7FFFFFFF) % 10**6 == int(code) for at in range(16))


@given(key=KEYS, at=INSTANTS)
def test_an_app_that_was_given_the_key_shows_the_same_codes(key, at):
    uri = totp.key_uri(key, issuer="id.example:8443", account="ann+b@example.com")
    parts = urlsplit(uri)
    asked = parse_qs(parts.query, strict_parsing=True)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert (asked["algorithm"], asked["digits"], asked["period"]) == (["SHA1"], ["6"], ["30"])
    assert asked["issuer"] == ["id.example:8443"]
    assert Authenticator(asked["secret"][0]).code(at) == totp.code_at(key, totp.step_at(at))
