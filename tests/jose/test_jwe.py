"""JWE in its compact serialization: what is encrypted is read by its recipient alone, and everything else fails alike."""

import base64
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from carnet.ambient import SYSTEM
from carnet.jose.algorithms import pbes2
from carnet.jose.algorithms.encryption import CONTENT_ENCRYPTIONS, KEY_MANAGEMENT, PASSWORD_BASED
from carnet.jose.encryption_keys import DecryptionKey, EncryptionKey
from carnet.jose.errors import (
    AlgorithmNotAllowedError,
    CriticalHeaderError,
    DecryptionError,
    InvalidKeyError,
    JoseError,
    KeyUseError,
    MalformedError,
    TooLargeError,
    UnknownKeyError,
    UnsupportedError,
)
from carnet.jose.jwe import decrypt_compact, encrypt_compact
from carnet.jose.key_types import Secret

ENCS = [content.name for content in CONTENT_ENCRYPTIONS]
CURVES = ("P-256", "P-384", "P-521", "X25519", "X448")
CONTENT = "Grüße".encode()
NAMES = [algorithm.name for algorithm in (*KEY_MANAGEMENT, *PASSWORD_BASED)]
KEYS = {name: DecryptionKey.generate(name) for name in ("RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW")}


def b64(value) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def key_for(alg: str, enc: str = "A256GCM", curve: str | None = None) -> DecryptionKey:
    if alg in KEYS and curve is None:
        return KEYS[alg]
    if alg.startswith("PBES2"):
        return DecryptionKey.from_password(b"Thus from my lips, by yours, my sin is purged.", alg=alg)
    return DecryptionKey.generate(alg, enc=enc if alg == "dir" else None, curve=curve)


def with_header(token: str, change: Callable[[dict], object]) -> str:
    """The token with another header, which the tag then does not fit: for refusals that come before the decryption."""
    header, rest = token.split(".", 1)
    members = json.loads(unb64(header))
    change(members)
    return f"{b64(members)}.{rest}"


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch):
    """A password is hashed 600,000 times: once, in `test_a_sender_hashes_…`, is enough."""
    monkeypatch.setattr(pbes2, "ITERATIONS", 1_000)


@pytest.mark.parametrize("alg", NAMES)
@pytest.mark.parametrize("enc", ENCS)
def test_what_is_encrypted_is_decrypted_again(alg, enc):
    key = key_for(alg, enc)
    token = encrypt_compact(CONTENT, key.public(), enc=enc, headers={"cty": "text/plain"})
    found = decrypt_compact(token, [key], enc=[enc])
    assert found.plaintext == CONTENT
    assert found.aad == b""
    assert {name: found.header[name] for name in ("alg", "enc", "cty")} == {"alg": alg, "enc": enc, "cty": "text/plain"}
    assert found.header.get("kid") == key.kid


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("alg", ["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"])
def test_keys_are_agreed_on_each_curve_with_the_parties_names(alg, curve):
    key = key_for(alg, curve=curve)
    names = {"apu": b64(b"Alice"), "apv": b64(b"Bob")}
    token = encrypt_compact(CONTENT, key.public(), enc="A128CBC-HS256", headers=names)
    found = decrypt_compact(token, [key], enc=ENCS)
    assert found.plaintext == CONTENT
    assert found.header["epk"]["crv"] == curve
    assert "d" not in found.header["epk"]


@pytest.mark.parametrize("alg", NAMES)
def test_nothing_is_used_twice(alg):
    key = key_for(alg)
    first, second = (encrypt_compact(CONTENT, key.public(), enc="A256GCM").split(".") for _ in range(2))
    assert [part for part in zip(first[1:], second[1:], strict=True) if part[0] == part[1] and part[0]] == []


def test_empty_content_is_content():
    key = key_for("A128KW")
    for enc in ENCS:
        assert decrypt_compact(encrypt_compact(b"", key.public(), enc=enc), [key], enc=[enc]).plaintext == b""


@pytest.mark.parametrize("alg", NAMES)
@pytest.mark.parametrize("part", range(1, 5))
@pytest.mark.spec("RFC 7516", "11.5", "MUST")
def test_whatever_is_altered_the_error_is_one_and_the_same(alg, part):
    """Rule J11."""
    key = key_for(alg)
    for enc in ("A256GCM", "A256CBC-HS512") if alg != "dir" else ("A256GCM",):
        parts = encrypt_compact(CONTENT, key.public(), enc=enc).split(".")
        raw = unb64(parts[part])
        for changed in (b"", raw[:-1], raw + b"\0", bytes([raw[0] ^ 1]) + raw[1:] if raw else b"\1" * 16, raw[::-1]):
            if changed == raw:
                continue
            parts[part] = b64(changed)
            with pytest.raises(DecryptionError) as caught:
                decrypt_compact(".".join(parts), [key], enc=ENCS)
            assert (caught.value.code, str(caught.value)) == (
                "decryption_failed",
                "It cannot be decrypted with this key.",
            )


@pytest.mark.parametrize("enc", ENCS)
def test_the_ciphertext_ends_where_the_tag_begins(enc):
    """The library takes both as one string of octets: the same content would have many spellings."""
    key = key_for("A128KW")
    header, encrypted_key, iv, ciphertext, tag = encrypt_compact(CONTENT, key.public(), enc=enc).split(".")
    octets = unb64(ciphertext) + unb64(tag)
    for end in (len(unb64(ciphertext)) - 1, len(unb64(ciphertext)) + 1):
        moved = (b64(octets[:end]), b64(octets[end:]))
        with pytest.raises(DecryptionError):
            decrypt_compact(".".join((header, encrypted_key, iv, *moved)), [key], enc=ENCS)


@pytest.mark.parametrize("alg", NAMES)
def test_another_key_fails_with_the_same_error(alg):
    key, other = key_for(alg), DecryptionKey.from_password(b"x", alg=alg) if "PBES2" in alg else None
    other = other or DecryptionKey.generate(alg, enc="A256GCM" if alg == "dir" else None)
    token = encrypt_compact(CONTENT, key.public(), enc="A256GCM")
    stranger = DecryptionKey(other.algorithm, other.material, kid=key.kid)
    with pytest.raises(DecryptionError, match="It cannot be decrypted with this key"):
        decrypt_compact(token, [stranger], enc=ENCS)


@pytest.mark.parametrize("enc", ENCS)
def test_the_header_is_authenticated(enc):
    key = key_for("A128KW")
    token = with_header(encrypt_compact(CONTENT, key.public(), enc=enc), lambda header: header.update(cty="JWT"))
    with pytest.raises(DecryptionError):
        decrypt_compact(token, [key], enc=ENCS)


@pytest.mark.parametrize("enc", [name for name in ENCS if "CBC" in name])
def test_padding_that_is_wrong_under_a_right_tag_fails_with_the_same_error(enc):
    """Only somebody who has the key can make one; it must still not raise anything else."""
    content = next(each for each in CONTENT_ENCRYPTIONS if each.name == enc)
    key = key_for("dir", enc)
    protected = b64({"alg": "dir", "enc": enc})
    # A key of chance would find right padding in a block of chance once in 255 times: this one ends in 0, which none is.
    iv, encryptor = bytes(16), Cipher(AES(key.material.value[content.key_length // 2 :]), CBC(bytes(16))).encryptor()
    ciphertext = encryptor.update(bytes(16)) + encryptor.finalize()
    for broken in (ciphertext, ciphertext[:15], b""):
        tag = content._tag(key.material.value, iv, broken, protected.encode())
        token = ".".join((protected, "", b64(iv), b64(broken), b64(tag)))
        with pytest.raises(DecryptionError):
            decrypt_compact(token, [key], enc=ENCS)


@pytest.mark.spec("RFC 7516", "11.5", "MUST")
@pytest.mark.parametrize("broken", [None, b"short", b"\0" * 33])
def test_where_the_content_key_cannot_be_had_the_work_goes_on_with_a_random_one(broken, monkeypatch):
    key = key_for("RSA-OAEP-256")
    used = []
    monkeypatch.setattr(type(key.algorithm), "content_key", lambda *_: broken)
    content = type(next(each for each in CONTENT_ENCRYPTIONS if each.name == "A256GCM"))
    monkeypatch.setattr(content, "_decrypt", lambda _self, cek, *_: used.append(cek))
    token = encrypt_compact(CONTENT, key.public(), enc="A256GCM")
    with pytest.raises(DecryptionError):
        decrypt_compact(token, [key], enc=ENCS, entropy=lambda length: b"\7" * length)
    assert used == [b"\7" * 32]


def test_randomness_is_an_argument():
    key = key_for("A128KW").public()

    def counted(length: int) -> bytes:
        return bytes(range(length))

    made = [encrypt_compact(CONTENT, key, enc="A128GCM", entropy=counted) for _ in range(2)]
    assert made[0] == made[1]
    assert unb64(made[0].split(".")[2]) == bytes(range(12))


# The refusals that come before a key is used


def test_only_a_named_enc_is_accepted():
    key = key_for("A128KW")
    token = encrypt_compact(CONTENT, key.public(), enc="A128GCM")
    with pytest.raises(AlgorithmNotAllowedError, match="The enc is 'A128GCM', allowed are A192GCM, A256GCM"):
        decrypt_compact(token, [key], enc=["A256GCM", "A192GCM"])


@pytest.mark.parametrize("enc", [[], "A128GCM", ()])
def test_there_is_no_default_list_of_encs(enc):
    with pytest.raises(ValueError, match="enc is a collection of at least one name"):
        decrypt_compact("", [key_for("A128KW")], enc=enc)


def test_an_unknown_enc_cannot_be_allowed_or_used():
    key = key_for("A128KW")
    with pytest.raises(UnsupportedError):
        decrypt_compact("", [key], enc=["A512GCM"])
    with pytest.raises(UnsupportedError):
        encrypt_compact(CONTENT, key.public(), enc="A512GCM")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda header: header.update(alg="A256KW"), AlgorithmNotAllowedError),
        (lambda header: header.update(alg="a128kw"), AlgorithmNotAllowedError),
        (lambda header: header.update(alg="RSA1_5"), AlgorithmNotAllowedError),
        (lambda header: header.update(alg="none"), AlgorithmNotAllowedError),
        (lambda header: header.update(alg="dir"), AlgorithmNotAllowedError),
        (lambda header: header.update(alg=1), MalformedError),
        (lambda header: header.update(cty=1), MalformedError),
        (lambda header: header.pop("alg"), MalformedError),
        (lambda header: header.update(enc="a128gcm"), AlgorithmNotAllowedError),
        (lambda header: header.update(enc=1), MalformedError),
        (lambda header: header.pop("enc"), MalformedError),
        (lambda header: header.update(kid="other"), UnknownKeyError),
        (lambda header: header.update(kid=1), MalformedError),
        (lambda header: header.update(zip="DEF"), AlgorithmNotAllowedError),
        (lambda header: header.update(zip="xyz"), AlgorithmNotAllowedError),
        (lambda header: header.update(crit=["x"], x=1), CriticalHeaderError),
        (lambda header: header.update(crit=["enc"]), CriticalHeaderError),
        (lambda header: header.update(crit=[]), CriticalHeaderError),
        (lambda header: header.update(typ=1), MalformedError),
        (lambda header: header.update(x="y" * 2000), TooLargeError),
    ],
)
def test_a_header_is_refused_before_a_key_is_used(change, error):
    key = DecryptionKey.generate("A128KW", kid="mine")
    token = with_header(encrypt_compact(CONTENT, key.public(), enc="A128GCM"), change)
    with pytest.raises(JoseError) as caught:
        decrypt_compact(token, [key], enc=ENCS)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "token",
    [
        "",
        "....",
        "a.b.c.d",
        "a.b.c.d.e.f",
        "." * 60_000,
        "é....",
        "e30....",
        f"{b64([])}.AA.AA.AA.AA",
        None,
        b"....",
    ],
)
def test_what_is_not_a_jwe_is_malformed(token):
    with pytest.raises(MalformedError):
        decrypt_compact(token, [key_for("A128KW")], enc=ENCS)


@pytest.mark.parametrize("part", range(1, 5))
@pytest.mark.parametrize("bad", ["A", "A=", "AB", "A+A", "A A", "AA=="])
def test_a_part_that_is_not_canonical_base64url_is_malformed(part, bad):
    key = key_for("A128KW")
    parts = encrypt_compact(CONTENT, key.public(), enc="A128GCM").split(".")
    parts[part] = bad
    with pytest.raises(MalformedError):
        decrypt_compact(".".join(parts), [key], enc=ENCS)


def test_what_is_too_long_is_not_read():
    """Rule J20."""
    with pytest.raises(TooLargeError, match="The token has 65537 characters, at most 65536 are read"):
        decrypt_compact("a" * 65_537, [key_for("A128KW")], enc=ENCS)
    key = key_for("A128KW")
    token = encrypt_compact(b"x" * 100, key.public(), enc="A128GCM")
    assert decrypt_compact(token, [key], enc=ENCS, max_length=len(token)).plaintext == b"x" * 100
    with pytest.raises(TooLargeError):
        decrypt_compact(token, [key], enc=ENCS, max_length=len(token) - 1)
    large = encrypt_compact(b"x" * 100_000, key.public(), enc="A128GCM")
    assert len(decrypt_compact(large, [key], enc=ENCS, max_length=200_000).plaintext) == 100_000


@pytest.mark.spec("RFC 8725", "3.6", "SHOULD NOT")
def test_compressed_content_is_never_inflated():
    """Rule J8: not even with a right key and a right tag."""
    import zlib

    key = key_for("dir", "A128GCM")
    content = next(each for each in CONTENT_ENCRYPTIONS if each.name == "A128GCM")
    protected = b64({"alg": "dir", "enc": "A128GCM", "zip": "DEF"})
    sealed = content.encrypt(key.material.value, bytes(12), zlib.compress(b"0" * 10_000_000), protected.encode())
    token = ".".join((protected, "", b64(bytes(12)), b64(sealed.ciphertext), b64(sealed.tag)))
    with pytest.raises(AlgorithmNotAllowedError, match="compressed"):
        decrypt_compact(token, [key], enc=ENCS)


@pytest.mark.parametrize("name", ["alg", "enc", "kid", "zip", "crit", "b64", "epk", "iv", "tag", "p2s", "p2c"])
def test_a_caller_cannot_set_what_the_key_decides(name):
    with pytest.raises(MalformedError, match="not the caller's to set"):
        encrypt_compact(CONTENT, key_for("A128KW").public(), enc="A128GCM", headers={name: "x"})


# Which key


def test_the_key_that_the_header_names_is_used():
    one, two = (DecryptionKey.generate("A128KW", kid=kid) for kid in ("one", "two"))
    token = encrypt_compact(CONTENT, two.public(), enc="A128GCM")
    assert decrypt_compact(token, [one, two], enc=ENCS).plaintext == CONTENT
    with pytest.raises(UnknownKeyError, match="No key has the kid 'two'"):
        decrypt_compact(token, [one], enc=ENCS)
    with pytest.raises(UnknownKeyError):
        decrypt_compact(token, [], enc=ENCS)


def test_a_header_that_names_no_key_fits_if_only_one_key_is_for_its_alg():
    key, other, third = (
        DecryptionKey.generate("A128KW"),
        DecryptionKey.generate("A256KW"),
        DecryptionKey.generate("A128KW"),
    )
    token = encrypt_compact(CONTENT, key.public(), enc="A128GCM")
    assert decrypt_compact(token, [other, key], enc=ENCS).plaintext == CONTENT
    with pytest.raises(UnknownKeyError, match="more than one would fit"):
        decrypt_compact(token, [key, third], enc=ENCS)
    with pytest.raises(AlgorithmNotAllowedError, match="The algorithm is 'A128KW', but the key is for A256KW"):
        decrypt_compact(token, [other], enc=ENCS)


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
def test_a_key_out_of_the_header_is_never_used(name):
    """Rule J5."""
    mine, theirs = key_for("ECDH-ES"), DecryptionKey.generate("ECDH-ES", kid="theirs")
    token = encrypt_compact(CONTENT, theirs.public(), enc="A128GCM", headers={name: theirs.to_jwk()})
    with pytest.raises(UnknownKeyError):
        decrypt_compact(token, [mine], enc=ENCS)


# ECDH-ES (rule J10)


def forged_epk(epk: object, alg: str = "ECDH-ES", curve: str | None = None) -> tuple[str, DecryptionKey]:
    key = key_for(alg, curve=curve)
    header = {"alg": alg, "enc": "A128GCM"} | ({} if epk is None else {"epk": epk})
    return ".".join((b64(header), "" if alg == "ECDH-ES" else b64(bytes(24)), b64(bytes(12)), "", b64(bytes(16)))), key


P256 = KEYS["ECDH-ES"].public().to_jwk()
OFF_CURVE = {"kty": "EC", "crv": "P-256", "x": P256["x"], "y": b64(bytes(31) + b"\5")}


@pytest.mark.parametrize("alg", ["ECDH-ES", "ECDH-ES+A128KW"])
@pytest.mark.parametrize(
    "epk",
    [
        None,
        "x",
        [],
        {},
        {"kty": "EC"},
        {"kty": "OKP", "crv": "X25519", "x": b64(bytes(32))},
        {"kty": "EC", "crv": "P-256", "x": P256["x"]},
        {"kty": "EC", "crv": "P-256", "x": P256["x"], "y": 1},
        {"kty": "EC", "crv": "P-256", "x": P256["x"], "y": P256["x"] + "AA"},
        {"kty": "EC", "crv": "secp256k1", "x": P256["x"], "y": P256["y"]},
        {"kty": "EC", "crv": "P-384", "x": P256["x"], "y": P256["y"]},
        DecryptionKey.generate("ECDH-ES", curve="P-384").public().to_jwk(),
        OFF_CURVE,
        {**P256, "d": P256["x"]},
    ],
)
@pytest.mark.spec("RFC 8725", "3.4", "MUST")
def test_a_senders_point_that_is_not_on_the_curve_of_the_key_fails_like_everything_else(alg, epk):
    token, key = forged_epk(epk, alg)
    with pytest.raises(DecryptionError, match="It cannot be decrypted with this key"):
        decrypt_compact(token, [key], enc=ENCS)


@pytest.mark.parametrize("more", [{}, {"d": P256["x"]}, {"kty": "OKP"}, {"kty": None}])
def test_a_sender_s_one_time_key_is_a_public_one_of_its_kind(more):
    """All else of these objects is right: the first one is decrypted."""
    key = key_for("ECDH-ES")
    content = next(each for each in CONTENT_ENCRYPTIONS if each.name == "A128GCM")
    agreed = key.algorithm.agree(key.public().material, {}, content)
    protected = b64({"alg": "ECDH-ES", "enc": "A128GCM", "epk": agreed.parameters["epk"] | more})
    sealed = content.encrypt(agreed.cek, bytes(12), CONTENT, protected.encode())
    token = ".".join((protected, "", b64(bytes(12)), b64(sealed.ciphertext), b64(sealed.tag)))
    if not more:
        assert decrypt_compact(token, [key], enc=ENCS).plaintext == CONTENT
        return
    with pytest.raises(DecryptionError):
        decrypt_compact(token, [key], enc=ENCS)


@pytest.mark.parametrize(
    ("curve", "x"),
    [("X25519", bytes(32)), ("X25519", b"\1" + bytes(31)), ("X448", bytes(56)), ("X448", b"\1" + bytes(55))],
)
@pytest.mark.spec("RFC 8037", "3.2.1", "MUST")
def test_a_senders_point_of_low_order_fails_like_everything_else(curve, x):
    token, key = forged_epk({"kty": "OKP", "crv": curve, "x": b64(x)}, curve=curve)
    with pytest.raises(DecryptionError):
        decrypt_compact(token, [key], enc=ENCS)


def test_a_senders_point_on_the_other_montgomery_curve_fails_like_everything_else():
    other = DecryptionKey.generate("ECDH-ES", curve="X448").public().to_jwk()
    token, key = forged_epk(other, curve="X25519")
    with pytest.raises(DecryptionError):
        decrypt_compact(token, [key], enc=ENCS)


@pytest.mark.parametrize("name", ["apu", "apv"])
@pytest.mark.parametrize("value", [1, "A", "A=", "é"])
def test_a_partys_name_is_base64url(name, value):
    key = key_for("ECDH-ES")
    with pytest.raises(MalformedError):
        encrypt_compact(CONTENT, key.public(), enc="A128GCM", headers={name: value})
    token, _ = forged_epk(P256)
    with pytest.raises(DecryptionError):
        decrypt_compact(with_header(token, lambda header: header.update({name: value})), [key], enc=ENCS)


# PBES2 (rule J9)

WITH_PASSWORD = "PBES2-HS256+A128KW"


def test_a_password_is_never_taken_for_a_key():
    with pytest.raises(UnsupportedError, match="make the key with from_password"):
        DecryptionKey.from_secret(b"password", alg=WITH_PASSWORD)
    with pytest.raises(UnsupportedError):
        DecryptionKey.from_jwk({"kty": "oct", "k": "AAAA"}, alg=WITH_PASSWORD)
    with pytest.raises(UnsupportedError):
        EncryptionKey.from_password(b"password", alg="A128KW")
    with pytest.raises(UnsupportedError):
        DecryptionKey.generate(WITH_PASSWORD)
    with pytest.raises(InvalidKeyError, match="not generated"):
        PASSWORD_BASED[0].generate(None, SYSTEM.entropy)
    with pytest.raises(InvalidKeyError, match="not empty"):
        EncryptionKey.from_password(b"", alg=WITH_PASSWORD)


@pytest.mark.parametrize("iterations", [999, 1_200_001, 2**31, 0, -1, True, "5000", None, 5000.0])
def test_a_sender_cannot_choose_how_long_a_password_is_hashed(iterations, monkeypatch):
    key = key_for(WITH_PASSWORD)
    token = encrypt_compact(CONTENT, key.public(), enc="A128GCM")
    monkeypatch.setattr(pbes2, "PBKDF2HMAC", None)  # nothing is hashed
    with pytest.raises(DecryptionError):
        decrypt_compact(with_header(token, lambda header: header.update(p2c=iterations)), [key], enc=ENCS)


@pytest.mark.parametrize("salt", [None, 1, "A", b64(b"short"), ""])
def test_a_salt_is_at_least_8_octets(salt, monkeypatch):
    key = key_for(WITH_PASSWORD)
    token = encrypt_compact(CONTENT, key.public(), enc="A128GCM")
    monkeypatch.setattr(pbes2, "PBKDF2HMAC", None)
    with pytest.raises(DecryptionError):
        decrypt_compact(with_header(token, lambda header: header.update(p2s=salt)), [key], enc=ENCS)


def test_a_sender_hashes_the_password_as_often_as_owasp_asks(monkeypatch):
    monkeypatch.undo()
    assert pbes2.MOST_ITERATIONS >= 2 * 600_000
    key = key_for(WITH_PASSWORD)
    header = decrypt_compact(encrypt_compact(CONTENT, key.public(), enc="A128GCM"), [key], enc=ENCS).header
    assert header["p2c"] == 600_000
    assert len(unb64(header["p2s"])) == 16


@pytest.mark.parametrize(("iterations", "salt"), [(1_000, 8), (1_200_000, 16)])
def test_the_bounds_of_a_password_hash_are_themselves_accepted(iterations, salt, monkeypatch):
    monkeypatch.setattr(pbes2, "ITERATIONS", iterations)
    monkeypatch.setattr(pbes2, "_SALT_LENGTH", salt)
    key = key_for(WITH_PASSWORD)
    token = encrypt_compact(CONTENT, key.public(), enc="A128GCM")
    assert decrypt_compact(token, [key], enc=ENCS).plaintext == CONTENT


# AES-GCM key wrap, dir


@pytest.mark.parametrize("name", ["iv", "tag"])
@pytest.mark.parametrize("value", [None, 1, "A", "AAAA"])
def test_the_parameters_of_a_wrapped_key_fail_like_everything_else(name, value):
    key = key_for("A128GCMKW")
    token = encrypt_compact(CONTENT, key.public(), enc="A128GCM")
    with pytest.raises(DecryptionError):
        decrypt_compact(with_header(token, lambda header: header.update({name: value})), [key], enc=ENCS)


def test_a_secret_for_dir_may_be_bound_to_one_enc():
    key = DecryptionKey.generate("dir", enc="A256GCM")
    assert (key.enc, key.public().enc, key.to_jwk()["alg"]) == ("A256GCM", "A256GCM", "A256GCM")
    assert DecryptionKey.from_jwk(key.to_jwk(), alg="dir").enc == "A256GCM"
    with pytest.raises(KeyUseError):
        encrypt_compact(CONTENT, key.public(), enc="A128CBC-HS256")
    unbound = DecryptionKey(key.algorithm, key.material, kid=None)
    token = encrypt_compact(CONTENT, unbound.public(), enc="A128CBC-HS256")
    with pytest.raises(AlgorithmNotAllowedError, match="the key is for A256GCM"):
        decrypt_compact(token, [key], enc=ENCS)


def test_a_secret_for_dir_has_the_length_of_the_enc():
    key = EncryptionKey.from_secret(bytes(16), alg="dir")
    with pytest.raises(InvalidKeyError, match="A256GCM needs a secret of 32 octets; this one has 16"):
        encrypt_compact(CONTENT, key, enc="A256GCM")
    token = encrypt_compact(CONTENT, EncryptionKey.from_secret(bytes(32), alg="dir"), enc="A256GCM")
    with pytest.raises(DecryptionError):
        decrypt_compact(token, [DecryptionKey.from_secret(bytes(16), alg="dir")], enc=ENCS)


# Keys


@pytest.mark.parametrize("alg", [name for name in NAMES if "PBES2" not in name])
def test_a_key_survives_its_jwk(alg):
    key = key_for(alg)
    again = DecryptionKey.from_jwk(json.loads(json.dumps(key.to_jwk())), alg=alg)
    token = encrypt_compact(CONTENT, key.public(), enc="A256GCM")
    assert decrypt_compact(token, [again], enc=ENCS).plaintext == CONTENT
    assert again.thumbprint() == key.thumbprint()
    assert key.to_jwk().items() >= ({"kid": key.kid} if key.kid else {}).items()
    assert ("kid" in key.to_jwk()) == (key.kid is not None)
    if key.to_jwk()["kty"] == "oct":
        with pytest.raises(InvalidKeyError, match="no public form"):
            key.public().to_jwk()
    else:
        public = EncryptionKey.from_jwk(key.public().to_jwk(), alg=alg)
        assert public.kid == key.kid == key.thumbprint()
        assert decrypt_compact(encrypt_compact(CONTENT, public, enc="A256GCM"), [key], enc=ENCS).plaintext == CONTENT


@pytest.mark.parametrize("alg", ["RSA-OAEP-256", "ECDH-ES"])
def test_a_key_is_read_from_pem_and_der(alg):
    from cryptography.hazmat.primitives import serialization as form

    key = key_for(alg)
    public, private = key.public().material, key.material
    plain = form.NoEncryption()
    for encoding, read in ((form.Encoding.PEM, "pem"), (form.Encoding.DER, "der")):
        spki = public.public_bytes(encoding, form.PublicFormat.SubjectPublicKeyInfo)
        pkcs8 = private.private_bytes(encoding, form.PrivateFormat.PKCS8, plain)
        locked = private.private_bytes(encoding, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"pw"))
        assert getattr(EncryptionKey, f"from_{read}")(spki, alg=alg).thumbprint() == key.thumbprint()
        assert getattr(DecryptionKey, f"from_{read}")(pkcs8, alg=alg).thumbprint() == key.thumbprint()
        assert getattr(DecryptionKey, f"from_{read}")(locked, alg=alg, password=b"pw").kid == key.kid
        with pytest.raises(InvalidKeyError):
            getattr(DecryptionKey, f"from_{read}")(locked, alg=alg)
        with pytest.raises(InvalidKeyError):
            getattr(EncryptionKey, f"from_{read}")(pkcs8, alg=alg)


@pytest.mark.parametrize("alg", NAMES)
def test_nothing_private_prints(alg):
    key = key_for(alg)
    for shown in (repr(key), repr(key.public()), str(key.material) if isinstance(key.material, Secret) else ""):
        assert "DecryptionKey(alg=" in shown or "EncryptionKey(alg=" in shown or shown in ("", "Secret(…)")
    decrypted = decrypt_compact(encrypt_compact(CONTENT, key.public(), enc="A256GCM"), [key], enc=ENCS)
    assert repr(CONTENT) not in repr(decrypted)


@pytest.mark.parametrize(
    ("jwk", "alg", "error"),
    [
        ({"kty": "oct", "k": b64(bytes(16))}, "RSA1_5", UnsupportedError),
        ({"kty": "oct", "k": b64(bytes(16))}, "none", UnsupportedError),
        ({"kty": "oct", "k": b64(bytes(16))}, None, UnsupportedError),
        ({"kty": "oct", "k": b64(bytes(15))}, "A128KW", InvalidKeyError),
        ({"kty": "oct", "k": b64(bytes(32))}, "A128KW", InvalidKeyError),
        ({"kty": "oct", "k": b64(bytes(15))}, "dir", InvalidKeyError),
        ({"kty": "oct", "k": b64(bytes(16)), "alg": "A128GCMKW"}, "A128KW", KeyUseError),
        ({"kty": "oct", "k": b64(bytes(16)), "alg": "A128KW"}, "dir", KeyUseError),
        ({"kty": "oct", "k": b64(bytes(16)), "alg": ["A128GCM"]}, "dir", KeyUseError),
        ({"kty": "oct", "k": b64(bytes(16)), "use": "sig"}, "A128KW", KeyUseError),
        ({"kty": "oct", "k": b64(bytes(16)), "key_ops": ["sign"]}, "A128KW", KeyUseError),
        ({"kty": "oct", "k": b64(bytes(16)), "key_ops": []}, "A128KW", KeyUseError),
        ({"kty": "oct", "k": b64(bytes(16))}, "RSA-OAEP", InvalidKeyError),
        ({"kty": "oct", "k": b64(bytes(16))}, "ECDH-ES", InvalidKeyError),
        (
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            "ECDH-ES",
            InvalidKeyError,
        ),
        (KEYS["RSA-OAEP"].to_jwk(), "RSA-OAEP", InvalidKeyError),
        ({**KEYS["ECDH-ES"].public().to_jwk(), "key_ops": ["verify"]}, "ECDH-ES", KeyUseError),
    ],
)
def test_a_key_for_something_else_is_refused(jwk, alg, error):
    with pytest.raises(JoseError) as caught:
        EncryptionKey.from_jwk(jwk, alg=alg)
    assert type(caught.value) is error


def test_a_private_key_on_a_curve_for_signatures_is_refused():
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, generate_private_key
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    for material in (generate_private_key(SECP256K1()), Ed25519PrivateKey.generate()):
        with pytest.raises(InvalidKeyError, match=r"a private key on P-256|this key is on secp256k1"):
            DecryptionKey(key_for("ECDH-ES").algorithm, material, kid=None)
        with pytest.raises(InvalidKeyError, match=r"a public key on P-256|this key is on secp256k1"):
            EncryptionKey(key_for("ECDH-ES").algorithm, material.public_key(), kid=None)


def test_a_generated_rsa_key_has_2048_bits_and_the_usual_exponent():
    numbers = key_for("RSA-OAEP").public().material.public_numbers()
    assert (numbers.n.bit_length(), numbers.e) == (2048, 65537)


def test_material_of_the_wrong_kind_or_strength_is_refused_by_every_algorithm():
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, generate_private_key

    for algorithm in (*KEY_MANAGEMENT, *PASSWORD_BASED):
        for wrong in (object(), generate_private_key(SECP256K1()), Secret(b"")):
            with pytest.raises(InvalidKeyError):
                algorithm.check_private(wrong)
            with pytest.raises(InvalidKeyError):
                algorithm.check_public(wrong.public_key() if hasattr(wrong, "public_key") else wrong)


def test_key_material_of_another_kind_is_refused():
    ec = key_for("ECDH-ES").material
    for alg in ("A128KW", "dir", "RSA-OAEP"):
        algorithm = key_for(alg).algorithm
        with pytest.raises(InvalidKeyError):
            DecryptionKey(algorithm, ec, kid=None)
        with pytest.raises(InvalidKeyError):
            EncryptionKey(algorithm, ec.public_key(), kid=None)


@pytest.mark.parametrize(
    ("alg", "choice"),
    [
        ("A128KW", {"curve": "P-256"}),
        ("RSA-OAEP", {"curve": "P-256"}),
        ("A128KW", {"enc": "A128GCM"}),
        ("dir", {}),
        ("dir", {"enc": "A512GCM"}),
        ("dir", {"curve": "P-256"}),
        ("ECDH-ES", {"curve": "secp256k1"}),
        ("ECDH-ES", {"enc": "A128GCM"}),
        ("ECDH-ES", {"curve": "P-256", "enc": "A128GCM"}),
    ],
)
def test_a_choice_that_an_algorithm_does_not_have_is_refused(alg, choice):
    with pytest.raises(InvalidKeyError):
        DecryptionKey.generate(alg, **choice)


def test_a_secret_is_bytes_and_bound_to_an_enc_for_dir_alone():
    with pytest.raises(InvalidKeyError, match="given as bytes"):
        EncryptionKey.from_secret("x" * 16, alg="A128KW")
    with pytest.raises(InvalidKeyError, match="wraps the keys of any enc"):
        EncryptionKey.from_secret(bytes(16), alg="A128KW", enc="A128GCM")
    assert EncryptionKey.from_secret(bytes(16), alg="dir", enc="A128GCM").enc == "A128GCM"
    assert DecryptionKey.from_secret(bytes(16), alg="dir", enc="A128GCM").enc == "A128GCM"


def test_a_public_key_of_web_cryptography_has_no_operations():
    jwk = {**KEYS["ECDH-ES"].public().to_jwk(), "key_ops": []}
    assert EncryptionKey.from_jwk(jwk, alg="ECDH-ES").kid == KEYS["ECDH-ES"].kid
    private = {**KEYS["ECDH-ES"].to_jwk(), "key_ops": ["deriveBits"]}
    assert DecryptionKey.from_jwk(private, alg="ECDH-ES").kid == KEYS["ECDH-ES"].kid


def test_a_password_of_passwords_own_algorithm_is_named_in_the_error():
    with pytest.raises(UnsupportedError, match="PBES2-HS256"):
        DecryptionKey.from_password(b"x", alg=["PBES2"])
