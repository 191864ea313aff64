"""JWTs that are signed and then encrypted: both layers are verified, and neither is taken for the other (rule J13)."""

import pytest

from carnet.jose import SigningKey, sign_jwt
from carnet.jose.encryption_keys import DecryptionKey
from carnet.jose.errors import (
    ClaimError,
    DecryptionError,
    ExpiredError,
    JoseError,
    MalformedError,
    SignatureInvalidError,
    TooLargeError,
    TypeMismatchError,
)
from carnet.jose.jwe import decrypt_compact, encrypt_compact
from carnet.jose.nested_jwt import decrypt_then_verify, sign_then_encrypt

NOW = 1_800_000_000
ENC = "A256GCM"
SIGNING = SigningKey.generate("ES256")
RECIPIENT = DecryptionKey.generate("ECDH-ES+A256KW", curve="X25519")
CLAIMS = {
    "iss": "https://issuer.example",
    "aud": "https://orders.example",
    "sub": "ada",
    "exp": NOW + 300,
    "iat": NOW,
}


def sealed(inner: str, **headers) -> str:
    return encrypt_compact(inner.encode(), RECIPIENT.public(), enc=ENC, headers={"cty": "JWT"} | headers)


@pytest.fixture
def opened(verifier_for):
    def read(token: str, *, at: int = NOW, **options):
        return decrypt_then_verify(token, [RECIPIENT], enc=[ENC], verifier=verifier_for(SIGNING), at=at, **options)

    return read


def test_what_was_signed_and_encrypted_is_decrypted_and_verified(opened):
    token = sign_then_encrypt(
        CLAIMS, SIGNING, RECIPIENT.public(), typ="at+jwt", enc=ENC, headers={"iss": CLAIMS["iss"]}
    )
    assert token.count(".") == 4
    verified = opened(token)
    assert verified.claims == CLAIMS
    assert verified.header["typ"] == "at+jwt"
    outer = decrypt_compact(token, [RECIPIENT], enc=[ENC]).header
    assert (outer["cty"], outer["iss"]) == ("JWT", CLAIMS["iss"])


def test_the_outer_header_needs_nothing_from_the_caller(opened):
    token = sign_then_encrypt(CLAIMS, SIGNING, RECIPIENT.public(), typ="at+jwt", enc=ENC)
    assert opened(token).claims == CLAIMS
    assert decrypt_compact(token, [RECIPIENT], enc=[ENC]).header.keys() == {"alg", "enc", "kid", "cty", "epk"}


@pytest.mark.parametrize("cty", ["jwt", "Jwt"])
def test_the_content_type_is_compared_without_regard_to_case(cty, opened):
    assert opened(sealed(sign_jwt(CLAIMS, SIGNING, typ="at+jwt"), cty=cty)).claims == CLAIMS


@pytest.mark.parametrize("cty", ["", "json", "application/json", 1, None])
@pytest.mark.spec("RFC 7519", "5.2", "MUST")
def test_without_the_content_type_there_is_no_token_inside(cty, opened):
    with pytest.raises(MalformedError, match="cty"):
        opened(sealed(sign_jwt(CLAIMS, SIGNING, typ="at+jwt"), cty=cty))


@pytest.mark.spec("RFC 7519", "5.2", "MUST")
def test_a_header_that_says_nothing_of_its_content_has_no_token_inside(opened):
    inner = sign_jwt(CLAIMS, SIGNING, typ="at+jwt").encode()
    with pytest.raises(MalformedError, match="'cty' is not JWT"):
        opened(encrypt_compact(inner, RECIPIENT.public(), enc=ENC))


@pytest.mark.spec("RFC 8725", "3.3", "MUST")
@pytest.mark.parametrize("alg", ["none", "None", "NONE"])
def test_an_unsecured_token_inside_of_an_encrypted_one_is_refused(alg, opened, forge):
    """CVE-2026-29000: everyone can encrypt to a public key."""
    plain = forge({"alg": alg, "typ": "at+jwt"}, CLAIMS, SIGNING).rpartition(".")[0] + "."
    with pytest.raises(JoseError):
        opened(sealed(plain))


def test_claims_that_are_only_encrypted_are_refused(opened):
    with pytest.raises(MalformedError):
        opened(sealed('{"iss":"https://issuer.example","aud":"https://orders.example","sub":"ada","exp":1800000300}'))


def test_content_that_is_not_ascii_is_refused(opened):
    with pytest.raises(MalformedError):
        opened(sealed("é.é.é"))


def test_the_inner_signature_is_checked(opened):
    foreign = SigningKey.generate("ES256", kid=SIGNING.kid)
    with pytest.raises(SignatureInvalidError):
        opened(sealed(sign_jwt(CLAIMS, foreign, typ="at+jwt")))


def test_the_inner_claims_and_type_are_checked(opened):
    with pytest.raises(ExpiredError):
        opened(sealed(sign_jwt(CLAIMS, SIGNING, typ="at+jwt")), at=NOW + 300)
    with pytest.raises(TypeMismatchError):
        opened(sealed(sign_jwt(CLAIMS, SIGNING, typ="logout+jwt")))


def test_the_outer_layer_is_checked(opened):
    token = sealed(sign_jwt(CLAIMS, SIGNING, typ="at+jwt"))
    with pytest.raises(DecryptionError):
        opened(token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BAAA"))


def test_a_signed_token_is_not_taken_for_an_encrypted_one_nor_the_other_way_round(opened, verifier_for):
    signed = sign_jwt(CLAIMS, SIGNING, typ="at+jwt")
    with pytest.raises(MalformedError):
        opened(signed)
    with pytest.raises(MalformedError):
        verifier_for(SIGNING).verify(sealed(signed), at=NOW)


def test_a_token_that_is_encrypted_twice_is_refused(opened):
    with pytest.raises(MalformedError):
        opened(sealed(sealed(sign_jwt(CLAIMS, SIGNING, typ="at+jwt"))))


@pytest.mark.parametrize("name", ["iss", "sub", "aud"])
@pytest.mark.spec("RFC 7519", "5.3", "SHOULD")
def test_a_claim_that_the_outer_header_repeats_is_the_same_inside(name, opened):
    inner = sign_jwt(CLAIMS, SIGNING, typ="at+jwt")
    assert opened(sealed(inner, **{name: CLAIMS[name]})).claims == CLAIMS
    with pytest.raises(ClaimError) as caught:
        opened(sealed(inner, **{name: "mallory"}))
    assert caught.value.claim == name


def test_what_is_too_long_is_not_read(opened):
    with pytest.raises(TooLargeError):
        opened("a" * 16_385)
    with pytest.raises(TooLargeError):
        opened(sealed(sign_jwt(CLAIMS, SIGNING, typ="at+jwt")), max_length=100)
