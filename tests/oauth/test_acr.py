"""OpenID Connect Core section 2, RFC 9470 section 3: strengths of sign-ins."""

import pytest

from carnet.oauth import acr
from carnet.oauth.acr import ONE_FACTOR, TWO_FACTORS


def test_two_proofs_reach_two_factors_and_one_does_not():
    assert acr.reached(("pwd",)) == ONE_FACTOR
    assert acr.reached(("otp",)) == ONE_FACTOR
    assert acr.reached(acr.with_second(("pwd",), ("otp",))) == TWO_FACTORS


@pytest.mark.spec("RFC 8176", "2", "MUST")
def test_a_sign_in_by_two_factors_names_both_and_mfa_each_once():
    assert acr.with_second(("pwd",), ("otp",)) == ("pwd", "otp", "mfa")
    assert acr.with_second(("pwd", "otp", "mfa"), ("otp",)) == ("pwd", "otp", "mfa")


def test_values_that_are_not_known_are_passed_over_and_the_order_stays():
    assert acr.asked(f"phr {TWO_FACTORS} 0 {ONE_FACTOR} {TWO_FACTORS}") == (TWO_FACTORS, ONE_FACTOR)
    assert acr.asked("phr 0") == acr.asked(None) == ()


@pytest.mark.spec("RFC 9470", "3", "MUST")
@pytest.mark.parametrize(
    ("reached", "values", "met"),
    [
        (ONE_FACTOR, (TWO_FACTORS,), None),
        (ONE_FACTOR, (TWO_FACTORS, ONE_FACTOR), ONE_FACTOR),
        (TWO_FACTORS, (TWO_FACTORS, ONE_FACTOR), TWO_FACTORS),
        (TWO_FACTORS, (ONE_FACTOR,), ONE_FACTOR),
        (None, (ONE_FACTOR,), None),
        ("of another time", (ONE_FACTOR,), None),
        (TWO_FACTORS, (), None),
    ],
)
def test_one_of_the_values_is_enough_and_a_stronger_sign_in_meets_a_weaker_one(reached, values, met):
    assert acr.met(reached, values) == met
