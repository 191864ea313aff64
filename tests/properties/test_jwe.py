"""Properties of JWE: whatever is encrypted comes back, nothing altered does, and nothing but a JoseError is raised."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carnet.jose.algorithms.encryption import CONTENT_ENCRYPTIONS
from carnet.jose.encryption_keys import DecryptionKey
from carnet.jose.errors import JoseError
from carnet.jose.jwe import decrypt_compact, encrypt_compact
from carnet.jose.jwe_json import Recipient, decrypt_flattened, decrypt_general, encrypt_flattened, encrypt_general

ENCS = [content.name for content in CONTENT_ENCRYPTIONS]
WRAPPING = [
    DecryptionKey.generate("A128KW", kid="a"),
    DecryptionKey.generate("A256GCMKW", kid="b"),
    DecryptionKey.generate("ECDH-ES+A128KW", kid="c"),
    DecryptionKey.generate("ECDH-ES+A256KW", curve="X25519", kid="d"),
    DecryptionKey.generate("RSA-OAEP-256", kid="e"),
]
KEYS = [*WRAPPING, DecryptionKey.generate("ECDH-ES", curve="P-384", kid="f")]

keys = st.sampled_from(KEYS)
encs = st.sampled_from(ENCS)
contents = st.binary(max_size=300)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@given(contents, keys, encs)
def test_what_is_encrypted_comes_back(content, key, enc):
    token = encrypt_compact(content, key.public(), enc=enc)
    assert decrypt_compact(token, KEYS, enc=[enc]).plaintext == content


@given(contents, keys, encs, st.binary(max_size=50))
def test_what_is_encrypted_with_additional_data_comes_back(content, key, enc, aad):
    found = decrypt_flattened(encrypt_flattened(content, key.public(), enc=enc, aad=aad), KEYS, enc=[enc])
    assert (found.plaintext, found.aad) == (content, aad)


@given(contents, st.lists(st.sampled_from(WRAPPING), min_size=1, max_size=4, unique_by=lambda key: key.kid), encs)
def test_every_recipient_reads_the_same(content, recipients, enc):
    document = encrypt_general(content, [Recipient(key.public()) for key in recipients], enc=enc)
    assert {decrypt_general(document, [key], enc=[enc]).plaintext for key in recipients} == {content}


@given(contents, keys, encs, st.data())
@settings(max_examples=300)
def test_no_altered_bit_goes_unnoticed(content, key, enc, data):
    parts = encrypt_compact(content, key.public(), enc=enc).split(".")
    which = data.draw(st.sampled_from([number for number, part in enumerate(parts) if part]))
    raw = bytearray(base64.urlsafe_b64decode(parts[which] + "=" * (-len(parts[which]) % 4)))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    parts[which] = b64(bytes(raw))
    with pytest.raises(JoseError) as caught:
        decrypt_compact(".".join(parts), KEYS, enc=ENCS)
    if which > 0:
        assert (caught.value.code, str(caught.value)) == ("decryption_failed", "It cannot be decrypted with this key.")


@given(contents, keys, encs, st.data())
def test_no_altered_character_goes_unnoticed(content, key, enc, data):
    token = encrypt_compact(content, key.public(), enc=enc)
    place = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.characters().filter(lambda other: other != token[place]))
    with pytest.raises(JoseError):
        decrypt_compact(token[:place] + character + token[place + 1 :], KEYS, enc=ENCS)


@given(st.text(st.sampled_from("AQgw-_.eyJ{}=é \n"), max_size=200) | st.text(max_size=50))
def test_of_any_text_nothing_but_a_jose_error_is_raised(text):
    with pytest.raises(JoseError):
        decrypt_compact(text, KEYS, enc=ENCS)


@given(
    st.dictionaries(
        st.sampled_from(["alg", "enc", "kid", "epk", "iv", "tag", "apu", "zip", "crit", "cty", "x"]),
        json_values,
        max_size=5,
    ),
    keys,
    encs,
    st.lists(st.binary(max_size=40), min_size=4, max_size=4),
)
@settings(max_examples=300)
def test_of_any_header_nothing_but_a_jose_error_is_raised(members, key, enc, parts):
    header = {"alg": key.alg, "kid": key.kid, "enc": enc} | members
    token = ".".join((b64(json.dumps(header).encode()), *map(b64, parts)))
    with pytest.raises(JoseError):
        decrypt_compact(token, KEYS, enc=ENCS)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: json_values | st.binary(max_size=30).map(b64)
            for name in (
                "protected",
                "unprotected",
                "header",
                "encrypted_key",
                "iv",
                "ciphertext",
                "tag",
                "aad",
                "recipients",
            )
        },
    )
)
def test_of_any_document_nothing_but_a_jose_error_is_raised(members):
    document = json.dumps(members).encode()
    for read in (decrypt_flattened, decrypt_general):
        with pytest.raises(JoseError):
            read(document, KEYS, enc=ENCS)
