"""RFC 7517 section 5: sets of keys."""

import json

import pytest

from carnet.jose import JoseError, KeySet, SigningKey, VerifyingKey

ALL = ("ES256", "RS256", "Ed25519")


def test_a_set_is_a_read_only_mapping_of_kids(key_of):
    keys = KeySet(key_of(alg).public() for alg in ALL)
    assert len(keys) == 3
    assert [key.alg for key in keys] == list(ALL)
    for alg in ALL:
        assert keys.get(key_of(alg).kid) is key_of(alg).public()
        assert key_of(alg).kid in keys
    assert keys.get("unknown") is None
    assert keys.get(None) is None
    assert "ES256" in repr(keys)


def test_the_only_key_of_a_set_answers_for_tokens_that_name_none(key):
    assert KeySet([key.public()]).get(None) is key.public()
    nameless = VerifyingKey.from_secret(bytes(32), alg="HS256")
    assert KeySet([nameless]).get(None) is nameless
    assert KeySet(()).get(None) is None


def test_a_set_survives_its_document(key_of):
    keys = KeySet(key_of(alg).public() for alg in ALL)
    for document in (keys.to_jwks(), json.dumps(keys.to_jwks()).encode()):
        assert KeySet.from_jwks(document, algorithms=ALL).to_jwks() == keys.to_jwks()


@pytest.mark.spec("RFC 7517", "5", "SHOULD")
def test_keys_that_cannot_be_used_are_left_out(key_of):
    good = key_of("ES256").public().to_jwk()
    others = [
        {"kty": "unknown", "kid": "1"}, {"kid": "2"}, {**good, "kid": "3", "use": "enc"}, {**good, "kid": "4", "y": good["x"]},
        {**good, "kid": "5", "alg": "ES999"}, {**good, "kid": "6", "key_ops": ["sign"]}, {**key_of("ES256").to_jwk(), "kid": "7"},
        {**good, "kid": 8}, {**good, "kid": "é"}, key_of("ES384").public().to_jwk(), key_of("RS256").public().to_jwk(), "text", None, 7,
        {**good, "kid": "9", "crv": ["P-256"]},
    ]  # fmt: skip
    document = {"keys": [*others, good], "extra": 1}
    for form in (document, json.dumps(document).encode()):
        assert [key.kid for key in KeySet.from_jwks(form, algorithms=("ES256",))] == [good["kid"]]


def test_a_key_without_alg_is_bound_to_the_first_algorithm_that_fits(key_of):
    jwk = {name: value for name, value in key_of("RS256").public().to_jwk().items() if name != "alg"}
    point = {name: value for name, value in key_of("ES384").public().to_jwk().items() if name != "alg"}
    keys = KeySet.from_jwks({"keys": [jwk, point]}, algorithms=("ES256", "PS256", "RS256", "ES384"))
    assert [key.alg for key in keys] == ["PS256", "ES384"]


def test_two_keys_of_one_name_are_refused(key_of):
    twin = SigningKey.from_jwk({**key_of("RS256").to_jwk(), "kid": key_of("ES256").kid}, alg="RS256").public()
    for act in (
        lambda: KeySet([key_of("ES256").public(), twin]),
        lambda: KeySet([key_of("ES256").public()] * 2),
        lambda: KeySet.from_jwks({"keys": [key_of("ES256").public().to_jwk(), twin.to_jwk()]}, algorithms=ALL),
        lambda: KeySet(
            [VerifyingKey.from_secret(bytes(32), alg="HS256"), VerifyingKey.from_secret(bytes(33), alg="HS256")]
        ),
    ):
        with pytest.raises(JoseError, match="kid") as caught:
            act()
        assert caught.value.code == "invalid_key"


def test_secrets_and_public_keys_do_not_mix(key_of):
    with pytest.raises(JoseError, match="Secrets"):
        KeySet([key_of("ES256").public(), key_of("HS256").public()])


def test_a_set_of_secrets_is_not_published(key_of):
    keys = KeySet([key_of("HS256").public()])
    with pytest.raises(JoseError):
        keys.to_jwks()


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":"x"}',
        b'{"keys":[],"keys":[]}',
        b'{"keys":[' + b"{}," * 100 + b"{}]}",
        b'{"keys":[]}' + b" " * (524288 - 10),
        {},
        {"keys": None},
        {"keys": {}},
    ],
)
def test_what_is_not_a_key_set_or_larger_than_any_is_refused(document):
    with pytest.raises(JoseError):
        KeySet.from_jwks(document, algorithms=ALL)


@pytest.mark.parametrize(
    "document", [b'{"keys":[' + b"{}," * 99 + b"{}]}", {"keys": [{}] * 100}, b'{"keys":[]}' + b" " * (524288 - 11)]
)
def test_a_key_set_of_just_the_limits_is_read(document):
    assert len(KeySet.from_jwks(document, algorithms=ALL)) == 0


def test_an_unknown_algorithm_is_an_error_although_there_is_no_key_for_it():
    with pytest.raises(JoseError) as caught:
        KeySet.from_jwks({"keys": []}, algorithms=("ES256", "none"))
    assert caught.value.code == "unsupported"
