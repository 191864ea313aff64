"""RFC 7519, RFC 8725: tokens, their claims and the memory of verified ones."""

import json
import sys
import threading
from base64 import urlsafe_b64decode

import pytest

from carnet.jose import JoseError, KeySet, SigningKey, Verified, sign_jwt
from carnet.jose.algorithms import SIGNATURES
from carnet.jose.errors import ClaimError, shown

ISSUER, AUDIENCE, NOW = "https://issuer.example", "https://orders.example", 1_800_000_000


def good(**changes):
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 300, "iat": NOW} | changes
    return {name: value for name, value in claims.items() if value is not None}


def refused(verifier, token, at=NOW, **arguments):
    with pytest.raises(JoseError) as caught:
        verifier.verify(token, at=at, **arguments)
    return caught.value


@pytest.mark.parametrize("alg", SIGNATURES)
def test_a_token_is_signed_and_verified_with_every_algorithm(alg, key_of, verifier_for):
    key = key_of(alg)
    verifier = verifier_for(key)
    token = sign_jwt(good(roles=["USER"]), key, typ="at+jwt")
    found = verifier.verify(token, at=NOW)
    assert found.header == {"alg": alg, "kid": key.kid, "typ": "at+jwt"}
    assert found.claims == good(roles=("USER",))
    assert found.token == token
    assert refused(verifier, sign_jwt(good(roles=["ADMIN"]), key_of(alg, 1), typ="at+jwt")).code in {
        "unknown_key",
        "signature_invalid",
    }


def test_a_token_is_what_the_specification_says_it_is(key):
    head, payload, signature = sign_jwt(good(), key, typ="at+jwt", headers={"cty": "x"}).split(".")
    assert json.loads(urlsafe_b64decode(head + "==")) == {"alg": "ES256", "kid": key.kid, "typ": "at+jwt", "cty": "x"}
    assert json.loads(urlsafe_b64decode(payload + "==")) == good()
    assert len(urlsafe_b64decode(signature + "==")) == 64


@pytest.mark.parametrize("name", ["alg", "kid", "typ", "crit", "b64"])
def test_a_caller_does_not_set_the_headers_that_the_key_and_the_type_decide(name, key):
    with pytest.raises(JoseError):
        sign_jwt(good(), key, typ="at+jwt", headers={name: "x"})


@pytest.mark.spec("RFC 7519", "4.1.4", "MUST NOT")
def test_a_token_is_refused_on_and_after_its_expiry(key, verifier_for):
    token, verifier = sign_jwt(good(), key, typ="at+jwt"), verifier_for(key)
    assert verifier.verify(token, at=NOW + 299)
    for at, seconds in ((NOW + 300, "0 s"), (NOW + 312, "12 s")):
        error = refused(verifier, token, at=at)
        assert (error.code, error.claim) == ("expired", "exp")
        assert seconds in str(error)


@pytest.mark.spec("RFC 7519", "4.1.5", "MUST NOT")
def test_a_token_is_refused_before_its_nbf(key, verifier_for):
    token, verifier = sign_jwt(good(nbf=NOW + 10), key, typ="at+jwt"), verifier_for(key)
    assert verifier.verify(token, at=NOW + 10)
    error = refused(verifier, token, at=NOW + 7)
    assert (error.code, error.claim) == ("not_yet_valid", "nbf")
    assert "another 3 s" in str(error)
    assert refused(verifier, token, at=NOW + 9).code == "not_yet_valid"


@pytest.mark.spec("RFC 7519", "4.1.6", "MAY")
def test_a_token_that_was_issued_in_the_future_is_refused(key, verifier_for):
    token, verifier = sign_jwt(good(), key, typ="at+jwt"), verifier_for(key)
    error = refused(verifier, token, at=NOW - 2)
    assert (error.code, error.claim) == ("issued_in_future", "iat")
    assert "2 s in the future" in str(error)
    assert refused(verifier, token, at=NOW - 1).code == "issued_in_future"
    assert verifier.verify(token, at=NOW)
    assert refused(verifier, token, at=NOW - 1).code == "issued_in_future"  # remembered or not


def test_the_leeway_is_granted_on_every_date_and_not_a_second_more(key, verifier_for):
    verifier = verifier_for(key, leeway=10)
    token = sign_jwt(good(nbf=NOW + 5), key, typ="at+jwt")
    for at in (NOW - 5, NOW + 309):
        assert verifier.verify(token, at=at)
    assert refused(verifier, token, at=NOW - 6).code == "not_yet_valid"
    assert refused(verifier, token, at=NOW + 310).code == "expired"
    assert refused(verifier, sign_jwt(good(), key, typ="at+jwt"), at=NOW - 11).code == "issued_in_future"


def test_the_first_second_of_1970_is_a_date(key, verifier_for):
    token = sign_jwt(good(iat=0, nbf=0, exp=1), key, typ="at+jwt")
    assert verifier_for(key).verify(token, at=0)
    assert refused(verifier_for(key), sign_jwt(good(iat=0, exp=0), key, typ="at+jwt"), at=0).code == "expired"


def test_a_date_may_have_a_fraction(key, verifier_for):
    token, verifier = sign_jwt(good(exp=NOW + 0.5, iat=NOW - 0.25), key, typ="at+jwt"), verifier_for(key)
    assert verifier.verify(token, at=NOW)
    assert refused(verifier, token, at=NOW + 1).code == "expired"


@pytest.mark.parametrize("name", ["exp", "iat", "sub"])
def test_a_claim_that_is_required_is_missed(name, key, verifier_for):
    error = refused(verifier_for(key), sign_jwt(good(**{name: None}), key, typ="at+jwt"))
    assert (error.code, error.claim) == ("missing_claim", name)
    assert verifier_for(key, required=()).verify(sign_jwt(good(**{name: None}), key, typ="at+jwt"), at=NOW)


def test_a_required_claim_that_is_null_is_missing(key, verifier_for, forge):
    payload = json.dumps({**good(), "scope": None}).encode()
    token = forge({"alg": "ES256", "kid": key.kid, "typ": "at+jwt"}, payload, key)
    assert refused(verifier_for(key, required=("scope",)), token).code == "missing_claim"


def test_a_claim_that_is_forbidden_is_refused(key, verifier_for):
    error = refused(verifier_for(key, forbidden=("nonce",)), sign_jwt(good(nonce="n"), key, typ="at+jwt"))
    assert (error.code, error.claim) == ("invalid_claim", "nonce")


@pytest.mark.parametrize("name", ["sub", "jti"])
@pytest.mark.parametrize("value", ["", 7, True, ["ada"], {"a": 1}])
def test_a_subject_and_an_id_are_strings_that_are_not_empty(name, value, key, verifier_for):
    error = refused(verifier_for(key), sign_jwt(good(**{name: value}), key, typ="at+jwt"))
    assert (error.code, error.claim) == ("invalid_claim", name)


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]])
def test_the_audience_is_found_alone_or_among_others(audience, key, verifier_for):
    assert verifier_for(key).verify(sign_jwt(good(aud=audience), key, typ="at+jwt"), at=NOW)


def test_a_verifier_may_have_several_names(key, verifier_for):
    verifier = verifier_for(key, audience=("orders", "https://orders.example"))
    for audience in ("orders", "https://orders.example", ["orders", "x"]):
        assert verifier.verify(sign_jwt(good(aud=audience), key, typ="at+jwt"), at=NOW)
    error = refused(verifier, sign_jwt(good(aud="ord"), key, typ="at+jwt"))
    assert "'ord'" in str(error)
    assert "'orders'" in str(error)


def test_a_further_rule_of_the_kind_of_token_is_asked(key, verifier_for):
    def rule(claims):
        if claims["sub"] != "ada":
            raise ClaimError("Another.", claim="sub")

    verifier = verifier_for(key, rule=rule)
    assert verifier.verify(sign_jwt(good(), key, typ="at+jwt"), at=NOW)
    assert refused(verifier, sign_jwt(good(sub="eve"), key, typ="at+jwt")).code == "invalid_claim"


@pytest.mark.parametrize(
    "policy", [{"leeway": -1}, {"cache_size": -1}, {"max_length": 0}, {"audience": ["a", ""]}, {"typ": ["a", ""]}]
)
def test_a_policy_out_of_its_range_is_refused(policy, key, verifier_for):
    with pytest.raises(ValueError, match=r"at least|no default"):
        verifier_for(key, **policy)


def test_the_least_of_each_range_makes_a_policy(key, verifier_for):
    for policy in ({"leeway": 0}, {"cache_size": 0}, {"max_length": 1}, {"max_length": 65536}):
        assert verifier_for(key, **policy)


def test_a_token_of_another_type_hears_which_types_are_wanted(key, verifier_for):
    verifier = verifier_for(key, typ=["JWT", None])
    error = refused(verifier, sign_jwt(good(), key, typ="at+jwt"))
    assert "'at+jwt'" in str(error)
    assert any(wanted in str(error) for wanted in ("wanted 'jwt' or none", "wanted none or 'jwt'"))


def test_only_a_verifier_makes_a_verified_and_it_cannot_be_changed(key, verifier_for):
    with pytest.raises(TypeError, match="Only a verifier"):
        Verified()
    found = verifier_for(key).verify(sign_jwt(good(jti="7"), key, typ="at+jwt"), at=NOW)
    for act in (
        lambda: setattr(found, "claims", {}),
        lambda: found.claims.update(sub="eve"),
        lambda: setattr(found, "x", 1),
    ):
        with pytest.raises((AttributeError, TypeError)):
            act()
    assert repr(found) == "Verified(iss='https://issuer.example', sub='ada', jti='7')"
    assert found.token not in repr(found)


def test_an_error_says_what_was_found_cuts_it_short_and_escapes_it(key, verifier_for):
    error = refused(
        verifier_for(key), sign_jwt(good(iss="https://evil.example/" + "x" * 500 + "\n\x1b[31m"), key, typ="at+jwt")
    )
    assert ISSUER in str(error)
    assert len(str(error)) < 200
    assert "\n" not in str(error)
    assert "\x1b" not in str(error)
    assert shown("short") == "'short'"
    assert len(shown("x" * 1000)) <= 80


# The memory of verified tokens


def counted(key):
    """The key, and a count of how often it verified."""
    public, count = key.public(), [0]

    class Counting(type(public)):
        __slots__ = ()

        def verify(self, data, signature):
            count[0] += 1
            return super().verify(data, signature)

    watched = Counting.from_jwk(public.to_jwk(), alg=public.alg)
    return watched, count


@pytest.fixture
def remembering(key):
    from carnet.jose import JwtVerifier

    def build(**policy):
        watched, count = counted(key)
        policy = {"algorithms": ("ES256",), "issuer": ISSUER, "audience": AUDIENCE, "typ": "at+jwt", **policy}
        return JwtVerifier(keys=KeySet([watched]), **policy), count

    return build


def test_a_token_that_comes_again_is_not_verified_again(key, remembering):
    verifier, count = remembering()
    token = sign_jwt(good(), key, typ="at+jwt")
    first = verifier.verify(token, at=NOW)
    assert all(verifier.verify("".join(token), at=NOW + second) is first for second in range(300))
    assert count == [1]


def test_a_token_over_the_limit_is_not_even_looked_up(key, verifier_for):
    class Watched:
        asked = 0

        def get(self, token):
            self.asked += 1

        def put(self, token, entry): ...

    token = sign_jwt(good(), key, typ="at+jwt")
    for limit, asked in ((len(token) - 1, 0), (len(token), 1)):
        verifier = verifier_for(key, max_length=limit)
        verifier._recent = Watched()
        if asked:
            assert verifier.verify(token, at=NOW)
        else:
            assert refused(verifier, token).code == "too_large"
        assert verifier._recent.asked == asked


def test_a_verifier_may_be_told_to_remember_nothing(key, remembering):
    verifier, count = remembering(cache_size=0)
    token = sign_jwt(good(), key, typ="at+jwt")
    for _ in range(3):
        verifier.verify(token, at=NOW)
    assert count == [3]


def test_a_remembered_token_is_refused_once_it_has_expired_and_before_it_is_valid(key, remembering):
    verifier, _ = remembering()
    token = sign_jwt(good(nbf=NOW - 5, iat=NOW - 10), key, typ="at+jwt")
    verifier.verify(token, at=NOW)
    assert refused(verifier, token, at=NOW + 300).code == "expired"
    verifier.verify(token, at=NOW)
    assert refused(verifier, token, at=NOW - 6).code == "not_yet_valid"
    assert verifier.verify(token, at=NOW)


def test_what_was_refused_is_looked_at_again(key, remembering):
    verifier, _ = remembering()
    token = sign_jwt(good(nbf=NOW + 5), key, typ="at+jwt")
    assert refused(verifier, token, at=NOW).code == "not_yet_valid"
    assert verifier.verify(token, at=NOW + 5)


def test_a_remembered_token_is_refused_when_its_key_has_been_withdrawn(key, key_of, remembering):
    verifier, count = remembering()
    token = sign_jwt(good(), key, typ="at+jwt")
    verifier.verify(token, at=NOW)
    assert (
        refused(verifier, token, keys=KeySet([key_of("ES256", 1).public(), key_of("ES256", 2).public()])).code
        == "unknown_key"
    )
    impostor = SigningKey.from_jwk({**key_of("ES256", 1).to_jwk(), "kid": key.kid}, alg="ES256").public()
    assert refused(verifier, token, keys=KeySet([impostor])).code == "signature_invalid"
    other_algorithm = SigningKey.from_jwk({**key.to_jwk(), "alg": "ESP256"}, alg="ESP256").public()
    assert refused(verifier, token, keys=KeySet([other_algorithm])).code == "algorithm_not_allowed"
    assert verifier.verify(token, at=NOW)
    assert count == [2]


def test_the_same_key_read_anew_verifies_once_and_is_then_remembered(key, remembering):
    verifier, _ = remembering()
    token = sign_jwt(good(), key, typ="at+jwt")
    verifier.verify(token, at=NOW)
    fresh, count = counted(key)
    newer = KeySet([fresh])
    for _ in range(5):
        verifier.verify(token, at=NOW, keys=newer)
    assert count == [1]


def test_what_was_taken_back_is_refused_although_it_is_remembered(key, remembering):
    taken_back = set()

    def admit(found):
        if found.claims["sub"] in taken_back:
            raise ClaimError("Taken back.", claim="sub")

    verifier, count = remembering(admit=admit)
    token = sign_jwt(good(), key, typ="at+jwt")
    assert verifier.verify(token, at=NOW) is verifier.verify(token, at=NOW)
    taken_back.add("ada")
    assert refused(verifier, token).code == "invalid_claim"
    assert refused(verifier, sign_jwt(good(jti="2"), key, typ="at+jwt")).code == "invalid_claim"
    taken_back.clear()
    assert verifier.verify(token, at=NOW)
    assert count == [2]


def test_the_memory_is_bounded_and_keeps_what_is_asked_for(key, remembering):
    verifier, count = remembering(cache_size=8)
    favourite = sign_jwt(good(jti="favourite"), key, typ="at+jwt")
    verifier.verify(favourite, at=NOW)
    for number in range(40):
        verifier.verify(sign_jwt(good(jti=str(number)), key, typ="at+jwt"), at=NOW)
        verifier.verify(favourite, at=NOW)
        assert len(verifier._recent) <= 9  # the two generations, and one that has just moved
    assert count == [41]


def test_the_memory_can_be_emptied(key, remembering):
    verifier, count = remembering()
    token = sign_jwt(good(), key, typ="at+jwt")
    verifier.verify(token, at=NOW)
    verifier.forget()
    verifier.verify(token, at=NOW)
    assert count == [2]


def test_only_the_headers_of_verified_tokens_are_kept_and_only_so_many(key, verifier_for, forge, key_of):
    verifier = verifier_for(key)
    for number in range(50):
        header = {"alg": "ES256", "kid": key.kid, "typ": "at+jwt", "n": number}
        assert refused(verifier, forge(header, good(), key_of("ES256", 1))).code == "signature_invalid"
        assert refused(verifier, forge({**header, "kid": "x"}, good(), key)).code == "unknown_key"
    assert len(verifier._headers) == 0
    for number in range(3):
        verifier.verify(sign_jwt(good(jti=str(number)), key, typ="at+jwt"), at=NOW)
        assert len(verifier._headers) == 1
    for number in range(200):
        verifier.verify(forge({"alg": "ES256", "kid": key.kid, "typ": "at+jwt", "n": number}, good(), key), at=NOW)
        assert len(verifier._headers) <= 64


def test_threads_may_share_a_verifier(key, verifier_for):
    verifier = verifier_for(key, cache_size=4)
    tokens = [sign_jwt(good(jti=str(number)), key, typ="at+jwt") for number in range(12)]
    wrong = []

    def work():
        for turn in range(400):
            token = tokens[turn % 12]
            if verifier.verify(token, at=NOW).token != token:
                wrong.append(token)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert wrong == []


def test_a_memory_of_one_token_remembers_one_and_forgets_it_in_both_generations(key, remembering):
    verifier, count = remembering(cache_size=1)
    token = sign_jwt(good(), key, typ="at+jwt")
    for _ in range(3):
        verifier.verify(token, at=NOW)
    assert count == [1]
    verifier.verify(sign_jwt(good(sub="eve"), key, typ="at+jwt"), at=NOW)
    refused(verifier, token, at=NOW + 300)
    assert verifier._recent.get(token) is None
