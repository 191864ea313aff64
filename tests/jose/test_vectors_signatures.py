"""Vectors of others: the appendices of the RFCs, the cookbook of RFC 7520, RFC 9964, and Wycheproof's signatures and keys."""

import json
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import pytest

from carnet.jose import JoseError, KeySet, SigningKey, VerifyingKey
from carnet.jose.certificates import certificate_key, check_certificates
from carnet.jose.jws import sign_compact, sign_detached, verify_compact, verify_detached
from carnet.jose.jws_json import sign_flattened, verify_flattened, verify_general
from carnet.jose.strict_json import parse_object
from carnet.jose.thumbprint import jwk_thumbprint

VECTORS = Path(__file__).parent.parent / "vectors"

# The reasons are in tests/vectors/README.md.
DISPUTED_WYCHEPROOF = {346, 347, 350, 351, 367, 370, 372, 373}


def load(name):
    return json.loads((VECTORS / name).read_bytes())


def plain(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header_of(token):
    if isinstance(token, str):
        return json.loads(plain(token.split(".")[0]))
    entry = token if "signatures" not in token else token["signatures"][0]
    return json.loads(plain(entry["protected"]) or b"{}") | entry.get("header", {})


APPENDICES = {case["id"]: case for case in load("rfc/rfc_appendices.json")["cases"] if case["kind"] != "jwe"}


def verified_payload(case, public_jwk):
    """Verify an example by the function of its serialization."""
    token, jwk = case["token"], public_jwk(case["key"])
    entries = [token]
    if not isinstance(token, str) and "signatures" in token:
        entries = [
            entry
            for entry in token["signatures"]
            if header_of(entry)["alg"][:2] == {"RSA": "RS", "EC": "ES"}[jwk["kty"]]
        ]
    header = header_of(entries[0])
    if header.get("kid"):
        jwk = {**jwk, "kid": header["kid"]}
    keys = KeySet([VerifyingKey.from_jwk(jwk, alg=header["alg"])])
    allowed = [header["alg"]]
    if case["kind"] == "jws_detached":
        return verify_detached(token, plain(case["detached"]), keys, algorithms=allowed).payload
    if not isinstance(token, str):
        document = json.dumps(token).encode()
        if "signatures" in token:
            return verify_general(document, keys, algorithms=allowed).payload
        return verify_flattened(document, keys, algorithms=allowed).payload
    if header.get("b64") is False:  # RFC 7797 section 5.2 would have the content inside; Carnet takes it detached
        head, content, signature = token.split(".")
        return verify_detached(f"{head}..{signature}", content.encode(), keys, algorithms=allowed).payload
    return verify_compact(token, keys, algorithms=allowed).payload


@pytest.mark.parametrize("name", APPENDICES)
def test_an_example_of_an_rfc_has_the_verdict_that_the_rfc_gives_it(name, public_jwk):
    case = APPENDICES[name]
    if case["kind"] == "thumbprint":
        assert jwk_thumbprint(case["key"]) == plain(case["out"]).decode()
    elif case["expect"] == "valid":
        assert verified_payload(case, public_jwk) == plain(case["out"])
    else:
        with pytest.raises(JoseError):
            verified_payload(case, public_jwk)


KEYS = load("rfc/rfc7517_7518_8037_appendices.json")


def test_the_keys_of_rfc_7517_appendix_a_that_sign_are_read_and_those_that_encrypt_are_left_out():
    (published,) = KeySet.from_jwks(KEYS["public_keys"], algorithms=("RS256", "ES256"))
    _, private = KEYS["private_keys"]["keys"]
    signer = SigningKey.from_jwk(private, alg="RS256")
    assert published.kid == signer.kid == "2011-04-29"
    assert signer.to_jwk() == private | {"use": "sig"}
    assert published.verify(b"data", signer.sign(b"data"))
    _, mac = KEYS["symmetric_keys"]["keys"]
    example = APPENDICES["RFC7515-A.1"]
    assert KeySet([VerifyingKey.from_jwk(mac, alg="HS256")]).get(None) is not None
    assert mac["k"] == example["key"]["k"]


def test_the_certificate_of_rfc_7517_appendix_b_is_that_of_its_key():
    jwk = KEYS["certified_key"]
    key = VerifyingKey.from_jwk(jwk, alg="RS256")
    check_certificates(jwk, key)
    assert certificate_key(b64decode(jwk["x5c"][0]), alg="RS256", kid="1b94c").to_jwk() == key.to_jwk()


COOKBOOK = sorted(path.name for path in (VECTORS / "cookbook/jws").glob("*.json"))


def inputs(case):
    """The keys of an example and their algorithms; several where it has several signatures."""
    keys, algorithms = case["input"]["key"], case["input"]["alg"]
    return list(zip(keys, algorithms, strict=True)) if isinstance(keys, list) else [(keys, algorithms)]


@pytest.mark.parametrize("name", COOKBOOK)
def test_an_example_of_rfc_7520_verifies_in_each_of_its_serializations(name, public_jwk):
    case = load(f"cookbook/jws/{name}")
    content = case["input"]["payload"].encode()
    detached = "detached" in name
    for jwk, alg in inputs(case):
        keys = KeySet([VerifyingKey.from_jwk(public_jwk(jwk), alg=alg)])
        output = case["output"]
        given = content if detached else None
        if "compact" in output:
            if detached:
                assert verify_detached(output["compact"], content, keys, algorithms=[alg]).payload == content
            else:
                assert verify_compact(output["compact"], keys, algorithms=[alg]).payload == content
        if "json_flat" in output:
            document = json.dumps(output["json_flat"]).encode()
            assert verify_flattened(document, keys, algorithms=[alg], payload=given).payload == content
        document = json.dumps(output["json"]).encode()
        assert verify_general(document, keys, algorithms=[alg], payload=given).payload == content


@pytest.mark.parametrize("name", ["4_1.rsa_v15_signature.json", "4_4.hmac-sha2_integrity_protection.json"])
def test_a_deterministic_example_of_rfc_7520_is_made_octet_for_octet(name):
    case = load(f"cookbook/jws/{name}")
    ((jwk, alg),) = inputs(case)
    key = SigningKey.from_jwk(jwk, alg=alg)
    content = case["input"]["payload"].encode()
    assert sign_compact(content, key) == case["output"]["compact"]
    assert json.loads(sign_flattened(content, key)) == case["output"]["json_flat"]


def test_the_detached_example_of_rfc_7520_is_made_octet_for_octet():
    case = load("cookbook/jws/4_5.signature_with_detached_content.json")
    ((jwk, alg),) = inputs(case)
    content = case["input"]["payload"].encode()
    assert sign_detached(content, SigningKey.from_jwk(jwk, alg=alg)) == case["output"]["compact"]
    assert (
        json.loads(sign_flattened(content, SigningKey.from_jwk(jwk, alg=alg), detached=True))
        == case["output"]["json_flat"]
    )


def test_the_example_of_rfc_8037_is_made_and_verified_octet_for_octet(public_jwk):
    case = load("cookbook/curve25519/jws.json")
    jwk, content = case["input"]["key"], case["input"]["payload"].encode()
    key = SigningKey.from_jwk({**jwk, "kid": "k"}, alg="EdDSA")
    assert key.sign(case["signing"]["sig-input"].encode()) == plain(case["signing"]["sig"])
    keys = KeySet([VerifyingKey.from_jwk(public_jwk(jwk), alg="EdDSA")])
    assert verify_compact(case["output"]["compact"], keys, algorithms=["EdDSA"]).payload == content
    assert (
        verify_flattened(json.dumps(case["output"]["json_flat"]).encode(), keys, algorithms=["EdDSA"]).payload
        == content
    )
    assert verify_general(json.dumps(case["output"]["json"]).encode(), keys, algorithms=["EdDSA"]).payload == content


def test_unencoded_content_of_the_cookbook_verifies_where_crit_names_b64():
    case = load("cookbook/rfc7797/hmac-sha2_b64_false.json")
    keys = KeySet([VerifyingKey.from_jwk(case["input"]["key"], alg="HS256")])
    content = case["input"]["payload"].encode()
    head, _, signature = case["output"]["compact"].split(".")
    assert verify_detached(f"{head}..{signature}", content, keys, algorithms=["HS256"]).payload == content
    assert (
        verify_flattened(json.dumps(case["output"]["json_flat"]).encode(), keys, algorithms=["HS256"]).payload
        == content
    )
    assert verify_general(json.dumps(case["output"]["json"]).encode(), keys, algorithms=["HS256"]).payload == content


@pytest.mark.spec("RFC 7797", "6", "MUST")
def test_the_cookbook_s_b64_without_crit_is_refused():
    case = load("cookbook/rfc7797/4.2.hmac-sha2_b64_false.json")
    keys = KeySet([VerifyingKey.from_jwk(case["input"]["key"], alg="HS256")])
    with pytest.raises(JoseError) as refusal:
        verify_flattened(json.dumps(case["output"]["json_flat"]).encode(), keys, algorithms=["HS256"])
    assert refusal.value.code == "critical_header"


@pytest.mark.parametrize("path", sorted((VECTORS / "cookbook/jwk").glob("*.json")), ids=lambda path: path.stem)
def test_a_key_of_the_cookbook_is_read_and_written_unchanged(path):
    jwk = load(f"cookbook/jwk/{path.name}")
    if jwk["kty"] == "oct" and jwk.get("use") == "enc":
        with pytest.raises(JoseError) as refusal:
            SigningKey.from_jwk(jwk, alg="HS256")
        assert refusal.value.code == "key_use"
        return
    alg = jwk.get("alg") or {"EC": "ES512", "RSA": "RS256"}[jwk["kty"]]
    kind = VerifyingKey if "public" in path.name else SigningKey
    assert kind.from_jwk(jwk, alg=alg).to_jwk() == {**jwk, "alg": alg}


@pytest.mark.parametrize("alg", ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"])
def test_the_example_of_rfc_9964_verifies_and_its_key_is_made_from_the_seed(alg, public_jwk):
    case = load(f"mldsa/{alg.replace('-', '_')}.json")
    key = VerifyingKey.from_jwk(public_jwk(case["jwk"]), alg=alg)
    assert key.thumbprint() == case["jwk"]["kid"]
    signature = bytes.fromhex(case["raw_signature"])
    assert key.verify(bytes.fromhex(case["raw_to_be_signed"]), signature)
    assert verify_compact(case["jws"], KeySet([key]), algorithms=[alg]).header["alg"] == alg
    seed = urlsafe_b64encode(bytes.fromhex(case["priv"])).rstrip(b"=").decode()
    private = SigningKey.from_jwk({**case["jwk"], "priv": seed}, alg=alg)
    assert private.public().to_jwk()["pub"] == case["jwk"]["pub"]
    assert private.to_jwk()["priv"] == seed


def wycheproof(name):
    for group in load(f"wycheproof/{name}.json")["testGroups"]:
        if group["comment"].startswith("jwe"):
            continue  # run with the other encryption vectors
        for case in group["tests"]:
            disputed = name == "json_web_signature_test" and case["tcId"] in DISPUTED_WYCHEPROOF
            yield pytest.param(group, case, disputed, id=f"{name}-{case['tcId']}-{case['comment'][:40]}")


def accepts(group, case, public_jwk):
    """Whether a caller who takes the algorithm from the key, as all peers' tests do, is given content."""
    jwk = group.get("public") or group["private"]
    jwks = jwk.get("keys", [jwk])
    token = case["jws"]
    try:
        loaded = []
        for one in jwks:
            alg = one.get("alg") or parse_object(plain(token.split(".")[0]))["alg"]
            loaded.append(VerifyingKey.from_jwk(public_jwk(one), alg=alg))
        verify_compact(token, KeySet(loaded), algorithms={key.alg for key in loaded})
    except JoseError:
        return False
    return True


@pytest.mark.parametrize(
    ("group", "case", "disputed"),
    [*wycheproof("json_web_signature_test"), *wycheproof("json_web_key_test"), *wycheproof("json_web_crypto_test")],
)
def test_wycheproof_is_answered_rightly(group, case, disputed, public_jwk):
    valid = case["result"] == "valid"
    assert accepts(group, case, public_jwk) == (valid is not disputed)
