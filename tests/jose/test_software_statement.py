"""RFC 7591 section 2.3: software statements, and that they are no other kind of token (rule J17)."""

import pytest

from carnet.jose import JoseError, KeySet, SigningKey, sign_jwt
from carnet.jose.profiles import PROFILES
from carnet.jose.software_statement import MAX_LENGTH, verify_software_statement

NOW = 1_800_000_000
TRUST, HERE = "https://trust.example", "https://id.example"
KEY = SigningKey.generate("ES256")
KEYS = KeySet([KEY.public()])
CLAIMS = {"iss": TRUST, "software_id": "x", "client_name": "App"}


def verify(token: str, *, algorithms=("ES256",)):
    return verify_software_statement(
        token, KEYS, algorithms=algorithms, issuer=TRUST, recipient=HERE, at=NOW, leeway=60
    )


@pytest.mark.spec("RFC 7591", "2.3", "MUST")
@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/jwt", "software-statement+jwt"])
def test_a_statement_of_the_issuer_is_read(typ):
    assert verify(sign_jwt(CLAIMS, KEY, typ=typ))["client_name"] == "App"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": HERE}, "issuer_mismatch"),
        ({"iss": None}, "missing_claim"),
        ({"aud": TRUST}, "audience_mismatch"),
        ({"exp": NOW - 60}, "expired"),
        ({"nbf": NOW + 61}, "not_yet_valid"),
        ({"software_id": ...}, "missing_claim"),
        ({"sub": "x"}, "invalid_claim"),
        ({"client_id": "x"}, "invalid_claim"),
        ({"jti": 1}, "invalid_claim"),
    ],
)
def test_what_it_must_not_be_is_refused(changes, code):
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not ...}
    with pytest.raises(JoseError) as caught:
        verify(sign_jwt(claims, KEY, typ="JWT"))
    assert caught.value.code == code


def test_its_algorithm_its_type_and_its_length_are_held_to():
    good = sign_jwt(CLAIMS, KEY, typ="JWT")
    for bad, algorithms in (
        (good, ("ES384",)),
        (sign_jwt(CLAIMS, KEY, typ="at+jwt"), ("ES256",)),
        (sign_jwt(CLAIMS, SigningKey.generate("ES256"), typ="JWT"), ("ES256",)),
        ("A" * (MAX_LENGTH + 1), ("ES256",)),
    ):
        with pytest.raises(JoseError):
            verify(bad, algorithms=algorithms)


@pytest.mark.spec("RFC 8725", "3.12", "MUST")
@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_it_passes_for_no_other_token_and_no_other_passes_for_it(profile):
    verifier = profile.verifier(keys=KEYS, algorithms=("ES256",), issuer=TRUST, audience=HERE)
    own = sign_jwt(CLAIMS | {"aud": HERE, "exp": NOW + 60, "iat": NOW, "jti": "1"}, KEY, typ="JWT")
    assert verify(own)
    with pytest.raises(JoseError):
        verifier.verify(own, at=NOW)
    everything = dict.fromkeys(profile.required, "x") | {"iss": TRUST, "aud": HERE, "exp": NOW + 60, "iat": NOW}
    with pytest.raises(JoseError):
        verify(sign_jwt(everything, KEY, typ=str(profile.types[0])))
