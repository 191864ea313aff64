"""RFC 9901: tokens whose holder chooses what to show."""

import itertools
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

import pytest

from carnet.jose import JoseError, KeySet, SigningKey, VerifyingKey
from carnet.jose.disclosures import digest, parse_disclosure
from carnet.jose.jws import verify_compact
from carnet.jose.sd_jwt import KeyBinding, bind, disclosable_paths, issue, present, verify_presentation

ISSUER, VERIFIER, NOW = "https://issuer.example", "https://verifier.example", 1_800_000_000
CLAIMS = {
    "iss": ISSUER,
    "exp": NOW + 300,
    "iat": NOW,
    "sub": "ada",
    "given_name": "Ada",
    "address": {"street": "12 Main St", "country": "UK"},
    "nationalities": ["UK", "FR", {"code": "DE", "since": 1900}],
}
PATHS = [
    ("given_name",),
    ("address",),
    ("address", "street"),
    ("nationalities", 0),
    ("nationalities", 2),
    ("nationalities", 2, "since"),
]


def b64(octets):
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


@pytest.fixture
def entropy():
    counter = itertools.count()
    return lambda length: sha256(str(next(counter)).encode()).digest()[:length]


@pytest.fixture
def holder(key_of):
    return key_of("Ed25519")


@pytest.fixture
def token(key, entropy, holder):
    return issue(CLAIMS, key, typ="example+sd-jwt", disclosable=PATHS, entropy=entropy, holder=holder.public())


BINDING = KeyBinding(algorithms=("Ed25519",), audience=VERIFIER, nonce="n", max_age=60)


@pytest.fixture
def verified(key):
    def verify(presentation, **policy):
        policy = {
            "keys": KeySet([key.public()]),
            "algorithms": ("ES256",),
            "issuer": ISSUER,
            "typ": "example+sd-jwt",
            "at": NOW,
        } | policy
        if "audience" not in policy:
            policy.setdefault("binding", BINDING)
        return verify_presentation(presentation, **policy)

    return verify


@pytest.fixture
def refused(verified):
    def check(presentation, code, **policy):
        with pytest.raises(JoseError) as caught:
            verified(presentation, **policy)
        assert caught.value.code == code

    return check


def bound(token, holder, show=(), *, audience=VERIFIER, nonce="n", at=NOW):
    return bind(present(token, show), holder, audience=audience, nonce=nonce, at=at)


def handmade(forge, key, payload, *disclosures):
    """A token as no honest issuer makes it, without key binding; its audience is the verifier."""
    claims = {"iss": ISSUER, "exp": NOW + 300, "aud": VERIFIER} | payload
    return "~".join([forge({"alg": "ES256", "kid": key.kid, "typ": "example+sd-jwt"}, claims, key), *disclosures, ""])


def disclosure(*parts):
    return b64(json.dumps(parts).encode())


# Vectors


@pytest.mark.spec("RFC 9901", "4.2.3", "MUST")
def test_the_digests_of_the_specification():
    name = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
    assert digest(name, "sha-256") == "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"
    assert parse_disclosure(name).value == "Möbius"
    element = "WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIkZSIl0"
    assert digest(element, "sha-256") == "w0I8EKcdCtUPkGCNUrfwVp2xEgNjtoIDlOxc9-PlOhs"
    assert parse_disclosure(element).name is None


def test_the_example_of_the_specification_is_verified_to_its_processed_payload(vectors):
    case = vectors("rfc/rfc9901.json")
    keys = KeySet([VerifyingKey.from_jwk(case["issuer_key"], alg="ES256")])
    policy = {"keys": keys, "algorithms": ["ES256"], "issuer": "https://issuer.example.com", "typ": "example+sd-jwt"}
    binding = KeyBinding(algorithms=["ES256"], audience=case["audience"], nonce=case["nonce"], max_age=60)
    found = verify_presentation(case["presented"], **policy, at=case["iat"] + 1, binding=binding)
    assert json.loads(json.dumps(found.claims)) == case["processed"]
    assert found.holder.thumbprint() == VerifyingKey.from_jwk(case["processed"]["cnf"]["jwk"], alg="ES256").thumbprint()
    assert len(disclosable_paths(case["issued"])) == 10
    unbound = case["presented"].rpartition("~")[0] + "~"
    shown = [("given_name",), ("family_name",), ("address",), ("nationalities", 0)]
    assert sorted(present(case["issued"], shown).split("~")) == sorted(unbound.split("~"))


def test_the_further_examples_of_the_specification_are_verified(vectors):
    case = vectors("rfc/rfc9901.json")
    keys = KeySet([VerifyingKey.from_jwk(case["issuer_key"], alg="ES256")])
    bound_ones = 0
    for text in case["others"]:
        header, payload = (json.loads(urlsafe_b64decode(part + "==")) for part in text.split(".")[:2])
        issued, _, proof = text.rpartition("~")
        assert verify_compact(text.partition("~")[0], keys, algorithms=["ES256"]).header == header
        assert disclosable_paths(issued + "~")
        if proof and "iss" in payload:  # a credential of the W3C names its issuer by another claim
            made = json.loads(urlsafe_b64decode(proof.split(".")[1] + "=="))
            binding = KeyBinding(algorithms=["ES256"], audience=made["aud"], nonce=made["nonce"], max_age=60)
            policy = {
                "keys": keys,
                "algorithms": ["ES256"],
                "issuer": payload["iss"],
                "typ": header["typ"],
                "required": (),
            }
            assert verify_presentation(text, **policy, at=made["iat"], binding=binding).holder is not None
            bound_ones += 1
    assert bound_ones == 1


# Round trips


def test_what_the_holder_shows_is_seen_and_nothing_else(token, holder, verified):
    assert disclosable_paths(token) == set(PATHS)
    public = {"iss": ISSUER, "exp": NOW + 300, "iat": NOW, "sub": "ada"}
    nothing = verified(bound(token, holder)).claims
    assert nothing == public | {"nationalities": ("FR",), "cnf": nothing["cnf"]}
    everything = verified(bound(token, holder, PATHS)).claims
    assert json.loads(json.dumps(everything)) == CLAIMS | {"cnf": nothing["cnf"]}
    some = verified(bound(token, holder, [("address", "street"), ("nationalities", 2)])).claims
    assert some["address"] == {"street": "12 Main St", "country": "UK"}
    assert some["nationalities"] == ("FR", {"code": "DE"})
    assert "given_name" not in some


def test_nothing_of_a_concealed_value_is_in_the_signed_token(token):
    issued = token.partition("~")[0]
    payload = urlsafe_b64decode(issued.split(".")[1] + "==").decode()
    for value in ("Ada", "12 Main St", "given_name", "address", "street", "since"):
        assert value not in payload


@pytest.mark.spec("RFC 9901", "4.2.4.1", "MUST")
def test_the_order_of_the_digests_says_nothing_and_decoys_hide_their_number(key, entropy):
    token = issue(CLAIMS, key, typ="example+sd-jwt", disclosable=[("sub",), ("given_name",)], entropy=entropy, decoys=3)
    payload = json.loads(urlsafe_b64decode(token.partition("~")[0].split(".")[1] + "=="))
    assert len(payload["_sd"]) == 5
    assert payload["_sd"] == sorted(payload["_sd"])
    assert payload["_sd_alg"] == "sha-256"
    assert "_sd" not in payload["address"]


def test_without_decoys_there_are_as_many_digests_as_disclosures(token):
    payload = json.loads(urlsafe_b64decode(token.partition("~")[0].split(".")[1] + "=="))
    assert len(payload["_sd"]) == 2  # given_name and address


def test_every_salt_is_used_once(token):
    salts = [json.loads(urlsafe_b64decode(part + "=="))[0] for part in token.split("~")[1:-1]]
    assert len(set(salts)) == len(salts) == 6
    assert all(len(urlsafe_b64decode(salt + "==")) == 16 for salt in salts)


def test_a_token_without_holder_is_for_its_own_audience(key, entropy, verified, refused):
    claims = CLAIMS | {"aud": VERIFIER}
    token = issue(claims, key, typ="example+sd-jwt", disclosable=[("sub",)], entropy=entropy)
    found = verified(token, audience=VERIFIER)
    assert (found.claims["sub"], found.holder) == ("ada", None)
    refused(token, "audience_mismatch", audience="https://other.example")
    refused(token, "missing_claim", binding=BINDING)
    with pytest.raises(ValueError, match="for somebody"):
        verified(token, binding=None)


# Refusals: the issuer's part


def test_what_decides_on_validity_is_never_concealed(key, entropy):
    for name in ("iss", "exp", "iat"):
        with pytest.raises(JoseError):
            issue(CLAIMS, key, typ="x", disclosable=[(name,)], entropy=entropy)


@pytest.mark.parametrize("path", [("absent",), ("address", "absent"), ("nationalities", 3), ("sub", "x"), ()])
def test_there_is_something_to_conceal_at_every_path(path, key, entropy):
    with pytest.raises(JoseError):
        issue(CLAIMS, key, typ="x", disclosable=[path], entropy=entropy)


@pytest.mark.parametrize(
    "claims", [{"_sd": []}, {"...": "x"}, {"_sd_alg": "sha-256"}, {"a": {"_sd": []}}, {"a": [{"...": "x"}]}]
)
def test_a_claim_has_no_reserved_name(claims, key, entropy):
    with pytest.raises(JoseError):
        issue(claims, key, typ="x", disclosable=[], entropy=entropy)


def test_the_holder_shows_only_what_there_is(token, holder):
    for path in (("sub",), ("absent",), ("nationalities", 1)):
        with pytest.raises(JoseError):
            present(token, [path])
    for act in (lambda: present(bound(token, holder), []), lambda: disclosable_paths(bound(token, holder))):
        with pytest.raises(JoseError):
            act()
    with pytest.raises(JoseError):
        bind(bound(token, holder), holder, audience=VERIFIER, nonce="n", at=NOW)


def test_the_issuer_s_signature_type_times_and_required_claims_are_checked(token, holder, key_of, refused):
    presentation = bound(token, holder)
    refused(presentation, "unknown_key", keys=KeySet([key_of("ES256", 1).public(), key_of("RS256").public()]))
    refused(presentation, "algorithm_not_allowed", algorithms=("RS256",))
    refused(presentation, "type_mismatch", typ="dc+sd-jwt")
    refused(presentation, "issuer_mismatch", issuer="https://mallory.example")
    refused(presentation, "missing_claim", required=("exp", "given_name"))
    late = bound(token, holder, at=NOW + 300)
    refused(late, "expired", at=NOW + 300)
    head, _, rest = presentation.partition(".")
    refused(f"{head}.{rest[:40]}{'A' if rest[40] != 'A' else 'B'}{rest[41:]}", "signature_invalid")


# Refusals: the disclosures


@pytest.mark.parametrize("sub", ["", 7, ["ada"]])
def test_the_subject_is_a_string_that_is_not_empty(sub, key, forge, refused):
    refused(handmade(forge, key, {"sub": sub}), "invalid_claim", audience=VERIFIER)


def test_a_presentation_has_at_most_65536_characters(key, forge, verified, refused):
    lengths = {len(handmade(forge, key, {"pad": "x" * count})): count for count in range(48_600, 49_000)}
    assert verified(handmade(forge, key, {"pad": "x" * lengths[65_536]}), audience=VERIFIER).header["kid"] == key.kid
    longer = min(length for length in lengths if length > 65_536)
    refused(handmade(forge, key, {"pad": "x" * lengths[longer]}), "too_large", audience=VERIFIER)


def test_a_presentation_has_at_most_256_disclosures(key, forge, verified, refused):
    def made(count):
        elements = [disclosure("s", each) for each in range(count)]
        return handmade(forge, key, {"a": [{"...": digest(each, "sha-256")} for each in elements]}, *elements)

    assert verified(made(256), audience=VERIFIER).claims["a"] == tuple(range(256))
    refused(made(257), "too_large", audience=VERIFIER)


def test_a_disclosure_of_other_characters_is_refused(key, forge, refused):
    refused(handmade(forge, key, {}) + "é~", "malformed", audience=VERIFIER)


def test_a_changed_or_foreign_disclosure_is_refused(token, holder, refused):
    parts = present(token, [("given_name",)]).split("~")
    for spoilt in (
        disclosure("salt", "given_name", "Eve"),
        disclosure("salt", "role", "admin"),
        disclosure("salt", "x"),
    ):
        presentation = bind("~".join([parts[0], parts[1], spoilt, ""]), holder, audience=VERIFIER, nonce="n", at=NOW)
        refused(presentation, "malformed")


def test_a_disclosure_without_the_one_that_it_stands_in_is_refused(token, holder, refused):
    parts = present(token, [("address", "street")]).split("~")
    assert len(parts) == 4
    for kept in parts[1:3]:
        with_one = bind("~".join([parts[0], kept, ""]), holder, audience=VERIFIER, nonce="n", at=NOW)
        inner = json.loads(urlsafe_b64decode(kept + "=="))[1] == "street"
        if inner:
            refused(with_one, "malformed")


def test_a_disclosure_that_comes_twice_is_refused(token, holder, refused):
    parts = present(token, [("given_name",)]).split("~")
    refused(
        bind("~".join([parts[0], parts[1], parts[1], ""]), holder, audience=VERIFIER, nonce="n", at=NOW), "malformed"
    )


NAMED, ELEMENT = disclosure("s", "a", 1), disclosure("s", 1)
BAD_PAYLOADS = [
    ({"_sd": "x"}, []),
    ({"_sd": [7]}, []),
    ({"_sd": [digest(NAMED, "sha-256")] * 2}, [NAMED]),
    ({"_sd": ["x"], "a": {"_sd": ["x"]}}, []),
    ({"_sd": [digest(NAMED, "sha-256")], "a": 2}, [NAMED]),
    ({"_sd": [digest(ELEMENT, "sha-256")]}, [ELEMENT]),
    ({"a": [{"...": digest(NAMED, "sha-256")}]}, [NAMED]),
    ({"a": [{"...": digest(ELEMENT, "sha-256")}, {"...": digest(ELEMENT, "sha-256")}]}, [ELEMENT]),
    ({"a": [{"...": 7}]}, []),
    ({"a": [{"...": "x", "b": 1}]}, []),
    ({"a": {"...": "x"}}, []),
    ({"...": "x"}, []),
    ({"a": {"_sd_alg": "sha-256"}}, []),
    ({}, [NAMED]),
]


@pytest.mark.parametrize(("payload", "disclosures"), BAD_PAYLOADS)
@pytest.mark.spec("RFC 9901", "7.1", "MUST")
def test_digests_that_are_malformed_repeated_or_misplaced_are_refused(payload, disclosures, key, forge, refused):
    refused(handmade(forge, key, payload, *disclosures), "malformed", audience=VERIFIER)


@pytest.mark.parametrize(
    "encoded",
    [
        disclosure("s", "_sd", []), disclosure("s", "...", 1), disclosure("s", "_sd_alg", "sha-256"), disclosure("s"), disclosure(),
        disclosure("s", "a", 1, 2), disclosure(1, "a", 1), disclosure("", "a", 1), disclosure("s", 7, 1), b64(b'{"s":1}'), b64(b"x"),
        b64(b'["s","a",1],[1]'), "!", "A",
    ],
)  # fmt: skip
def test_a_disclosure_is_an_array_of_salt_name_and_value(encoded, key, forge, refused):
    payload = {"_sd": [digest(encoded, "sha-256")]}
    refused(handmade(forge, key, payload, encoded), "malformed", audience=VERIFIER)


def test_two_disclosures_of_one_name_are_refused(key, forge, refused):
    both = [disclosure("s", "a", 1), disclosure("t", "a", 2)]
    refused(
        handmade(forge, key, {"_sd": [digest(item, "sha-256") for item in both]}, *both), "malformed", audience=VERIFIER
    )


def test_disclosures_that_are_nested_too_deep_are_refused(key, forge, verified, refused):
    def nested(depth):
        chain, inner = [], {"x": 1}
        for _ in range(depth):
            chain.append(disclosure("s", "a", inner))
            inner = {"_sd": [digest(chain[-1], "sha-256")]}
        return handmade(forge, key, inner, *chain)

    found = verified(nested(15), audience=VERIFIER).claims
    for _ in range(15):
        found = found["a"]
    assert found == {"x": 1}
    refused(nested(16), "malformed", audience=VERIFIER)


@pytest.mark.parametrize("name", ["sha-384", "sha-512"])
def test_other_hashes_of_the_sha2_family_are_known(name, key, forge, verified):
    payload = {"_sd_alg": name, "_sd": [digest(NAMED, name)]}
    assert verified(handmade(forge, key, payload, NAMED), audience=VERIFIER).claims["a"] == 1


@pytest.mark.parametrize("name", ["md5", "sha-1", "SHA-256", "", 7, None, {"sha-256": 1}])
def test_other_hashes_are_not(name, key, forge, refused):
    refused(handmade(forge, key, {"_sd_alg": name}), "unsupported", audience=VERIFIER)


# Refusals: the holder's proof


def test_a_proof_is_for_one_verifier_one_nonce_and_a_short_time(token, holder, refused, verified):
    refused(bound(token, holder, audience="https://other.example"), "audience_mismatch")
    refused(bound(token, holder, nonce="old"), "invalid_claim")
    assert verified(bound(token, holder), at=NOW + 59)
    refused(bound(token, holder), "invalid_claim", at=NOW + 60)
    refused(bound(token, holder, at=NOW + 1), "issued_in_future")


def test_a_proof_is_by_the_holder_s_key_and_no_other(token, key_of, refused):
    refused(bound(token, key_of("Ed25519", 1)), "signature_invalid")
    refused(bound(token, key_of("ES256", 1)), "algorithm_not_allowed")


def test_a_proof_is_of_these_very_disclosures(token, holder, refused):
    proof = bound(token, holder, [("given_name",)]).rpartition("~")[2]
    refused(present(token, []) + proof, "invalid_claim")
    refused(present(token, PATHS) + proof, "invalid_claim")


def test_a_missing_proof_and_one_that_was_not_asked_for_are_refused(token, holder, refused, key, entropy):
    refused(present(token, []), "missing_claim")
    both = issue(
        CLAIMS | {"aud": VERIFIER}, key, typ="example+sd-jwt", disclosable=[], entropy=entropy, holder=holder.public()
    )
    refused(bound(both, holder), "malformed", audience=VERIFIER)


@pytest.mark.parametrize(
    ("header", "changes", "code"),
    [
        ({"typ": "JWT"}, {}, "type_mismatch"),
        ({"typ": None}, {}, "type_mismatch"),
        ({"alg": "none"}, {}, "algorithm_not_allowed"),
        ({}, {"aud": [VERIFIER]}, "invalid_claim"),
        ({}, {"nonce": None}, "missing_claim"),
        ({}, {"sd_hash": None}, "missing_claim"),
        ({}, {"iat": "x"}, "invalid_claim"),
        ({}, {"exp": NOW - 1}, "expired"),
    ],
)
def test_a_proof_has_its_type_and_all_its_claims(header, changes, code, token, holder, forge, refused):
    presentation = present(token, [])
    claims = {"iat": NOW, "aud": VERIFIER, "nonce": "n", "sd_hash": digest(presentation, "sha-256")} | changes
    members = {"alg": "Ed25519", "typ": "kb+jwt"} | header
    proof = forge(
        {name: value for name, value in members.items() if value is not None},
        {name: value for name, value in claims.items() if value is not None},
        holder,
    )
    refused(presentation + proof, code)


@pytest.mark.parametrize("confirmation", [None, "x", {}, {"jwk": "x"}, {"jwk": {}}, {"kid": "k"}])
def test_a_token_that_is_bound_to_no_key_has_no_holder(confirmation, key, holder, forge, refused):
    payload = {"sub": "ada"} | ({} if confirmation is None else {"cnf": confirmation})
    refused(bound(handmade(forge, key, payload), holder), "invalid_key")


def test_a_key_that_was_disclosed_or_is_a_secret_does_not_bind(key, key_of, holder, forge, refused):
    hidden = disclosure("s", "cnf", {"jwk": holder.public().to_jwk()})
    token = handmade(forge, key, {"_sd": [digest(hidden, "sha-256")]}, hidden)
    refused(bind(token, holder, audience=VERIFIER, nonce="n", at=NOW), "invalid_key")
    secret = SigningKey.from_secret(bytes(32), alg="HS256")
    token = handmade(forge, key, {"cnf": {"jwk": secret.to_jwk()}})
    with_secret = KeyBinding(algorithms=("HS256",), audience=VERIFIER, nonce="n", max_age=60)
    refused(bind(token, secret, audience=VERIFIER, nonce="n", at=NOW), "invalid_key", binding=with_secret)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "malformed"), ("a.b.c", "malformed"), ("~", "malformed"), ("~a.b.c", "malformed"), ("é~", "malformed"), ("a~", "malformed"),
        ("A" * 65537, "too_large"), ("a.b.c" + "~a" * 257 + "~", "too_large"), (None, "malformed"), (b"a.b.c~", "malformed"),
    ],
)  # fmt: skip
def test_what_is_not_a_presentation_is_refused(text, code, refused):
    refused(text, code)
