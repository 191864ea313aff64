"""RFC 9449 section 4: proofs by a key that the token itself brings."""

import pytest

from carnet.jose import JoseError
from carnet.jose.proof import verify_proof

NOW = 1_800_000_000
ALGORITHMS = ("ES256", "RS256", "Ed25519")


@pytest.fixture
def proof_of(key, forge):
    def made(signer=key, *, header=None, jwk=..., **claims):
        members = {"alg": signer.alg, "typ": "dpop+jwt", "jwk": signer.public().to_jwk() if jwk is ... else jwk} | (
            header or {}
        )
        payload = {"jti": "1", "htm": "GET", "htu": "https://orders.example/", "iat": NOW} | claims
        kept = {name: value for name, value in payload.items() if value is not None}
        return forge({name: value for name, value in members.items() if value is not None}, kept, signer)

    return made


def refused(token, code, *, at=NOW, algorithms=ALGORITHMS, **arguments):
    with pytest.raises(JoseError) as caught:
        verify_proof(token, algorithms=algorithms, at=at, max_age=60, **arguments)
    assert caught.value.code == code


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_proof_shows_the_key_that_made_it(alg, key_of, proof_of):
    found = verify_proof(proof_of(key_of(alg)), algorithms=ALGORITHMS, at=NOW, max_age=60)
    assert found.key.thumbprint() == key_of(alg).thumbprint()
    assert found.claims["htm"] == "GET"
    assert found.header["typ"] == "dpop+jwt"


def test_a_proof_may_carry_the_bare_members_of_the_key(key, proof_of):
    bare = {name: value for name, value in key.public().to_jwk().items() if name in {"kty", "crv", "x", "y"}}
    assert verify_proof(proof_of(jwk=bare), algorithms=ALGORITHMS, at=NOW, max_age=60).key.kid == key.kid
    renamed = verify_proof(proof_of(jwk={**bare, "kid": "victim"}), algorithms=ALGORITHMS, at=NOW, max_age=60)
    assert renamed.key.kid == key.kid


@pytest.mark.spec("RFC 9449", "4.3", "MUST")
def test_a_proof_by_another_key_than_its_own_is_refused(key_of, proof_of):
    refused(proof_of(jwk=key_of("ES256", 1).public().to_jwk()), "signature_invalid")


@pytest.mark.spec("RFC 9449", "4.3", "MUST NOT")
def test_a_proof_that_carries_a_private_key_or_a_secret_is_refused(key, key_of, proof_of):
    refused(proof_of(jwk=key.to_jwk()), "invalid_key")
    secret = key_of("HS256")
    refused(proof_of(secret, jwk=secret.to_jwk()), "invalid_key", algorithms=("HS256",))
    refused(proof_of(secret, jwk=secret.to_jwk()), "algorithm_not_allowed")
    refused(proof_of(header={"alg": "none"}), "algorithm_not_allowed")


@pytest.mark.parametrize("jwk", [None, "x", [], {}, {"kty": "EC"}])
def test_a_proof_without_a_usable_key_is_refused(jwk, proof_of):
    refused(proof_of(jwk=jwk), "invalid_key")


def test_a_proof_of_another_type_or_without_one_is_refused(proof_of):
    for typ in ("at+jwt", "JWT", None):
        refused(proof_of(header={"typ": typ}), "type_mismatch")
    assert verify_proof(proof_of(header={"typ": "x+jwt"}), algorithms=ALGORITHMS, at=NOW, max_age=60, typ="x+jwt")


@pytest.mark.parametrize("name", ["jti", "htm", "htu", "iat"])
def test_a_proof_has_all_its_claims(name, proof_of):
    refused(proof_of(**{name: None}), "missing_claim")


def test_a_proof_is_neither_old_nor_from_the_future(proof_of):
    assert verify_proof(proof_of(), algorithms=ALGORITHMS, at=NOW + 59, max_age=60)
    refused(proof_of(), "invalid_claim", at=NOW + 60)
    with pytest.raises(JoseError, match="75 s ago, at most 60 s"):
        verify_proof(proof_of(), algorithms=ALGORITHMS, at=NOW + 75, max_age=60)
    assert verify_proof(proof_of(), algorithms=ALGORITHMS, at=NOW + 64, max_age=60, leeway=5)
    refused(proof_of(), "invalid_claim", at=NOW + 65, leeway=5)
    refused(proof_of(), "issued_in_future", at=NOW - 1)
    refused(proof_of(), "issued_in_future", at=NOW - 6, leeway=5)
    refused(proof_of(iat="x"), "invalid_claim")
    refused(proof_of(exp=NOW - 1), "expired")


def test_a_proof_over_the_limit_is_refused(proof_of):
    refused("A" * 8193, "too_large")
    refused("a.b", "malformed")


@pytest.mark.parametrize("jti", ["", 7, ["1"]])
def test_a_proof_s_id_is_a_text_that_is_not_empty(jti, proof_of):
    refused(proof_of(jti=jti), "invalid_claim")
