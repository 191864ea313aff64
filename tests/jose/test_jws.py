"""RFC 7515, RFC 7797: the serializations of signed content."""

import json

import pytest

from carnet.jose import JoseError, KeySet
from carnet.jose.jws import sign_compact, sign_detached, verify_compact, verify_detached
from carnet.jose.jws_json import sign_flattened, sign_general, verify_flattened, verify_general

CONTENTS = [b"", b"text", b"a.b.c", bytes(range(256)), b"x" * 20_000]


def refused(act, code):
    with pytest.raises(JoseError) as caught:
        act()
    assert caught.value.code == code


@pytest.fixture
def keys(key):
    return KeySet([key.public()])


@pytest.mark.parametrize("content", CONTENTS, ids=len)
@pytest.mark.parametrize(
    "alg", ["HS256", "RS256", "PS384", "ES256", "ES512", "ES256K", "ESP384", "Ed25519", "Ed448", "ML-DSA-44"]
)
def test_content_survives_every_serialization(content, alg, key_of):
    key = key_of(alg)
    keys, headers = KeySet([key.public()]), {"cty": "text/plain", "x": [1]}
    expected = {"alg": alg, "kid": key.kid, "cty": "text/plain", "x": (1,)}
    compact = verify_compact(sign_compact(content, key, headers=headers), keys, algorithms=[alg])
    assert (compact.payload, compact.header) == (content, expected)
    flattened = verify_flattened(sign_flattened(content, key, headers=headers), keys, algorithms=[alg])
    assert (flattened.payload, flattened.header) == (content, expected)
    general = verify_general(sign_general(content, [key], headers=headers), keys, algorithms=[alg])
    assert (general.payload, general.headers) == (content, (expected,))
    for encoded in (True, False):
        token = sign_detached(content, key, headers=headers, encoded=encoded)
        assert verify_detached(token, content, keys, algorithms=[alg]).payload == content
        refused(lambda token=token: verify_detached(token, content + b"x", keys, algorithms=[alg]), "signature_invalid")
    outside = sign_flattened(content, key, detached=True)
    assert "payload" not in json.loads(outside)
    assert verify_flattened(outside, keys, algorithms=[alg], payload=content).payload == content
    refused(lambda: verify_flattened(outside, keys, algorithms=[alg], payload=content + b"x"), "signature_invalid")


@pytest.mark.parametrize("name", ["alg", "kid", "crit", "b64"])
def test_a_caller_does_not_set_the_headers_that_the_key_decides(name, key):
    for sign in (sign_compact, sign_detached, sign_flattened):
        refused(lambda sign=sign: sign(b"", key, headers={name: "x"}), "malformed")
    refused(lambda: sign_general(b"", [key], headers={name: "x"}), "malformed")


@pytest.mark.parametrize("algorithms", ["ES256", "", [], ()])
def test_there_is_no_verification_without_an_allow_list(algorithms, key, keys):
    token, document = sign_compact(b"", key), sign_flattened(b"", key)
    for act in (
        lambda: verify_compact(token, keys, algorithms=algorithms),
        lambda: verify_flattened(document, keys, algorithms=algorithms),
        lambda: verify_detached(sign_detached(b"", key), b"", keys, algorithms=algorithms),
        lambda: verify_general(sign_general(b"", [key]), keys, algorithms=algorithms),
    ):
        with pytest.raises(ValueError, match="at least one"):
            act()


def test_an_algorithm_that_is_not_listed_is_refused_although_a_key_has_it(key, keys):
    refused(lambda: verify_compact(sign_compact(b"", key), keys, algorithms=["RS256"]), "algorithm_not_allowed")
    refused(lambda: verify_flattened(sign_flattened(b"", key), keys, algorithms=["RS256"]), "algorithm_not_allowed")
    refused(lambda: verify_general(sign_general(b"", [key]), keys, algorithms=["RS256"]), "algorithm_not_allowed")


def test_what_is_too_long_is_refused_unread(key, keys):
    refused(lambda: verify_compact("A" * 65537, keys, algorithms=["ES256"]), "too_large")
    refused(lambda: verify_detached("A" * 65537, b"", keys, algorithms=["ES256"]), "too_large")
    refused(lambda: verify_flattened(b"A" * 65537, keys, algorithms=["ES256"]), "too_large")
    refused(lambda: verify_general(b"A" * 65537, keys, algorithms=["ES256"]), "too_large")
    refused(lambda: verify_compact(sign_compact(b"", key), keys, algorithms=["ES256"], max_length=10), "too_large")
    large = sign_compact(b"x" * 100_000, key)
    assert len(verify_compact(large, keys, algorithms=["ES256"], max_length=len(large)).payload) == 100_000


@pytest.mark.parametrize("token", [b"a.b.c", None, 7, ["a"]])
def test_what_is_not_a_text_is_refused(token, keys):
    refused(lambda: verify_compact(token, keys, algorithms=["ES256"]), "malformed")


def test_content_that_is_detached_is_not_inside_and_the_other_way_round(key, keys):
    refused(lambda: verify_detached(sign_compact(b"x", key), b"x", keys, algorithms=["ES256"]), "malformed")
    inside, outside = sign_flattened(b"x", key), sign_flattened(b"x", key, detached=True)
    refused(lambda: verify_flattened(inside, keys, algorithms=["ES256"], payload=b"x"), "malformed")
    refused(lambda: verify_flattened(outside, keys, algorithms=["ES256"]), "malformed")


def test_content_that_is_signed_as_it_is_comes_detached(key, keys, forge):
    token = forge({"alg": "ES256", "kid": key.kid, "b64": False, "crit": ["b64"]}, b"", key)
    refused(lambda: verify_compact(token, keys, algorithms=["ES256"]), "malformed")
    same = forge({"alg": "ES256", "kid": key.kid, "b64": True, "crit": ["b64"]}, b"x", key)
    assert verify_compact(same, keys, algorithms=["ES256"]).payload == b"x"


@pytest.mark.parametrize("value", [0, 1, "false", None, []])
@pytest.mark.spec("RFC 7797", "3", "MUST")
def test_b64_is_a_boolean(value, key, keys, forge):
    token = forge({"alg": "ES256", "kid": key.kid, "b64": value, "crit": ["b64"]}, b"", key)
    refused(lambda: verify_compact(token, keys, algorithms=["ES256"]), "malformed")
    refused(lambda: verify_detached(token, b"", keys, algorithms=["ES256"]), "malformed")


def edited(document, **changes):
    members = json.loads(document) | changes
    return json.dumps({name: value for name, value in members.items() if value is not ...}).encode()


def test_the_two_headers_of_a_signature_have_no_name_in_common(key, keys):
    document = sign_flattened(b"x", key)
    refused(
        lambda: verify_flattened(edited(document, header={"kid": key.kid}), keys, algorithms=["ES256"]), "malformed"
    )
    refused(lambda: verify_flattened(edited(document, header={"alg": "none"}), keys, algorithms=["ES256"]), "malformed")
    found = verify_flattened(edited(document, header={"note": "unprotected"}), keys, algorithms=["ES256"])
    assert found.header["note"] == "unprotected"


@pytest.mark.parametrize(
    "changes",
    [
        {"header": []}, {"header": None}, {"header": "x"}, {"protected": 7}, {"protected": "é"}, {"protected": "!"}, {"protected": ...},
        {"payload": 7}, {"payload": "é"}, {"payload": "A"}, {"signature": ...}, {"signature": 7}, {"signature": "é"}, {"signature": "A"},
        {"protected": "bm90IGpzb24"}, {"protected": "W10"},
    ],
)  # fmt: skip
def test_a_json_serialization_of_another_form_is_refused(changes, key, keys):
    refused(
        lambda: verify_flattened(edited(sign_flattened(b"x", key), **changes), keys, algorithms=["ES256"]), "malformed"
    )


def test_crit_and_b64_are_only_in_the_protected_header(key, keys):
    document = sign_flattened(b"x", key)
    for header in ({"crit": ["b64"], "b64": True}, {"b64": True}, {"crit": ["x"], "x": 1}):
        act = lambda header=header: verify_flattened(edited(document, header=header), keys, algorithms=["ES256"])  # noqa: E731
        refused(act, "critical_header")


def test_a_long_protected_header_is_refused(key, keys):
    refused(lambda: verify_flattened(edited(b"{}", protected="A" * 2049), keys, algorithms=["ES256"]), "too_large")
    room = 2048 * 3 // 4 - len(json.dumps({"alg": "ES256", "kid": key.kid, "note": ""}, separators=(",", ":")))
    for more in (0, 1):
        document = sign_flattened(b"x", key, headers={"note": "x" * (room + more)})
        assert len(json.loads(document)["protected"]) == (2050 if more else 2048)
        if more:
            refused(lambda document=document: verify_flattened(document, keys, algorithms=["ES256"]), "too_large")
        else:
            assert verify_flattened(document, keys, algorithms=["ES256"]).payload == b"x"


def test_a_json_serialization_has_at_most_the_length_that_is_read(key, keys):
    document = sign_flattened(b"x", key)
    for length, right in ((len(document), True), (len(document) - 1, False)):
        act = lambda length=length: verify_flattened(document, keys, algorithms=["ES256"], max_length=length)  # noqa: E731
        if right:
            assert act().payload == b"x"
        else:
            refused(act, "too_large")


def test_the_two_json_serializations_are_not_taken_for_each_other(key, keys):
    """Rule J12: each would verify if one looked past what makes it ambiguous."""
    flattened, general = sign_flattened(b"x", key), sign_general(b"x", [key])
    both = edited(flattened, signatures=json.loads(general)["signatures"])
    refused(lambda: verify_flattened(both, keys, algorithms=["ES256"]), "malformed")
    for name, value in (("signature", "AA"), ("protected", ""), ("header", {})):
        refused(
            lambda name=name, value=value: verify_general(edited(general, **{name: value}), keys, algorithms=["ES256"]),
            "malformed",
        )


def test_content_that_is_missing_is_asked_for(key, keys):
    with pytest.raises(JoseError, match="detached: it must be given"):
        verify_flattened(sign_flattened(b"x", key, detached=True), keys, algorithms=["ES256"])


@pytest.mark.parametrize("name", ["payload", "protected", "signature"])
def test_a_member_of_other_characters_is_refused(name, key, keys):
    document = sign_flattened(b"x", key)
    changed = json.loads(document)[name] + "é"
    refused(lambda: verify_flattened(edited(document, **{name: changed}), keys, algorithms=["ES256"]), "malformed")


def test_content_signed_by_several_is_verified_by_each(key_of):
    signers = [key_of("ES256"), key_of("RS256"), key_of("Ed25519")]
    document = sign_general(b"content", signers)
    everyone = KeySet(signer.public() for signer in signers)
    algorithms = ["ES256", "RS256", "Ed25519"]
    found = verify_general(document, everyone, algorithms=algorithms)
    assert [header["alg"] for header in found.headers] == algorithms
    for signer in signers:
        alone = verify_general(document, KeySet([signer.public()]), algorithms=algorithms)
        assert [header["kid"] for header in alone.headers] == [signer.kid]


def test_one_wrong_signature_by_a_known_key_refuses_all(key_of):
    signers = [key_of("ES256"), key_of("RS256")]
    members = json.loads(sign_general(b"content", signers))
    members["signatures"][0]["signature"] = "A" * 86
    everyone = KeySet(signer.public() for signer in signers)
    document = json.dumps(members).encode()
    refused(lambda: verify_general(document, everyone, algorithms=["ES256", "RS256"]), "signature_invalid")
    # to whom the first signer is unknown, its signature says nothing
    assert verify_general(document, KeySet([signers[1].public()]), algorithms=["RS256"]).payload == b"content"


def test_signatures_by_nobody_known_are_refused(key, key_of):
    document = sign_general(b"content", [key])
    refused(
        lambda: verify_general(document, KeySet([key_of("ES256", 1).public()]), algorithms=["ES256"]), "unknown_key"
    )
    refused(lambda: verify_general(document, KeySet(()), algorithms=["ES256"]), "unknown_key")


@pytest.mark.parametrize("signatures", [None, {}, "x", [], [7], [{}], [[]], [{"protected": "e30", "signature": ""}]])
def test_a_general_serialization_has_an_array_of_signatures(signatures, keys):
    document = json.dumps({"payload": "", "signatures": signatures}).encode()
    with pytest.raises(JoseError):
        verify_general(document, keys, algorithms=["ES256"])


def test_the_number_of_signatures_is_bounded(key, keys):
    for count in (0, 17):
        refused(lambda count=count: sign_general(b"", [key] * count), "malformed")
    members = json.loads(sign_general(b"", [key] * 16))
    assert len(verify_general(json.dumps(members).encode(), keys, algorithms=["ES256"]).headers) == 16
    members["signatures"] = members["signatures"][:1] * 17
    refused(lambda: verify_general(json.dumps(members).encode(), keys, algorithms=["ES256"]), "too_large")


@pytest.mark.spec("RFC 7797", "3", "MUST")
def test_all_signatures_agree_on_whether_the_content_is_encoded(key, keys):
    unencoded = sign_detached(b"AAAA", key, encoded=False).split("..")
    encoded = sign_detached(b"AAAA", key).split("..")
    signatures = [{"protected": head, "signature": signature} for head, signature in (unencoded, encoded)]
    document = json.dumps({"signatures": signatures}).encode()
    refused(lambda: verify_general(document, keys, algorithms=["ES256"], payload=b"AAAA"), "malformed")
