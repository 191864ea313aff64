"""The refusals of the token core: each class of attack that broke a peer, tried against a verifier (rules J1 to J23).

J8, J9, J10 and J11 concern encryption and J22 the fetching of key sets; their tests stand with those.
"""

import json
import time
from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.hmac import HMAC

from carnet.jose import JoseError, JwtVerifier, KeySet, SigningKey, VerifyingKey, sign_jwt
from carnet.jose.jws import sign_compact, verify_compact
from carnet.jose.jws_json import sign_flattened, sign_general, verify_flattened, verify_general

ISSUER, AUDIENCE, NOW = "https://issuer.example", "https://orders.example", 1_800_000_000


def good(**changes):
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 300, "iat": NOW} | changes
    return {name: value for name, value in claims.items() if value is not None}


def refusal(verifier, token):
    with pytest.raises(JoseError) as caught:
        verifier.verify(token, at=NOW)
    return caught.value.code


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "noNE", "", " none", "none "])
def test_j1_a_token_without_a_signature_is_refused_in_every_spelling(alg, key, verifier_for, forge):
    verifier = verifier_for(key)
    head, payload, signature = forge({"alg": alg, "typ": "at+jwt", "kid": key.kid}, good(), key).split(".")
    assert refusal(verifier, f"{head}.{payload}.{signature}") == "algorithm_not_allowed"
    assert refusal(verifier, f"{head}.{payload}.") == "algorithm_not_allowed"


def test_j1_none_is_not_the_name_of_an_algorithm(key):
    with pytest.raises(JoseError) as caught:
        JwtVerifier(keys=KeySet([key.public()]), algorithms=("none",), issuer=ISSUER, audience=AUDIENCE, typ="at+jwt")
    assert caught.value.code == "unsupported"


@pytest.mark.parametrize("alg", ["es256", "Es256", " ES256", "ES256 ", "ES256\n", "ES256\x00"])
def test_j1_an_algorithm_is_compared_exactly(alg, key, verifier_for, forge):
    token = forge({"alg": alg, "typ": "at+jwt", "kid": key.kid}, good(), key)
    assert refusal(verifier_for(key), token) == "algorithm_not_allowed"


@pytest.mark.parametrize("alg", ["RS256", "ES256", "Ed25519"])
@pytest.mark.parametrize("allow_both", [False, True])
def test_j2_a_public_key_is_never_the_secret_of_an_hmac(alg, allow_both, key_of, verifier_for):
    key = key_of(alg)
    verifier = verifier_for(key, algorithms=(alg, "HS256") if allow_both else (alg,))
    pem, der, jwk = key.public().to_pem(), key.public().to_der(), json.dumps(key.public().to_jwk()).encode()
    for secret in (pem, b" " + pem, pem.strip(), der, jwk):
        signed = sign_jwt(good(), SigningKey.from_secret(secret, alg="HS256", kid=key.kid), typ="at+jwt")
        assert refusal(verifier, signed) == "algorithm_not_allowed"


def test_j2_a_key_has_one_algorithm_and_what_is_not_a_key_is_not_taken(key):
    with pytest.raises(JoseError):
        VerifyingKey.from_jwk(key.public().to_jwk(), alg="HS256")
    with pytest.raises(JoseError):
        VerifyingKey.from_secret(key.public().to_pem().decode(), alg="HS256")
    with pytest.raises(JoseError):
        VerifyingKey.from_pem(b" " + sha256(b"secret").digest(), alg="ES256")
    for not_a_key in (key.public().to_pem(), key.public().to_jwk(), None):
        with pytest.raises(AttributeError):
            KeySet([not_a_key])


def test_j3_the_header_the_key_and_the_allow_list_name_one_algorithm(key_of, verifier_for, forge):
    key, other = key_of("RS256"), key_of("PS256")
    as_rs256 = SigningKey.from_jwk({**other.to_jwk(), "alg": "RS256"}, alg="RS256")
    verifier = verifier_for(key, other)
    # Signed by the PS256 key's own material, but as RS256, which is on the list.
    assert refusal(verifier, forge({"alg": "RS256", "typ": "at+jwt", "kid": other.kid}, good(), as_rs256)) == (
        "algorithm_not_allowed"
    )
    # A header that names a listed algorithm is not verified by another one.
    assert refusal(verifier, forge({"alg": "PS256", "typ": "at+jwt", "kid": other.kid}, good(), as_rs256)) == (
        "signature_invalid"
    )


@pytest.mark.parametrize(
    ("one", "other"), [("Ed25519", "EdDSA"), ("EdDSA", "Ed25519"), ("ES256", "ESP256"), ("ESP256", "ES256")]
)
@pytest.mark.spec("RFC 9864", "2", "MUST")
def test_j3_two_names_of_one_computation_are_two_algorithms(one, other, key_of, verifier_for):
    key = key_of(one)
    renamed = SigningKey.from_jwk({**key.to_jwk(), "alg": other}, alg=other)
    token = sign_jwt(good(), renamed, typ="at+jwt")
    assert refusal(verifier_for(key, algorithms=(one, other)), token) == "algorithm_not_allowed"
    with pytest.raises(JoseError) as caught:
        VerifyingKey.from_jwk(key.public().to_jwk(), alg=other)
    assert caught.value.code == "key_use"


@pytest.mark.parametrize(("alg", "length"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
@pytest.mark.spec("RFC 7518", "3.2", "MUST")
def test_j4_a_secret_shorter_than_the_hash_is_refused_when_it_is_loaded(alg, length):
    for short in (b"", b"x", bytes(length - 1)):
        for kind in (SigningKey, VerifyingKey):
            with pytest.raises(JoseError) as caught:
                kind.from_secret(short, alg=alg)
            assert caught.value.code == "invalid_key"
    assert SigningKey.from_secret(bytes(length), alg=alg).alg == alg


@pytest.mark.parametrize("parameter", ["jwk", "jku", "x5u", "x5c"])
def test_j5_a_key_that_the_token_brings_along_is_not_looked_at(parameter, key, key_of, verifier_for, forge):
    mallory = key_of("ES256", 1)
    value = {"jwk": mallory.public().to_jwk(), "x5c": ["MIIB"]}.get(parameter, "https://mallory.example/keys")
    header = {"alg": "ES256", "typ": "at+jwt", parameter: value}
    verifier = verifier_for(key)
    assert refusal(verifier, forge(header | {"kid": key.kid}, good(), mallory)) == "signature_invalid"
    assert refusal(verifier, forge(header | {"kid": mallory.kid}, good(), mallory)) == "unknown_key"
    assert refusal(verifier, forge(header, good(), mallory)) == "signature_invalid"


def test_j5_a_missing_key_is_an_error_and_none_is_not_a_key(key, key_of, verifier_for):
    token = sign_jwt(good(), key_of("ES256", 1), typ="at+jwt")
    assert refusal(verifier_for(key), token) == "unknown_key"
    empty = JwtVerifier(keys=KeySet(()), algorithms=("ES256",), issuer=ISSUER, audience=AUDIENCE, typ="at+jwt")
    assert refusal(empty, token) == "unknown_key"


def test_j5_a_token_without_a_kid_finds_only_the_key_of_a_set_of_one(key, key_of, verifier_for, forge):
    token = forge({"alg": "ES256", "typ": "at+jwt"}, good(), key)
    assert verifier_for(key).verify(token, at=NOW).claims["sub"] == "ada"
    assert refusal(verifier_for(key, key_of("ES256", 1)), token) == "unknown_key"


@pytest.mark.parametrize(
    "kid",
    [
        "",
        "a" * 129,
        "../../etc/passwd\x00",
        "a\nb",
        "schlüssel",
        "'; drop table keys;--\x1b[0m",
        7,
        None,
        ["k"],
        {"k": 1},
    ],
)
def test_j6_a_kid_is_128_printable_ascii_characters_at_most(kid, key, verifier_for, forge):
    token = forge({"alg": "ES256", "typ": "at+jwt", "kid": kid}, good(), key)
    assert refusal(verifier_for(key), token) == "malformed"
    if kid is not None:
        with pytest.raises(JoseError):
            SigningKey.from_jwk({**key.to_jwk(), "kid": kid}, alg="ES256")


def test_j6_a_kid_of_128_characters_is_looked_up(key, verifier_for):
    renamed = SigningKey.from_jwk({**key.to_jwk(), "kid": "a" * 128}, alg="ES256")
    assert verifier_for(renamed).verify(sign_jwt(good(), renamed, typ="at+jwt"), at=NOW).header["kid"] == "a" * 128


def test_j6_a_kid_is_looked_up_and_nothing_else(key, verifier_for, forge):
    for kid in ("../../dev/null", "x' UNION SELECT 'key", "|/usr/bin/id", "https://mallory.example/"):
        assert (
            refusal(verifier_for(key), forge({"alg": "ES256", "typ": "at+jwt", "kid": kid}, good(), key))
            == "unknown_key"
        )


ORDERS = {
    "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ES256K": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
}


@pytest.mark.parametrize("alg", ORDERS)
def test_j7_the_numbers_of_an_ecdsa_signature_are_from_one_to_below_the_order(alg, key_of):
    key, n, data = key_of(alg), ORDERS[alg], b"data"
    signature = key.sign(data)
    r, s = signature[:32], signature[32:]
    zero, order, beyond = bytes(32), n.to_bytes(32, "big"), (2**256 - 1).to_bytes(32, "big")
    assert key.public().verify(data, signature)
    for forged in [
        zero + zero,
        r + zero,
        zero + s,
        order + s,
        r + order,
        order + order,
        beyond + beyond,
        zero + order,
        beyond + s,
    ]:
        assert not key.public().verify(data, forged)
    high = (n + int.from_bytes(s, "big")) % 2**256
    assert not key.public().verify(data, r + high.to_bytes(32, "big"))


@pytest.mark.parametrize("alg", ["HS256", "RS256", "PS256", "ES256", "ES512", "Ed25519", "Ed448", "ML-DSA-44"])
def test_j7_a_signature_has_exactly_its_length(alg, key_of):
    key, data = key_of(alg), b"data"
    signature = key.sign(data)
    assert key.public().verify(data, signature)
    for wrong in (b"", signature[:-1], signature + b"\0", b"\0" + signature, signature * 2, signature * 300):
        assert not key.public().verify(data, wrong)


@pytest.mark.parametrize("alg", ["ES256", "ES512"])
def test_j7_an_ecdsa_signature_in_der_is_refused(alg, key_of):
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    key, data = key_of(alg), b"data"
    signature = key.sign(data)
    half = len(signature) // 2
    der = encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
    assert not key.public().verify(data, der)


def test_j12_a_jwt_is_compact_and_no_other_serialization_is_taken_for_it(key, verifier_for):
    payload = json.dumps(good()).encode()
    verifier = verifier_for(key)
    token = sign_jwt(good(), key, typ="at+jwt")
    head, body, signature = token.split(".")
    for document in (sign_flattened(payload, key), sign_general(payload, [key])):
        assert refusal(verifier, document.decode()) == "malformed"
        assert refusal(verifier, document) == "malformed"
    # CVE-2022-39227: a text that is JSON to one parser and compact to another
    polyglot = f'{{"protected":"{head}","payload":"{body}","signature":"{signature}","x":".{head}.{body}.{signature}"}}'
    assert refusal(verifier, polyglot) == "malformed"


@pytest.mark.parametrize("token", [None, 7, b"a.b.c", ["a.b.c"], ()])
def test_j12_what_is_not_a_text_is_refused(token, key, verifier_for):
    assert refusal(verifier_for(key), token) == "malformed"


def test_j12_each_serialization_has_its_function_and_refuses_the_others(key):
    keys, content = KeySet([key.public()]), b"content"
    compact, flattened, general = sign_compact(content, key), sign_flattened(content, key), sign_general(content, [key])
    with pytest.raises(JoseError):
        verify_compact(flattened.decode(), keys, algorithms=["ES256"])
    with pytest.raises(JoseError):
        verify_flattened(general, keys, algorithms=["ES256"])
    with pytest.raises(JoseError):
        verify_general(flattened, keys, algorithms=["ES256"])
    with pytest.raises(JoseError):
        verify_general(compact.encode(), keys, algorithms=["ES256"])


@pytest.mark.parametrize("stray", [" ", "\n", "\t", "\0", "=", "+", "/", "%", "é", "\u200b", "\ud800"])
@pytest.mark.spec("RFC 8725bis", "3.14", "MUST")
def test_j12_nothing_but_base64url_and_dots_is_in_a_token(stray, key, verifier_for):
    token = sign_jwt(good(), key, typ="at+jwt")
    verifier = verifier_for(key)
    head, body, signature = token.split(".")
    for spoilt in (
        stray + token, token + stray, f"{head}{stray}.{body}.{signature}", f"{head}.{body[:5]}{stray}{body[5:]}.{signature}",
        f"{head}.{body}.{stray}{signature}",
    ):  # fmt: skip
        assert refusal(verifier, spoilt) in {"malformed", "signature_invalid"}
        with pytest.raises(JoseError):
            verify_compact(spoilt, KeySet([key.public()]), algorithms=["ES256"])


def test_j12_the_payload_that_is_returned_is_the_octets_that_were_verified(key):
    content = b'{ "a" : 1 ,\r\n "b":"\\u0062" }\xff\x00'
    assert verify_compact(sign_compact(content, key), KeySet([key.public()]), algorithms=["ES256"]).payload == content


def test_j13_an_encrypted_token_is_not_taken_where_a_signed_one_is_wanted(key, verifier_for, forge):
    verifier = verifier_for(key)
    head = {"alg": "dir", "enc": "A256GCM", "typ": "at+jwt"}
    five = ".".join([forge(head, good(), key).split(".")[0], "", "AAAA", "AAAA", "AAAA"])
    assert refusal(verifier, five) == "malformed"
    assert refusal(verifier, forge(head, good(), key)) == "algorithm_not_allowed"
    # an unsigned token as the content of a signed one does not speak for itself
    nested = sign_compact(
        forge({"alg": "none"}, good(), key).rsplit(".", 1)[0].encode() + b".", key, headers={"cty": "JWT"}
    )
    assert refusal(verifier, nested) == "type_mismatch"
    assert refusal(verifier_for(key, typ=("at+jwt", None)), nested) == "malformed"


PAYLOADS = {
    "duplicate_member": [
        b'{"iss":"https://issuer.example","iss":"https://mallory.example"}',
        b'{"sub":"ada","\\u0073ub":"eve"}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":[{"b":1,"b":1}]}',
        b'{"a":"\\"","a":"\\""}',
    ],
    "malformed": [
        b'{"exp":NaN}', b'{"exp":Infinity}', b'{"exp":-Infinity}', b'{"exp":1e400}', b"\xef\xbb\xbf{}", b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}', b'{"a":"\\ud800"}', b'{"a":"\\udc00"}', b'{"\\ud800":1}', b"[]", b'"text"', b"7", b"null", b"", b"{",
        b"{} {}", b"{}\0", b'{"a":01}', b'{"a":1,}', b"{'a':1}", b'{"a":"\n"}', b'{"a":9007199254740992}', b'{"a":-9007199254740992}',
        b'{"a":[18446744073709551616]}', b'{"a":' + b"[" * 16 + b"]" * 16 + b"}", b'{"a":' * 17 + b"1" + b"}" * 17,
        b"[" * 5000, b'{"a":' * 700 + b"1" + b"}" * 700, b'{"a":[' * 9 + b"]}" * 9, b'{"a":[[' + b'{"a":[[' * 5 + b"]]}" * 6,
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "payload"), [(code, payload) for code, given in PAYLOADS.items() for payload in given]
)
def test_j14_json_that_is_not_strict_is_refused_in_payload_and_header(code, payload, key, verifier_for, forge):
    verifier = verifier_for(key)
    assert refusal(verifier, forge({"alg": "ES256", "typ": "at+jwt", "kid": key.kid}, payload, key)) == code
    if len(payload) < 1500:
        assert refusal(verifier, forge(payload, good(), key)) in {code, "too_large"}


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value", [True, False, "1800000300", "", None, -1, -0.5, [1], {"a": 1}, 9007199254740991.5, 1e300]
)
def test_j14_a_date_is_a_number_from_0_to_below_2_to_the_53rd(name, value, key, verifier_for, forge):
    payload = json.dumps({**good(), name: value}).encode()
    assert (
        refusal(verifier_for(key), forge({"alg": "ES256", "typ": "at+jwt", "kid": key.kid}, payload, key))
        == "invalid_claim"
    )


@pytest.mark.parametrize(
    "crit",
    [
        ["exp"], ["unknown"], [], ["b64"], ["alg"], ["kid", "typ"], ["jwk"], ["crit"], "exp", None, [1], {"a": 1}, ["", "a"],
        ["https://example.com/x", "https://example.com/x"], ["absent"], 7, [["x"]], [{}],
    ],
)  # fmt: skip
@pytest.mark.spec("RFC 7515", "4.1.11", "MUST")
def test_j15_critical_extensions_that_are_not_understood_are_refused(crit, key, verifier_for, forge):
    header = {
        "alg": "ES256",
        "typ": "at+jwt",
        "kid": key.kid,
        "crit": crit,
        "exp": 1,
        "unknown": 1,
        "https://example.com/x": 1,
    }
    assert refusal(verifier_for(key), forge(header, good(), key)) == "critical_header"
    with pytest.raises(JoseError) as caught:
        verify_compact(forge(header, good(), key), KeySet([key.public()]), algorithms=["ES256"])
    assert caught.value.code == "critical_header"


def test_j15_crit_names_nothing_twice_and_nothing_that_the_specification_itself_defines(key, forge):
    keys = KeySet([key.public()])
    header = {"alg": "ES256", "kid": key.kid, "b64": True}
    assert verify_compact(forge(header | {"crit": ["b64"]}, b"", key), keys, algorithms=["ES256"])
    for crit, reason in (
        (["b64", "b64"], "twice"),
        (["b64", "alg"], "itself defines"),
        (["b64", "x"], "not understood"),
    ):
        with pytest.raises(JoseError, match=reason) as caught:
            verify_compact(forge(header | {"crit": crit}, b"", key), keys, algorithms=["ES256"])
        assert caught.value.code == "critical_header"


@pytest.mark.parametrize("b64", [True, False, "false", 0])
@pytest.mark.parametrize("crit", [None, ["b64"]])
@pytest.mark.spec("RFC 7797", "7", "MUST NOT")
def test_j16_a_jwt_has_no_b64(b64, crit, key, verifier_for, forge):
    header = {"alg": "ES256", "typ": "at+jwt", "kid": key.kid, "b64": b64} | ({"crit": crit} if crit else {})
    assert refusal(verifier_for(key), forge(header, good(), key)) == "critical_header"
    with pytest.raises(JoseError):
        sign_jwt(good(), key, typ="at+jwt", headers={"b64": False})


@pytest.mark.parametrize(
    "typ", ["JWT", "", "logout+jwt", "dpop+jwt", "at+jwt ", "at", "application/", "text/at+jwt", "x/at+jwt", None]
)
@pytest.mark.spec("RFC 8725", "3.11", "MUST")
def test_j17_another_type_is_refused_and_so_is_none(typ, key, verifier_for, forge):
    header = {"alg": "ES256", "kid": key.kid} | ({} if typ is None else {"typ": typ})
    assert refusal(verifier_for(key), forge(header, good(), key)) == "type_mismatch"


@pytest.mark.parametrize("typ", [7, ["at+jwt"], {"at+jwt": 1}, True])
def test_j17_a_type_is_a_string(typ, key, verifier_for, forge):
    assert refusal(verifier_for(key), forge({"alg": "ES256", "kid": key.kid, "typ": typ}, good(), key)) == "malformed"
    null = b'{"alg":"ES256","kid":"' + key.kid.encode() + b'","typ":null}'
    assert refusal(verifier_for(key, typ=("at+jwt", None)), forge(null, good(), key)) == "malformed"


@pytest.mark.parametrize("cty", [7, ["JWT"], {"JWT": 1}, True, None])
def test_j17_the_type_of_the_content_is_a_string(cty, key, verifier_for, forge):
    header = {"alg": "ES256", "kid": key.kid, "typ": "at+jwt", "cty": cty}
    assert refusal(verifier_for(key), forge(json.dumps(header).encode(), good(), key)) == "malformed"


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
@pytest.mark.spec("RFC 8725bis", "3.11", "MUST")
def test_j17_a_type_is_a_media_type_without_regard_to_case_and_its_prefix_is_optional(typ, key, verifier_for, forge):
    verifier = verifier_for(key)
    assert verifier.verify(forge({"alg": "ES256", "kid": key.kid, "typ": typ}, good(), key), at=NOW)


@pytest.mark.parametrize("missing", ["issuer", "audience", "typ", "algorithms", "keys"])
def test_j18_there_is_no_verifier_without_issuer_audience_type_algorithms_and_keys(missing, key):
    policy = {
        "keys": KeySet([key.public()]),
        "algorithms": ("ES256",),
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "typ": "at+jwt",
    }
    with pytest.raises(TypeError):
        JwtVerifier(**{name: value for name, value in policy.items() if name != missing})
    if missing != "keys":
        for empty in ("", (), []):
            with pytest.raises(ValueError, match=r"no default|at least one"):
                JwtVerifier(**{**policy, missing: empty})


def test_j18_an_unknown_algorithm_is_an_error_everywhere(key, verifier_for):
    for act in (
        lambda: SigningKey.generate("ES999"),
        lambda: VerifyingKey.from_jwk(key.public().to_jwk(), alg="ES999"),
        lambda: KeySet.from_jwks({"keys": []}, algorithms=("ES999",)),
        lambda: verifier_for(key, algorithms=("ES999",)),
        lambda: verify_compact(sign_compact(b"", key), KeySet([key.public()]), algorithms=["ES999"]),
        lambda: SigningKey.generate(["ES256"]),
    ):
        with pytest.raises(JoseError) as caught:
            act()
        assert caught.value.code == "unsupported"


@pytest.mark.parametrize(
    "issuer", [ISSUER[:-1], ISSUER + "/", ISSUER.upper(), ISSUER + "\0", [ISSUER], {ISSUER: 1}, 7, "", True]
)
def test_j19_an_issuer_is_compared_exactly(issuer, key, verifier_for):
    assert refusal(verifier_for(key), sign_jwt(good(iss=issuer), key, typ="at+jwt")) == "issuer_mismatch"


@pytest.mark.parametrize(
    "audience", [AUDIENCE[:-1], AUDIENCE + "x", AUDIENCE.upper(), "", [], ["x", "y"], [AUDIENCE + " "]]
)
def test_j19_an_audience_is_compared_exactly(audience, key, verifier_for):
    assert refusal(verifier_for(key), sign_jwt(good(aud=audience), key, typ="at+jwt")) == "audience_mismatch"


@pytest.mark.parametrize("audience", [7, True, {AUDIENCE: 1}, [AUDIENCE, 7], [[AUDIENCE]], [None, AUDIENCE], 1.5])
def test_j19_an_audience_is_a_string_or_an_array_of_strings(audience, key, verifier_for):
    assert refusal(verifier_for(key), sign_jwt(good(aud=audience), key, typ="at+jwt")) == "invalid_claim"


def test_j19_a_token_without_issuer_or_audience_is_refused(key, verifier_for):
    assert refusal(verifier_for(key), sign_jwt(good(aud=None), key, typ="at+jwt")) == "missing_claim"
    assert refusal(verifier_for(key), sign_jwt(good(iss=None), key, typ="at+jwt")) == "missing_claim"


def test_j20_a_token_over_the_limit_is_refused_before_anything_of_it_is_decoded(key, verifier_for):
    verifier = verifier_for(key)
    for filler in ("A", ".", "é", "\ud800"):
        assert refusal(verifier, filler * 8193) == "too_large"
    assert refusal(verifier, "A" * 8192) == "malformed"
    with pytest.raises(ValueError, match="65536"):
        verifier_for(key, max_length=65537)
    roomy = verifier_for(key, max_length=65536)
    assert refusal(roomy, "A" * 65537) == "too_large"


@pytest.mark.parametrize("dots", [0, 1, 3, 4, 100, 4000])
def test_j20_a_signed_token_has_exactly_two_dots(dots, key, verifier_for):
    assert refusal(verifier_for(key), "A".join("." * dots) or "A") == "malformed"


def test_j20_a_signature_over_a_header_alone_is_no_token(key, forge):
    head = forge({"alg": "ES256", "kid": key.kid}, b"", key).partition(".")[0]
    signature = urlsafe_b64encode(key.sign(head.encode())).rstrip(b"=").decode()
    with pytest.raises(JoseError, match="two dots"):
        verify_compact(f"{head}.{signature}", KeySet([key.public()]), algorithms=["ES256"])


def test_j20_a_header_over_its_limit_is_refused(key, verifier_for, forge):
    token = forge({"alg": "ES256", "typ": "at+jwt", "kid": key.kid, "x": "a" * 1600}, good(), key)
    assert refusal(verifier_for(key), token) == "too_large"


def test_j20_a_token_and_a_header_of_just_the_limit_are_read(key, verifier_for, forge):
    header = {"alg": "ES256", "typ": "at+jwt", "kid": key.kid, "x": ""}
    header["x"] = "a" * (1536 - len(json.dumps(header)))
    token = forge(header, good(), key)
    assert token.index(".") == 2048
    assert verifier_for(key, max_length=len(token)).verify(token, at=NOW)
    assert refusal(verifier_for(key, max_length=len(token) - 1), token) == "too_large"
    longer = forge(header | {"x": header["x"] + "a"}, good(), key)
    assert refusal(verifier_for(key), longer) == "too_large"


@pytest.mark.parametrize("unit", [".", "A", "eyJ", "e30.", "[", "\u00e9"])
def test_j20_a_refusal_takes_time_that_is_linear_in_the_length(unit, key, verifier_for):
    verifier = verifier_for(key, max_length=65536)

    def seconds(length):
        token = (unit * length)[:length]
        best = float("inf")
        for _ in range(7):
            began = time.process_time()
            assert refusal(verifier, token) in {"malformed", "too_large"}
            best = min(best, time.process_time() - began)
        return best

    # Eight times the length; a quadratic step would take 64 times as long, and the fixed part is far above the rest.
    assert seconds(64_000) < max(30 * seconds(8_000), 0.001)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_j21_only_the_canonical_base64url_of_a_part_is_accepted(part, key, forge, verifier_for):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    verifier = verifier_for(key)
    header = {"alg": "ES256", "typ": "at+jwt", "kid": key.kid}
    parts = forge(header, good(), key).split(".")
    while part < 2 and len(parts[part]) % 4 == 0:  # grow it until its last character has bits that carry nothing
        header, claims = (header | {"x": "x"}, good()) if part == 0 else (header, good(x="x"))
        parts = forge(header, claims, key).split(".")
    assert verifier.verify(".".join(parts), at=NOW)
    last = alphabet.index(parts[part][-1])
    for spelling in (
        parts[part][:-1] + alphabet[last ^ 1],
        parts[part] + "=",
        parts[part] + "==",
        parts[part][:-1] + "A" * (6 - len(parts[part]) % 4),
    ):
        spoilt = [*parts[:part], spelling, *parts[part + 1 :]]
        if part < 2:  # by the honest key, so that the spelling alone is wrong
            spoilt[2] = urlsafe_b64encode(key.sign(f"{spoilt[0]}.{spoilt[1]}".encode())).rstrip(b"=").decode()
        assert refusal(verifier, ".".join(spoilt)) == "malformed"


def test_j23_a_mac_is_compared_in_constant_time(monkeypatch):
    from carnet.jose.algorithms import hmac as hmac_algorithms

    compared = []

    class Watched:
        """The library's HMAC, whose `verify` compares in constant time; who verifies may not see what the MAC should be."""

        def __init__(self, secret, digest, mac=None):
            self.mac = mac or HMAC(secret, digest)
            self.update, self.verify = self.mac.update, self.compare

        def copy(self):
            return Watched(None, None, self.mac.copy())

        def compare(self, signature):
            compared.append(signature)
            self.mac.verify(signature)

    key = SigningKey.from_secret(bytes(32), alg="HS256")
    signature = key.sign(b"data")
    monkeypatch.setattr(hmac_algorithms, "HMAC", Watched)
    watched = VerifyingKey.from_secret(bytes(32), alg="HS256")
    assert watched.verify(b"data", signature)
    assert not watched.verify(b"data", bytes(32))
    assert not watched.verify(b"data", signature[:-1])
    assert compared == [signature, bytes(32), signature[:-1]]
