"""Properties of the token core: round trips, no verification after a single changed bit, no error but our own."""

import json
import math
from functools import cache

from hypothesis import example, given, settings
from hypothesis import strategies as st

from carnet.jose import JoseError, JwtVerifier, KeySet, SigningKey, VerifyingKey, sign_jwt
from carnet.jose.base64url import decode, encode
from carnet.jose.jws import sign_compact, sign_detached, verify_compact, verify_detached
from carnet.jose.jws_json import sign_flattened, verify_flattened, verify_general
from carnet.jose.proof import verify_proof
from carnet.jose.strict_json import encode_object, parse_object

NOW = 1_800_000_000
ALGORITHMS = ("HS256", "RS256", "PS256", "ES256", "ES384", "ES512", "ES256K", "Ed25519", "Ed448", "ML-DSA-44")
COMMON = {"iss": "https://issuer.example", "aud": "orders", "sub": "ada", "exp": NOW + 300, "iat": NOW}

scalars = (
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts, values, max_size=6)


@cache
def key_of(alg):
    return SigningKey.from_jwk(SigningKey.generate(alg).to_jwk() | {"kid": "k"}, alg=alg)


@cache
def verifier_of(alg, cache_size=0):
    return JwtVerifier(
        keys=KeySet([key_of(alg).public()]), algorithms=(alg,), issuer=COMMON["iss"], audience="orders", typ="at+jwt",
        cache_size=cache_size, max_length=16384,
    )  # fmt: skip


def outcome(act):
    """What `act` gives and no code, or nothing and the code of its refusal; every other error passes through."""
    try:
        return act(), None
    except JoseError as error:
        return None, error.code


def frozen(value):
    if isinstance(value, list):
        return tuple(frozen(item) for item in value)
    return {name: frozen(item) for name, item in value.items()} if isinstance(value, dict) else value


@given(objects)
@example({"a": '"', '"': "\\"})
@example({"a": {"b": ['"', {"c": '"'}]}, "d": -0.0})
def test_json_that_is_written_is_read_back(value):
    found = parse_object(encode_object(value))
    assert found == frozen(value)
    assert parse_object(json.dumps(value).encode()) == frozen(value)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "\\u0061", '\\"', ""]), st.sampled_from(["1", '"x"', '"\\""', "[]", '{"a":"a"}'])
        ),
        max_size=5,
    )
)
def test_json_is_refused_exactly_if_a_name_comes_twice(pairs):
    source = "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"
    names = [json.loads(f'"{name}"') for name, _ in pairs]
    found, code = outcome(lambda: parse_object(source.encode()))
    if len(set(names)) < len(names):
        assert code == "duplicate_member"
    else:
        assert list(found) == names


@given(st.binary(max_size=200) | st.text('{}[]",:\\u0aEe+-.19 \ntrufalsn', max_size=60).map(str.encode))
@settings(max_examples=300)
def test_reading_json_raises_nothing_but_our_own_errors_and_agrees_with_the_standard_library(source):
    found, code = outcome(lambda: parse_object(source))
    if code is None:
        assert found == frozen(json.loads(source))


@given(st.binary(max_size=100))
def test_base64url_is_read_back(data):
    assert decode(encode(data)) == data


@given(st.binary(max_size=40) | st.text("ABQgw-_048+/= \n", max_size=12).map(str.encode))
def test_what_is_read_as_base64url_is_its_one_spelling(segment):
    data, code = outcome(lambda: decode(segment))
    if code is None:
        assert encode(data) == segment


@given(st.sampled_from(ALGORITHMS), objects)
@settings(deadline=None)
def test_a_token_is_read_back_as_it_was_signed(alg, extra):
    claims = extra | COMMON
    claims.pop("nbf", None)
    claims.pop("jti", None)
    token = sign_jwt(claims, key_of(alg), typ="at+jwt")
    found = verifier_of(alg).verify(token, at=NOW)
    assert found.claims == frozen(claims)
    assert all(not isinstance(value, float) or math.isfinite(value) for value in found.claims.values())


@given(st.sampled_from(ALGORITHMS), st.data())
@settings(deadline=None)
def test_no_token_verifies_after_a_single_changed_bit(alg, data):
    token = sign_jwt(COMMON, key_of(alg), typ="at+jwt")
    position = data.draw(st.integers(0, len(token) - 1))
    bit = data.draw(st.integers(0, 6))
    spoilt = token[:position] + chr(ord(token[position]) ^ (1 << bit)) + token[position + 1 :]
    verifier = verifier_of(alg, 16)
    verifier.verify(token, at=NOW)
    for attempt in (
        lambda: verifier.verify(spoilt, at=NOW),
        lambda: verify_compact(spoilt, KeySet([key_of(alg).public()]), algorithms=[alg]),
    ):
        assert outcome(attempt)[0] is None


@given(st.sampled_from(ALGORITHMS), st.binary(min_size=1, max_size=60), st.data())
@settings(deadline=None)
def test_no_signature_and_no_detached_content_verifies_after_a_single_changed_bit(alg, content, data):
    key = key_of(alg)
    signature = bytearray(key.sign(content))
    position = data.draw(st.integers(0, len(signature) - 1))
    signature[position] ^= 1 << data.draw(st.integers(0, 7))
    assert not key.public().verify(content, bytes(signature))
    changed = bytearray(content)
    changed[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    token = sign_detached(content, key, encoded=data.draw(st.booleans()))
    assert verify_detached(token, content, KeySet([key.public()]), algorithms=[alg])
    attempt = outcome(lambda: verify_detached(token, bytes(changed), KeySet([key.public()]), algorithms=[alg]))
    assert attempt == (None, "signature_invalid")


segments = st.binary(max_size=60).map(encode).map(bytes.decode) | objects.map(encode_object).map(encode).map(
    bytes.decode
)
likely_headers = st.fixed_dictionaries(
    {"alg": st.sampled_from(["ES256", "none", "HS256"]) | values},
    optional={
        "kid": st.just("k") | values, "typ": st.just("at+jwt") | values, "crit": values, "b64": values, "jwk": objects, "zip": values,
    },
)  # fmt: skip
tokens = st.one_of(
    st.text(max_size=80),
    st.lists(segments, max_size=5).map(".".join),
    st.tuples(likely_headers.map(encode_object).map(encode).map(bytes.decode), segments, segments).map(".".join),
)


@given(tokens)
@settings(deadline=None, max_examples=300)
def test_a_verifier_raises_nothing_but_our_own_errors(token):
    keys = KeySet([key_of("ES256").public()])
    for attempt in (
        lambda: verifier_of("ES256").verify(token, at=NOW),
        lambda: verify_compact(token, keys, algorithms=["ES256"]),
        lambda: verify_detached(token, b"content", keys, algorithms=["ES256"]),
        lambda: verify_proof(token, algorithms=["ES256"], at=NOW, max_age=60),
    ):
        assert outcome(attempt)[0] is None


signed_headers = st.fixed_dictionaries(
    {"alg": st.just("ES256")},
    optional={
        "kid": st.just("k") | values, "typ": st.just("at+jwt") | values, "crit": st.just(["x"]) | values, "x": values, "b64": values,
    },
)  # fmt: skip
signed_claims = st.fixed_dictionaries(
    {},
    optional={name: st.just(value) | values for name, value in COMMON.items()} | {"nbf": values, "jti": values},
)


@given(signed_headers, signed_claims | values)
@settings(deadline=None, max_examples=300)
def test_a_verifier_raises_nothing_but_our_own_errors_for_what_an_honest_key_signed(header, payload):
    key = key_of("ES256")
    signed = f"{encode(json.dumps(header).encode()).decode()}.{encode(json.dumps(payload).encode()).decode()}"
    token = f"{signed}.{encode(key.sign(signed.encode())).decode()}"
    found, _ = outcome(lambda: verifier_of("ES256").verify(token, at=NOW))
    if found is None:
        return
    assert found.claims["iss"] == COMMON["iss"]
    assert found.claims["exp"] > NOW >= found.claims["iat"]
    assert found.claims["aud"] == "orders" or "orders" in found.claims["aud"]


documents = st.fixed_dictionaries(
    {},
    optional={
        "payload": segments | values, "protected": segments | values, "header": likely_headers | values, "signature": segments | values,
        "signatures": st.lists(st.dictionaries(st.sampled_from(["protected", "header", "signature"]), segments | objects | values)) | values,
    },
)  # fmt: skip


@given(documents.map(encode_object) | st.binary(max_size=60))
@settings(deadline=None)
def test_the_json_serializations_raise_nothing_but_our_own_errors(document):
    keys = KeySet([key_of("ES256").public()])
    for verify in (verify_flattened, verify_general):
        for payload in (None, b"content"):
            attempt = outcome(
                lambda verify=verify, given=payload: verify(document, keys, algorithms=["ES256"], payload=given)
            )
            assert attempt[0] is None


@given(st.binary(max_size=60), objects)
@settings(deadline=None)
def test_content_and_headers_survive_the_serializations(content, extra):
    key = key_of("ES256")
    headers = {name: value for name, value in extra.items() if name not in {"alg", "kid", "crit", "b64", "typ"}}
    keys = KeySet([key.public()])
    token, document = sign_compact(content, key, headers=headers), sign_flattened(content, key, headers=headers)
    compact, code = outcome(lambda: verify_compact(token, keys, algorithms=["ES256"]))
    flattened, same_code = outcome(lambda: verify_flattened(document, keys, algorithms=["ES256"]))
    assert (compact, code) == (flattened, same_code)
    assert code == "too_large" if compact is None else compact.payload == content


jwk_members = st.dictionaries(
    st.sampled_from(
        [
            "kty",
            "crv",
            "x",
            "y",
            "d",
            "n",
            "e",
            "k",
            "alg",
            "use",
            "key_ops",
            "kid",
            "pub",
            "priv",
            "p",
            "q",
            "dp",
            "dq",
            "qi",
        ]
    ),
    st.sampled_from(["EC", "RSA", "OKP", "oct", "AKP", "P-256", "Ed25519", "sig", "AQAB", "AAAA", ""]) | values,
)


@given(st.sampled_from(ALGORITHMS), jwk_members)
@settings(deadline=None)
def test_reading_a_key_raises_nothing_but_our_own_errors(alg, changes):
    key = key_of(alg)
    for kind, good in ((SigningKey, key.to_jwk()), (VerifyingKey, {} if alg == "HS256" else key.public().to_jwk())):
        for jwk in (changes, good | changes):
            outcome(lambda kind=kind, jwk=jwk: kind.from_jwk(jwk, alg=alg))
    _, code = outcome(lambda: KeySet.from_jwks({"keys": [changes, key.to_jwk() | changes]}, algorithms=ALGORITHMS))
    assert code in {None, "invalid_key"}
