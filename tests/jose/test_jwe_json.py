"""JWE in its JSON serializations: flattened for one recipient, general for several."""

import base64
import json

import pytest

from carnet.jose.algorithms import pbes2
from carnet.jose.algorithms.encryption import CONTENT_ENCRYPTIONS
from carnet.jose.encryption_keys import DecryptionKey
from carnet.jose.errors import (
    AlgorithmNotAllowedError,
    DecryptionError,
    DuplicateMemberError,
    InvalidKeyError,
    JoseError,
    KeyUseError,
    MalformedError,
    TooLargeError,
    UnknownKeyError,
)
from carnet.jose.jwe_json import (
    Recipient,
    decrypt_flattened,
    decrypt_general,
    encrypt_flattened,
    encrypt_general,
)

ENCS = [content.name for content in CONTENT_ENCRYPTIONS]
CONTENT = b"for your eyes only"
KEY = DecryptionKey.generate("A128KW", kid="one")
SEVERAL = [
    KEY,
    DecryptionKey.generate("RSA-OAEP-256"),
    DecryptionKey.generate("ECDH-ES+A256KW", curve="X25519"),
    DecryptionKey.generate("A256GCMKW", kid="four"),
    DecryptionKey.from_password(b"password", alg="PBES2-HS512+A256KW", kid="five"),
]


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch):
    monkeypatch.setattr(pbes2, "ITERATIONS", 1_000)


def b64(value) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def changed(document: bytes, **members) -> bytes:
    """The document with other members; None takes one away."""
    merged = json.loads(document) | members
    return json.dumps({name: value for name, value in merged.items() if value is not None}).encode()


def flattened(**options) -> bytes:
    return encrypt_flattened(CONTENT, KEY.public(), enc="A128GCM", **options)


def general(**options) -> bytes:
    return encrypt_general(CONTENT, [Recipient(key.public()) for key in SEVERAL], enc="A128CBC-HS256", **options)


def test_the_flattened_form_carries_protected_and_unprotected_headers_and_additional_data():
    document = flattened(headers={"cty": "text/plain"}, unprotected={"x": 1}, aad=b"seen by all")
    members = json.loads(document)
    assert members.keys() == {"protected", "unprotected", "encrypted_key", "iv", "aad", "ciphertext", "tag"}
    found = decrypt_flattened(document, [KEY], enc=ENCS)
    assert (found.plaintext, found.aad) == (CONTENT, b"seen by all")
    assert found.header == {"alg": "A128KW", "kid": "one", "enc": "A128GCM", "cty": "text/plain", "x": 1}


@pytest.mark.parametrize("alg", ["dir", "ECDH-ES"])
def test_a_key_that_is_agreed_on_sends_no_encrypted_key(alg):
    key = DecryptionKey.generate(alg, enc="A128GCM" if alg == "dir" else None)
    document = encrypt_flattened(CONTENT, key.public(), enc="A128GCM")
    assert "encrypted_key" not in json.loads(document)
    assert decrypt_flattened(document, [key], enc=ENCS).plaintext == CONTENT
    with pytest.raises(MalformedError):
        decrypt_flattened(changed(document, encrypted_key=""), [key], enc=ENCS)
    with pytest.raises(DecryptionError):
        decrypt_flattened(changed(document, encrypted_key="AAAA"), [key], enc=ENCS)
    with pytest.raises(InvalidKeyError, match="has one recipient"):
        encrypt_general(CONTENT, [Recipient(key.public())], enc="A128GCM")


def test_each_of_several_recipients_reads_the_same_content():
    document = general(headers={"cty": "text/plain"}, unprotected={"x": 1}, aad=b"aad")
    members = json.loads(document)
    assert json.loads(base64.urlsafe_b64decode(members["protected"] + "==")) == {
        "enc": "A128CBC-HS256",
        "cty": "text/plain",
    }
    for key in SEVERAL:
        found = decrypt_general(document, [key], enc=ENCS)
        assert (found.plaintext, found.aad) == (CONTENT, b"aad")
        assert (found.header["alg"], found.header["kid"], found.header["x"]) == (key.alg, key.kid, 1)


def test_a_recipient_has_parameters_of_its_own():
    key = SEVERAL[2]
    document = encrypt_general(CONTENT, [Recipient(key.public(), {"apu": b64(b"Alice")})], enc="A256GCM")
    assert decrypt_general(document, [key], enc=ENCS).header["apu"] == b64(b"Alice")


def test_a_stranger_reads_nothing():
    stranger = DecryptionKey.generate("A128KW", kid="stranger")
    with pytest.raises(UnknownKeyError):
        decrypt_general(general(), [stranger], enc=ENCS)
    other = DecryptionKey.generate("A192KW", kid="one")
    with pytest.raises(AlgorithmNotAllowedError):
        decrypt_general(encrypt_general(CONTENT, [Recipient(KEY.public())], enc="A128GCM"), [other], enc=ENCS)
    impostor = DecryptionKey.generate("A128KW", kid="one")
    with pytest.raises(DecryptionError, match="It cannot be decrypted with this key"):
        decrypt_general(general(), [impostor], enc=ENCS)


def test_the_first_recipient_that_can_be_decrypted_is_taken():
    wrong = DecryptionKey.generate("A128KW")
    unnamed = DecryptionKey(KEY.algorithm, KEY.material, kid=None)
    document = encrypt_general(CONTENT, [Recipient(wrong.public()), Recipient(unnamed.public())], enc="A128GCM")
    assert decrypt_general(document, [unnamed], enc=ENCS).plaintext == CONTENT


def test_only_a_few_recipients_are_tried_in_vain(monkeypatch):
    unnamed = DecryptionKey(KEY.algorithm, KEY.material, kid=None)
    wrong = [Recipient(DecryptionKey.generate("A128KW").public()) for _ in range(4)]
    document = encrypt_general(CONTENT, [*wrong[1:], Recipient(unnamed.public())], enc="A128GCM")
    assert decrypt_general(document, [unnamed], enc=ENCS).plaintext == CONTENT
    document = encrypt_general(CONTENT, [*wrong, Recipient(unnamed.public())], enc="A128GCM")
    with pytest.raises(DecryptionError):
        decrypt_general(document, [unnamed], enc=ENCS)


def test_the_number_of_recipients_is_bounded():
    for count in (0, 17):
        with pytest.raises(MalformedError):
            encrypt_general(CONTENT, [Recipient(KEY.public())] * count, enc="A128GCM")
    document = encrypt_general(CONTENT, [Recipient(KEY.public())] * 16, enc="A128GCM")
    assert decrypt_general(document, [KEY], enc=ENCS).plaintext == CONTENT
    entry = json.loads(document)["recipients"]
    with pytest.raises(TooLargeError):
        decrypt_general(changed(document, recipients=entry[:1] * 17), [KEY], enc=ENCS)
    with pytest.raises(UnknownKeyError, match="no recipient"):
        decrypt_general(changed(document, recipients=[]), [KEY], enc=ENCS)


@pytest.mark.parametrize("name", ["protected", "iv", "ciphertext", "tag", "aad", "encrypted_key"])
@pytest.mark.parametrize("serialization", ["flattened", "general"])
def test_whatever_is_altered_the_error_is_one_and_the_same(name, serialization):
    """Rule J11."""
    if serialization == "flattened":
        document, read = flattened(aad=b"some"), decrypt_flattened
    else:
        document, read = (
            encrypt_general(CONTENT, [Recipient(KEY.public())], enc="A128GCM", aad=b"some"),
            decrypt_general,
        )
    members = json.loads(document)
    holder = members["recipients"][0] if name == "encrypted_key" and serialization == "general" else members
    raw = base64.urlsafe_b64decode(holder[name] + "==")
    if name == "protected":
        holder[name] = b64({**json.loads(raw), "cty": "x"})
    else:
        holder[name] = b64(bytes([raw[0] ^ 1]) + raw[1:])
    with pytest.raises(DecryptionError) as caught:
        read(json.dumps(members).encode(), [KEY], enc=ENCS)
    assert (caught.value.code, str(caught.value)) == ("decryption_failed", "It cannot be decrypted with this key.")


def test_additional_data_cannot_be_taken_away():
    with pytest.raises(DecryptionError):
        decrypt_flattened(changed(flattened(aad=b"some"), aad=None), [KEY], enc=ENCS)


def test_a_header_may_be_unprotected_altogether():
    """RFC 7516 section 7.2.1: `protected` is absent when it would be empty. We read that, and never write it."""
    content = next(each for each in CONTENT_ENCRYPTIONS if each.name == "A128GCM")
    secret = DecryptionKey.generate("dir", enc="A128GCM")
    sealed = content.encrypt(secret.material.value, bytes(12), CONTENT, b"")
    members = {
        "unprotected": {"alg": "dir", "enc": "A128GCM"},
        "iv": b64(bytes(12)),
        "ciphertext": b64(sealed.ciphertext),
        "tag": b64(sealed.tag),
    }
    assert decrypt_flattened(json.dumps(members).encode(), [secret], enc=ENCS).plaintext == CONTENT


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"recipients": []}, MalformedError),
        ({"protected": ""}, MalformedError),
        ({"protected": 1}, MalformedError),
        ({"protected": "é"}, MalformedError),
        ({"protected": "e30"}, MalformedError),
        ({"protected": b64({"x": "y" * 2000})}, TooLargeError),
        ({"header": 1}, MalformedError),
        ({"header": {"alg": "dir"}}, MalformedError),
        ({"unprotected": []}, MalformedError),
        ({"unprotected": {"kid": "one"}}, MalformedError),
        ({"unprotected": {"crit": ["x"], "x": 1}}, JoseError),
        ({"unprotected": {"zip": "DEF"}}, AlgorithmNotAllowedError),
        ({"iv": 1}, MalformedError),
        ({"iv": ""}, MalformedError),
        ({"iv": "A"}, MalformedError),
        ({"iv": None}, DecryptionError),
        ({"tag": None}, DecryptionError),
        ({"encrypted_key": None}, DecryptionError),
        ({"ciphertext": None}, MalformedError),
        ({"ciphertext": ""}, DecryptionError),
        ({"aad": ""}, MalformedError),
        ({"aad": "A"}, MalformedError),
        ({"aad": {}}, MalformedError),
    ],
)
def test_a_flattened_document_is_of_its_form(members, error):
    with pytest.raises(error):
        decrypt_flattened(changed(flattened(), **members), [KEY], enc=ENCS)


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"recipients": None}, MalformedError),
        ({"recipients": {}}, MalformedError),
        ({"recipients": [1]}, MalformedError),
        ({"recipients": [{"header": 1}]}, MalformedError),
        ({"recipients": [{"header": {"enc": "A128GCM"}}]}, MalformedError),
        ({"recipients": [{}]}, MalformedError),
        ({"header": {}}, MalformedError),
        ({"encrypted_key": "AAAA"}, MalformedError),
        ({"unprotected": {"zip": "DEF"}}, AlgorithmNotAllowedError),
    ],
)
def test_a_general_document_is_of_its_form(members, error):
    with pytest.raises(error):
        decrypt_general(changed(general(), **members), SEVERAL, enc=ENCS)


def test_the_two_serializations_are_not_taken_for_each_other():
    """Rule J13."""
    with pytest.raises(MalformedError, match="general serialization"):
        decrypt_flattened(general(), SEVERAL, enc=ENCS)
    with pytest.raises(MalformedError, match="flattened serialization"):
        decrypt_general(flattened(), [KEY], enc=ENCS)


def test_a_protected_header_has_at_most_2048_characters():
    empty = len(json.loads(flattened(headers={"x": ""}))["protected"])
    longest = "y" * ((2048 - empty) * 3 // 4)
    document = flattened(headers={"x": longest})
    assert len(json.loads(document)["protected"]) == 2048
    assert decrypt_flattened(document, [KEY], enc=ENCS).header["x"] == longest
    with pytest.raises(TooLargeError):
        decrypt_flattened(flattened(headers={"x": longest + "y"}), [KEY], enc=ENCS)


def test_what_is_too_long_or_not_strict_json_is_not_read():
    padded = flattened().ljust(65_536)
    assert decrypt_flattened(padded, [KEY], enc=ENCS).plaintext == CONTENT
    with pytest.raises(TooLargeError):
        decrypt_flattened(padded + b" ", [KEY], enc=ENCS)
    with pytest.raises(DuplicateMemberError):
        decrypt_flattened(b'{"tag":"AA",' + flattened()[1:], [KEY], enc=ENCS)
    with pytest.raises(MalformedError):
        decrypt_general(b"[]", [KEY], enc=ENCS)


def test_a_name_comes_in_one_header_alone_when_it_is_written():
    for options in (
        {"headers": {"x": 1}, "unprotected": {"x": 1}},
        {"unprotected": {"alg": "x"}},
        {"headers": {"kid": "x"}},
    ):
        with pytest.raises(MalformedError):
            flattened(**options)
        with pytest.raises(MalformedError):
            general(**options)
    with pytest.raises(MalformedError):
        encrypt_general(CONTENT, [Recipient(KEY.public(), {"x": 1})], enc="A128GCM", headers={"x": 1})


def test_a_key_for_another_enc_does_not_encrypt():
    key = DecryptionKey.generate("dir", enc="A256GCM")
    with pytest.raises(KeyUseError):
        encrypt_flattened(CONTENT, key.public(), enc="A128GCM")
