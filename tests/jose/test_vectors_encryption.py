"""Vectors of others: the appendices of the RFCs, the cookbook of RFC 7520 and RFC 8037, and Wycheproof's encryption and X25519/X448."""

import json
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest

from carnet.jose import JoseError, KeySet, SigningKey
from carnet.jose.algorithms.ecdh_es import shared_secret
from carnet.jose.algorithms.encryption import CONTENT_ENCRYPTIONS, content_encryption_algorithm
from carnet.jose.encryption_keys import DecryptionKey, EncryptionKey
from carnet.jose.errors import AlgorithmNotAllowedError, DecryptionError, MalformedError, UnsupportedError
from carnet.jose.jwe import decrypt_compact, encrypt_compact
from carnet.jose.jwe_json import decrypt_flattened, decrypt_general, encrypt_flattened
from carnet.jose.jws import verify_compact
from carnet.jose.key_types.octet_pair import OKP

VECTORS = Path(__file__).parent.parent / "vectors"
ENCS = [content.name for content in CONTENT_ENCRYPTIONS]


def load(name):
    return json.loads((VECTORS / name).read_bytes())


def plain(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header_of(token):
    segment = token.split(".")[0] if isinstance(token, str) else token["protected"]
    return json.loads(plain(segment))


def feeding(*parts):
    """Entropy that gives these octets, one after the other."""
    rest = list(parts)

    def entropy(length):
        given = rest.pop(0)
        assert len(given) == length
        return given

    return entropy


# The appendices of the RFCs

APPENDICES = {
    case["id"]: case
    for case in (*load("rfc/rfc_appendices.json")["cases"], load("rfc/rfc7517_appendix_c.json"))
    if case["kind"] == "jwe"
}
RSA1_5_APPENDICES = {
    "RFC7516-A.2",
    "RFC7516-A.4 general JSON, RSA1_5 recipient",
    "RFC7519-A1 encrypted JWT",
    "RFC7519-A2 nested JWT, outer layer",
    "jwcrypto MMA_vector_ok_cek (Million Message Attack pair; both must fail alike)",
    "jwcrypto MMA_vector_ko_cek (Million Message Attack pair; both must fail alike)",
}


@pytest.mark.parametrize("name", sorted(APPENDICES.keys() - RSA1_5_APPENDICES))
def test_an_example_of_an_rfc_is_decrypted(name):
    case = APPENDICES[name]
    token, jwk = case["token"], case["key"]
    if not isinstance(token, str):
        key = DecryptionKey.from_jwk({**jwk, "kid": "7"}, alg="A128KW")
        found = decrypt_general(json.dumps(token).encode(), [key], enc=ENCS)
    elif header_of(token)["alg"].startswith("PBES2"):
        key = DecryptionKey.from_password(plain(jwk["k"]), alg=header_of(token)["alg"])
        found = decrypt_compact(token, [key], enc=ENCS)
    else:
        key = DecryptionKey.from_jwk(jwk, alg=header_of(token)["alg"])
        found = decrypt_compact(token, [key], enc=ENCS)
    assert found.plaintext == plain(case["out"])


@pytest.mark.parametrize("name", sorted(RSA1_5_APPENDICES))
@pytest.mark.spec("RFC 8725", "3.2", "SHOULD")
def test_an_example_that_needs_rsa1_5_is_refused_whether_its_padding_is_right_or_not(name):
    case = APPENDICES[name]
    with pytest.raises(UnsupportedError):
        DecryptionKey.from_jwk(case["key"], alg="RSA1_5")
    key = DecryptionKey.from_jwk(case["key"], alg="RSA-OAEP")
    token = case["token"]
    read, given = (decrypt_compact, token) if isinstance(token, str) else (decrypt_general, json.dumps(token).encode())
    with pytest.raises(JoseError):
        read(given, [key], enc=ENCS)


def test_every_example_with_encryption_in_the_appendices_is_run():
    assert APPENDICES.keys() > RSA1_5_APPENDICES
    assert len(APPENDICES) == 10


def test_the_key_of_rfc_7517_appendix_c_is_inside():
    case = APPENDICES["RFC7517-C PBES2-HS256+A128KW"]
    inner = json.loads(plain(case["out"]))
    assert DecryptionKey.from_jwk({**inner, "alg": "RSA-OAEP"}, alg="RSA-OAEP").kid == "juliet@capulet.lit"


def test_the_example_of_rfc_7516_appendix_a_3_is_made_octet_for_octet():
    case = APPENDICES["RFC7516-A.3"]
    key = EncryptionKey.from_jwk(case["key"], alg="A128KW")
    # Appendix A.3.2 and A.3.4
    cek = bytes([4, 211, 31, 197, 84, 157, 252, 254, 11, 100, 157, 250, 63, 170, 106, 206])
    cek += bytes([107, 124, 212, 45, 111, 107, 9, 219, 200, 177, 0, 240, 143, 156, 44, 207])
    iv = bytes([3, 22, 60, 12, 43, 67, 104, 105, 108, 108, 105, 99, 111, 116, 104, 101])
    made = encrypt_compact(plain(case["out"]), key, enc="A128CBC-HS256", entropy=feeding(cek, iv))
    assert made == case["token"]


KEYS_AND_CIPHERS = load("rfc/rfc7517_7518_8037_appendices.json")


@pytest.mark.parametrize("case", KEYS_AND_CIPHERS["ciphers"], ids=lambda case: case["enc"])
def test_a_cipher_of_rfc_7518_appendix_b_is_made_octet_for_octet(case):
    content = content_encryption_algorithm(case["enc"])
    key, iv, ciphertext, tag = (bytes.fromhex(case[name]) for name in ("key", "iv", "ciphertext", "tag"))
    plaintext, aad = case["plaintext"].encode(), case["aad"].encode()
    sealed = content.encrypt(key, iv, plaintext, aad)
    assert (sealed.ciphertext, sealed.tag) == (ciphertext, tag)
    assert content.decrypt(key, iv, sealed, aad) == plaintext


def test_the_key_of_rfc_7518_appendix_c_is_agreed_on():
    case = KEYS_AND_CIPHERS["key_agreement"]
    bob = DecryptionKey.from_jwk(case["bob"], alg="ECDH-ES")
    epk = {name: case["alice"][name] for name in ("kty", "crv", "x", "y")}
    agreed = bob.algorithm.content_key(
        bob.material, b"", case["header"] | {"epk": epk}, content_encryption_algorithm("A128GCM")
    )
    assert agreed == plain(case["derived"])


@pytest.mark.parametrize("case", KEYS_AND_CIPHERS["shared_secrets"], ids=lambda case: case["recipient"]["crv"])
def test_the_shared_secret_of_rfc_8037_appendices_a_6_and_a_7_is_found(case):
    assert shared_secret(OKP.load_private(case["ephemeral"]), case["recipient"]).hex() == case["z"]


def test_the_keys_of_rfc_7517_appendix_a_are_read():
    (agreement, _), (private, _) = KEYS_AND_CIPHERS["public_keys"]["keys"], KEYS_AND_CIPHERS["private_keys"]["keys"]
    key = DecryptionKey.from_jwk(private, alg="ECDH-ES+A128KW")
    public = EncryptionKey.from_jwk(agreement, alg="ECDH-ES+A128KW")
    assert decrypt_compact(encrypt_compact(b"x", public, enc="A128GCM"), [key], enc=ENCS).plaintext == b"x"
    wrapping, _ = KEYS_AND_CIPHERS["symmetric_keys"]["keys"]
    assert DecryptionKey.from_jwk(wrapping, alg="A128KW").to_jwk() == wrapping | {"use": "enc"}


# The cookbook of RFC 7520, and RFC 8037

COOKBOOK = sorted(path.name for path in (VECTORS / "cookbook/jwe").glob("*.json"))
RSA1_5_COOKBOOK = "5_1.key_encryption_using_rsa_v15_and_aes-hmac-sha2.json"
COMPRESSED = "5_9.compressed_content.json"
SEVERAL = "5_13.encrypting_to_multiple_recipients.json"
PASSWORD = "5_3.key_wrap_using_pbes2-aes-keywrap_with-aes-cbc-hmac-sha2.json"


def cookbook_key(case):
    given = case["input"]
    if "pwd" in given:
        return DecryptionKey.from_password(given["pwd"].encode(), alg=given["alg"])
    return DecryptionKey.from_jwk(given["key"], alg=given["alg"])


def decrypted_in_each_serialization(output, key):
    if "compact" in output:
        yield decrypt_compact(output["compact"], [key], enc=ENCS)
    if "json_flat" in output:
        yield decrypt_flattened(json.dumps(output["json_flat"]).encode(), [key], enc=ENCS)
    document = json.dumps(output["json"]).encode()
    if "recipients" in output["json"]:
        yield decrypt_general(document, [key], enc=ENCS)
    else:  # see tests/vectors/README.md
        with pytest.raises(MalformedError):
            decrypt_general(document, [key], enc=ENCS)
        yield decrypt_flattened(document, [key], enc=ENCS)


@pytest.mark.parametrize("name", sorted({*COOKBOOK} - {RSA1_5_COOKBOOK, COMPRESSED, SEVERAL}))
def test_an_example_of_rfc_7520_is_decrypted_in_each_of_its_serializations(name):
    case = load(f"cookbook/jwe/{name}")
    content = case["input"]["plaintext"]
    expected = (content if isinstance(content, str) else json.dumps(content)).encode()
    for found in decrypted_in_each_serialization(case["output"], cookbook_key(case)):
        assert found.plaintext == expected
        assert found.aad == case["input"].get("aad", "").encode()


def test_the_example_of_rfc_8037_is_decrypted_in_each_of_its_serializations():
    case = load("cookbook/curve25519/ecdh-es.json")
    key = DecryptionKey.from_jwk(case["input"]["key"], alg="ECDH-ES")
    found = list(decrypted_in_each_serialization(case["output"], key))
    assert {each.plaintext for each in found} == {case["input"]["plaintext"].encode()}
    assert len(found) == 3


def test_each_recipient_of_the_example_of_rfc_7520_decrypts_it_unless_its_algorithm_is_refused():
    case = load(f"cookbook/jwe/{SEVERAL}")
    document = json.dumps(case["output"]["json"]).encode()
    for jwk, alg in zip(case["input"]["key"], case["input"]["alg"], strict=True):
        if alg == "RSA1_5":
            with pytest.raises(UnsupportedError):
                DecryptionKey.from_jwk(jwk, alg=alg)
            continue
        key = DecryptionKey.from_jwk(jwk, alg=alg)
        assert decrypt_general(document, [key], enc=ENCS).plaintext == case["input"]["plaintext"].encode()


def test_the_compressed_example_of_rfc_7520_is_refused():
    case = load(f"cookbook/jwe/{COMPRESSED}")
    for read, name in ((decrypt_compact, "compact"), (decrypt_flattened, "json_flat"), (decrypt_general, "json")):
        token = case["output"][name]
        with pytest.raises(AlgorithmNotAllowedError, match="compressed"):
            read(token if isinstance(token, str) else json.dumps(token).encode(), [cookbook_key(case)], enc=ENCS)


def test_the_example_of_rfc_7520_with_rsa1_5_is_refused():
    with pytest.raises(UnsupportedError):
        cookbook_key(load(f"cookbook/jwe/{RSA1_5_COOKBOOK}"))


@pytest.mark.parametrize(
    "name", ["5_6.direct_encryption_using_aes-gcm.json", "5_8.key_wrap_using_aes-keywrap_with_aes-gcm.json"]
)
def test_a_reproducible_example_of_rfc_7520_is_made_octet_for_octet(name):
    case = load(f"cookbook/jwe/{name}")
    parts = [plain(case["generated"][part]) for part in ("cek", "iv") if part in case["generated"]]
    key, content = cookbook_key(case).public(), case["input"]["plaintext"].encode()
    enc = case["input"]["enc"]
    assert encrypt_compact(content, key, enc=enc, entropy=feeding(*parts)) == case["output"]["compact"]
    made = encrypt_flattened(content, key, enc=enc, entropy=feeding(*parts))
    assert json.loads(made) == case["output"]["json_flat"]


def test_the_example_of_rfc_7520_with_additional_data_is_made_octet_for_octet():
    case = load("cookbook/jwe/5_10.including_additional_authentication_data.json")
    parts = [plain(case["generated"][part]) for part in ("cek", "iv")]
    key, given = cookbook_key(case).public(), case["input"]
    made = encrypt_flattened(
        given["plaintext"].encode(), key, enc=given["enc"], aad=given["aad"].encode(), entropy=feeding(*parts)
    )
    assert json.loads(made) == case["output"]["json_flat"]


def test_the_nested_example_of_rfc_7520_is_decrypted_and_verified():
    case = load("cookbook/6.nesting_signatures_and_encryption.json")
    outer, inner = case["encrypt"], case["sign"]
    key = DecryptionKey.from_jwk(outer["input"]["key"], alg=outer["input"]["alg"])
    for found in decrypted_in_each_serialization(outer["output"], key):
        assert found.header["cty"] == "JWT"
        signer = SigningKey.from_jwk(inner["input"]["key"], alg=inner["input"]["alg"]).public()
        content = verify_compact(found.plaintext.decode(), KeySet([signer]), algorithms=[inner["input"]["alg"]])
        assert content.payload == inner["input"]["payload"].encode()


# Wycheproof

# The reasons are in tests/vectors/README.md.
REFUSED_BY_DESIGN = {100, 101, 102, 103, 104, 105, 112, 128, 135}


def wycheproof(name, kind="jwe"):
    return [
        pytest.param(group["private"], case, id=f"{case['tcId']}-{case['comment']}")
        for group in load(f"wycheproof/{name}")["testGroups"]
        for case in group["tests"]
        if kind in case
    ]


def verdict(jwk, token):
    """What is inside, or the error."""
    alg = header_alg(token) if jwk["alg"] in ENCS else jwk["alg"]
    try:
        key = DecryptionKey.from_jwk(jwk, alg=alg)
        return decrypt_compact(token, [key], enc=ENCS).plaintext
    except JoseError as error:
        return error


def header_alg(token):
    return json.loads(plain(token.split(".")[0]))["alg"]


@pytest.mark.parametrize(("jwk", "case"), wycheproof("json_web_encryption_test.json"))
def test_a_case_of_wycheproof_has_its_verdict(jwk, case):
    found = verdict(jwk, case["jwe"])
    if case["result"] == "valid" and case["tcId"] not in REFUSED_BY_DESIGN:
        assert found == bytes.fromhex(case["pt"])
    else:
        assert isinstance(found, JoseError)


@pytest.mark.parametrize(("jwk", "case"), wycheproof("json_web_crypto_test.json"))
def test_a_case_of_wycheproof_with_mixed_keys_has_its_verdict(jwk, case):
    if "keys" in jwk:
        (jwk,) = (each for each in jwk["keys"] if each["alg"] not in {"HS256", "ES256", "RS256"})
    found = verdict(jwk, case["jwe"])
    if case["result"] == "valid":
        assert found == b"foo"  # all of these files' content
    else:
        assert isinstance(found, JoseError)


def test_all_of_wycheproofs_padding_errors_look_alike():
    errors = {
        (type(found), str(found))
        for jwk, case in (each.values for each in wycheproof("json_web_encryption_test.json"))
        if case["result"] == "invalid"
        and {"Pkcs5Padding", "Pkcs15WithOaepKey"} & {*case["flags"]}
        and (found := verdict(jwk, case["jwe"]))
        and header_alg(case["jwe"]) == jwk["alg"]
    }
    assert errors == {(DecryptionError, "It cannot be decrypted with this key.")}


@pytest.mark.parametrize("name", ["x25519_jwk_test.json", "x448_jwk_test.json"])
@pytest.mark.spec("RFC 8037", "3.2.1", "MUST")
def test_a_key_agreement_of_wycheproof_has_its_verdict(name):
    wrong = []
    for group in load(f"wycheproof/{name}")["testGroups"]:
        for case in group["tests"]:
            secret = shared_secret(OKP.load_private(case["private"]), case["public"])
            refused = case["result"] == "invalid" or not int(case["shared"], 16)
            if secret != (None if refused else bytes.fromhex(case["shared"])):
                wrong.append((case["tcId"], case["comment"], case["result"], case["flags"]))
    assert wrong == []
