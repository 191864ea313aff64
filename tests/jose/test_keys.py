"""RFC 7517, RFC 7518 section 6, RFC 8037, RFC 9964: keys, their forms and what is refused of them."""

import json
import pickle
from base64 import urlsafe_b64decode, urlsafe_b64encode
from math import lcm

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from carnet.jose import JoseError, SigningKey, VerifyingKey
from carnet.jose.algorithms import SIGNATURES, ecdsa, signature_algorithm
from carnet.jose.key_types import OCT, Secret
from carnet.jose.key_types.algorithm_pair import AKP
from carnet.jose.key_types.known import KEY_TYPES
from carnet.jose.thumbprint import jwk_thumbprint, thumbprint_uri

ASYMMETRIC = [name for name in SIGNATURES if not name.startswith("HS")]


def refused(act, code="invalid_key"):
    with pytest.raises(JoseError) as caught:
        act()
    assert caught.value.code == code
    return str(caught.value)


def b64(octets):
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def octets(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_algorithms_are_those_of_the_registry():
    assert list(SIGNATURES) == [
        "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K",
        "ESP256", "ESP384", "ESP512", "Ed25519", "Ed448", "EdDSA", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87",
    ]  # fmt: skip
    assert [key_type.kty for key_type in KEY_TYPES] == ["oct", "RSA", "EC", "OKP", "AKP"]


def test_every_algorithm_s_key_type_is_in_the_tuple():
    assert {signature_algorithm(alg).key_type.kty for alg in SIGNATURES} == {key_type.kty for key_type in KEY_TYPES}


@pytest.mark.parametrize("alg", SIGNATURES)
def test_a_key_signs_and_verifies_and_a_changed_octet_does_not(alg, key_of):
    key = key_of(alg)
    signature = key.sign(b"data")
    assert key.alg == key.public().alg == alg
    assert key.public().verify(b"data", signature)
    assert not key.public().verify(b"Data", signature)
    for position in {0, len(signature) // 2, len(signature) - 1}:
        spoilt = bytearray(signature)
        spoilt[position] ^= 1
        assert not key.public().verify(b"data", bytes(spoilt))


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "ES256K", "ESP256", "Ed25519", "RS256", "HS256"])
@pytest.mark.spec("RFC 8725", "3.2", "SHOULD")
def test_a_signature_does_not_hang_on_randomness(alg, key_of):
    assert key_of(alg).sign(b"data") == key_of(alg).sign(b"data")


@pytest.mark.parametrize("alg", SIGNATURES)
def test_a_private_key_survives_its_jwk(alg, key_of):
    key = key_of(alg)
    jwk = json.loads(json.dumps(key.to_jwk()))
    assert (jwk["alg"], jwk["use"], jwk["kid"]) == (alg, "sig", key.kid)
    again = SigningKey.from_jwk(jwk, alg=alg)
    assert again.to_jwk() == jwk
    assert key.public().verify(b"data", again.sign(b"data"))


@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_a_key_survives_pem_and_der_with_and_without_a_password(alg, key_of):
    key = key_of(alg)
    forms = [
        SigningKey.from_pem(key.to_pem(), alg=alg),
        SigningKey.from_der(key.to_der(), alg=alg),
        SigningKey.from_pem(key.to_pem(password=b"pass"), alg=alg, password=b"pass"),
        SigningKey.from_der(key.to_der(password=b"pass"), alg=alg, password=b"pass"),
    ]
    for again in forms:
        assert again.to_jwk() == key.to_jwk()
    public = key.public()
    for read in (
        VerifyingKey.from_pem(public.to_pem(), alg=alg),
        VerifyingKey.from_der(public.to_der(), alg=alg),
        VerifyingKey.from_jwk(public.to_jwk(), alg=alg),
    ):
        assert read.to_jwk() == public.to_jwk()
    refused(lambda: SigningKey.from_pem(key.to_pem(password=b"pass"), alg=alg, password=b"wrong"))
    refused(lambda: SigningKey.from_der(key.to_der(password=b"pass"), alg=alg))
    refused(lambda: SigningKey.from_pem(public.to_pem(), alg=alg))
    refused(lambda: VerifyingKey.from_pem(key.to_pem(), alg=alg))
    refused(lambda: VerifyingKey.from_der(key.to_der(), alg=alg))


@pytest.mark.spec("RFC 9278", "3", "MUST")
@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_a_public_jwk_has_nothing_private_and_names_its_algorithm_and_thumbprint(alg, key_of):
    key = key_of(alg)
    jwk = key.public().to_jwk()
    assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} & jwk.keys()
    assert jwk["kid"] == key.kid == key.thumbprint() == jwk_thumbprint(jwk) == jwk_thumbprint(key.to_jwk())
    assert key.thumbprint_uri() == f"urn:ietf:params:oauth:jwk-thumbprint:sha-256:{key.kid}" == thumbprint_uri(key.kid)
    assert key.public().thumbprint_uri() == key.thumbprint_uri()


@pytest.mark.parametrize("alg", SIGNATURES)
def test_nothing_private_is_in_a_repr_or_an_error(alg, key_of):
    key = key_of(alg)
    private = [value for name, value in key.to_jwk().items() if name not in key_public_members(key)]
    for shown in (repr(key), str(key), repr(key.public()), repr([key]), f"{key!r:>5}"):
        assert not any(value in shown for value in private)
    for wrong in (
        lambda: SigningKey.from_jwk({**key.to_jwk(), "use": "enc"}, alg=alg),
        lambda: key.__setattr__("x", 1),
    ):
        with pytest.raises((JoseError, AttributeError)) as caught:
            wrong()
        assert not any(value in str(caught.value) for value in private)
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(key)


def key_public_members(key):
    return {"kty", "alg", "use", "kid", "crv"} if key.alg.startswith("HS") else key.public().to_jwk().keys()


def test_a_secret_does_not_print_and_has_no_public_form():
    assert repr(Secret(b"hush")) == "Secret(…)"
    key = SigningKey.generate("HS256")
    assert key.kid is None
    assert "kid" not in key.to_jwk()
    assert len(octets(key.to_jwk()["k"])) == 32
    assert SigningKey.generate("HS256").to_jwk() != key.to_jwk()
    for act in (key.public().to_jwk, key.public().to_pem, key.public().to_der, key.to_pem, key.to_der):
        refused(act)
    assert len(key.thumbprint()) == 43


@pytest.mark.parametrize("secret", ["text", None, 7, bytearray(64)])
def test_a_secret_is_octets(secret):
    assert "bytes" in refused(lambda: SigningKey.from_secret(secret, alg="HS256"))


def test_a_secret_is_not_a_key_of_a_signature_with_a_public_key_nor_the_other_way_round(key_of):
    refused(lambda: SigningKey.from_secret(bytes(64), alg="ES256"))
    refused(lambda: VerifyingKey.from_secret(bytes(64), alg="RS256"))
    refused(lambda: SigningKey.from_pem(key_of("ES256").to_pem(), alg="HS256"))
    refused(lambda: SigningKey.from_jwk(key_of("HS256").to_jwk() | {"alg": "ES256"}, alg="ES256"))


MISMATCHES = [
    ("RS256", "ES256"), ("ES256", "ES384"), ("ES384", "ES256"), ("ES256", "ES256K"), ("ES256K", "ES256"), ("Ed25519", "Ed448"),
    ("Ed448", "Ed25519"), ("Ed25519", "ES256"), ("ES256", "EdDSA"), ("ML-DSA-44", "ML-DSA-65"), ("ES256", "RS256"), ("ES512", "PS256"),
    ("RS256", "ML-DSA-87"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "asked"), MISMATCHES)
@pytest.mark.spec("RFC 8725", "3.1", "MUST")
def test_a_key_of_another_kind_or_curve_is_refused_in_every_form(made, asked, key_of):
    key = key_of(made)
    refused(lambda: SigningKey.from_pem(key.to_pem(), alg=asked))
    refused(lambda: VerifyingKey.from_pem(key.public().to_pem(), alg=asked))
    jwk = {name: value for name, value in key.to_jwk().items() if name != "alg" or made.startswith("ML")}
    with pytest.raises(JoseError):
        SigningKey.from_jwk(jwk, alg=asked)


def test_a_key_on_a_curve_that_jose_does_not_have_is_refused():
    key = ec.generate_private_key(ec.BrainpoolP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    refused(lambda: SigningKey.from_pem(pem, alg="ES256"))
    other = (
        x25519.X25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    refused(lambda: VerifyingKey.from_der(other, alg="Ed25519"))
    old = dsa.generate_private_key(1024).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    refused(lambda: VerifyingKey.from_pem(old, alg="ES256"))


@pytest.mark.parametrize("bits", [1024, 2047])
@pytest.mark.spec("RFC 7518", "3.3", "MUST")
def test_an_rsa_key_under_2048_bits_is_refused(bits):
    key = rsa.generate_private_key(65537, bits)
    assert "2048" in refused(lambda: SigningKey.from_der(der_of(key), alg="RS256"))
    numbers = key.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": b64(numbers.n.to_bytes((bits + 7) // 8, "big")), "e": "AQAB"}
    refused(lambda: VerifyingKey.from_jwk(jwk, alg="PS256"))


def der_of(key):
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def test_an_rsa_modulus_that_would_make_verifying_slow_is_refused(key_of):
    jwk = key_of("RS256").public().to_jwk()
    refused(lambda: VerifyingKey.from_jwk({**jwk, "n": b64(b"\xff" * 2048)}, alg="RS256"))


@pytest.mark.parametrize(("bits", "accepted"), [(2047, False), (2048, True), (8192, True), (8193, False)])
def test_an_rsa_modulus_has_2048_to_8192_bits(bits, accepted, key_of):
    modulus = (1 << bits) - 1
    jwk = key_of("RS256").public().to_jwk() | {"n": b64(modulus.to_bytes((bits + 7) // 8, "big"))}
    act = lambda: VerifyingKey.from_jwk(jwk, alg="RS256")  # noqa: E731
    if accepted:
        assert act().alg == "RS256"
    else:
        assert f"has {bits} bits" in refused(act)
        private = key_of("RS256").to_jwk() | {"n": jwk["n"]}
        assert f"has {bits} bits" in refused(lambda: SigningKey.from_jwk(private, alg="RS256"))


@pytest.mark.parametrize(
    "exponent", [b"\x01", b"\x03", b"\x02", b"\x01\x00\x00", b"\x01\x00\x00\x00\x01", b"\xff" * 64, b"\x01\x00\x02"]
)
def test_an_rsa_exponent_that_is_small_even_or_huge_is_refused(exponent, key_of):
    refused(lambda: VerifyingKey.from_jwk({**key_of("RS256").public().to_jwk(), "e": b64(exponent)}, alg="RS256"))


def test_an_rsa_key_of_an_exponent_of_three_is_refused_in_pem():
    key = rsa.generate_private_key(3, 2048)
    assert "exponent" in refused(lambda: SigningKey.from_der(der_of(key), alg="RS256"))


ROCA_PRIMES = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157]


def rsa_of_residues(odd_one_out=None):
    """A modulus that is 1, and so a power of 65537, modulo every number to 200; but for one prime, modulo which it is no power."""
    step = lcm(*(number for number in range(2, 200) if odd_one_out is None or number % odd_one_out))
    modulus = 1 + step * (2**2047 // step + 1)
    if odd_one_out is not None:
        powers = {pow(65537, exponent, odd_one_out) for exponent in range(odd_one_out)}
        while modulus % odd_one_out in powers | {0}:
            modulus += step
    return {"kty": "RSA", "n": b64(modulus.to_bytes(256, "big")), "e": "AQAB"}


def test_an_rsa_key_of_a_generator_whose_keys_can_be_factored_is_refused():
    """CVE-2017-15361, as Nemec and others: The Return of Coppersmith's Attack, section 2.3."""
    assert "CVE-2017-15361" in refused(lambda: VerifyingKey.from_jwk(rsa_of_residues(), alg="RS256"))


@pytest.mark.parametrize("prime", ROCA_PRIMES)
def test_an_rsa_key_that_lacks_the_mark_of_that_generator_at_one_prime_is_accepted(prime):
    assert VerifyingKey.from_jwk(rsa_of_residues(prime), alg="RS256").alg == "RS256"


def test_an_rsa_key_needs_only_d_of_its_private_members(key_of):
    jwk = key_of("RS256").to_jwk()
    bare = {name: value for name, value in jwk.items() if name not in {"p", "q", "dp", "dq", "qi"}}
    again = SigningKey.from_jwk(bare, alg="RS256")
    assert key_of("RS256").public().verify(b"data", again.sign(b"data"))


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi"])
@pytest.mark.spec("RFC 7518", "6.3.2", "MUST")
def test_an_rsa_key_s_private_members_belong_together(member, key_of):
    jwk = key_of("RS256").to_jwk()
    other = SigningKey.from_jwk(key_of("RS384").to_jwk(), alg="RS384").to_jwk()
    refused(lambda: SigningKey.from_jwk({**jwk, member: other[member]}, alg="RS256"))
    refused(lambda: SigningKey.from_jwk({name: value for name, value in jwk.items() if name != member}, alg="RS256"))
    refused(lambda: SigningKey.from_jwk({**jwk, "oth": []}, alg="RS256"))


def test_an_rsa_d_that_does_not_belong_to_n_is_refused(key_of):
    jwk = key_of("RS256").to_jwk()
    bare = {name: value for name, value in jwk.items() if name not in {"p", "q", "dp", "dq", "qi"}}
    refused(lambda: SigningKey.from_jwk({**bare, "d": b64(b"\x03")}, alg="RS256"))


PUBLIC_MEMBERS = [
    ("RS256", "n"),
    ("RS256", "e"),
    ("ES256", "x"),
    ("ES256", "y"),
    ("Ed25519", "x"),
    ("Ed448", "x"),
    ("ML-DSA-44", "pub"),
]


@pytest.mark.parametrize(("alg", "member"), PUBLIC_MEMBERS)
@pytest.mark.parametrize("value", [None, "", 7, "not base64url!", "AA==", "AB", ["AAAA"], "é", "AAAA"])
def test_a_member_that_is_absent_malformed_or_of_another_length_is_refused(alg, member, value, key_of):
    jwk = key_of(alg).public().to_jwk() | {member: value}
    refused(lambda: VerifyingKey.from_jwk(jwk, alg=alg))
    refused(lambda: SigningKey.from_jwk(key_of(alg).to_jwk() | {member: value}, alg=alg))
    jwk.pop(member)
    refused(lambda: VerifyingKey.from_jwk(jwk, alg=alg))


@pytest.mark.parametrize(
    ("alg", "member"), [("ES256", "d"), ("Ed25519", "d"), ("Ed448", "d"), ("ML-DSA-44", "priv"), ("HS256", "k")]
)
@pytest.mark.parametrize("value", ["", 7, "!", "AAAA"])
def test_a_private_member_that_is_malformed_or_of_another_length_is_refused(alg, member, value, key_of):
    refused(lambda: SigningKey.from_jwk(key_of(alg).to_jwk() | {member: value}, alg=alg))


@pytest.mark.parametrize(
    ("alg", "member"), [("ES256", "d"), ("ES512", "d"), ("Ed25519", "d"), ("Ed448", "d"), ("ML-DSA-65", "priv")]
)
def test_a_private_member_that_is_another_key_s_is_refused(alg, member, key_of):
    other = key_of(alg, 1).to_jwk()[member]
    assert "does not belong" in refused(lambda: SigningKey.from_jwk(key_of(alg).to_jwk() | {member: other}, alg=alg))


def test_an_rsa_number_with_leading_zero_octets_is_refused(key_of):
    jwk = key_of("RS256").public().to_jwk()
    refused(lambda: VerifyingKey.from_jwk({**jwk, "e": b64(b"\0" + octets(jwk["e"]))}, alg="RS256"))


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "ES256K"])
@pytest.mark.spec("RFC 8725", "3.4", "MUST")
def test_a_point_that_is_not_on_the_curve_is_refused(alg, key_of):
    jwk = key_of(alg).public().to_jwk()
    length = len(octets(jwk["x"]))
    spoilt = bytearray(octets(jwk["y"]))
    spoilt[-1] ^= 1
    refused(lambda: VerifyingKey.from_jwk({**jwk, "y": b64(bytes(spoilt))}, alg=alg))
    refused(lambda: VerifyingKey.from_jwk({**jwk, "x": b64(bytes(length)), "y": b64(bytes(length))}, alg=alg))
    refused(lambda: VerifyingKey.from_jwk({**jwk, "x": b64(octets(jwk["x"])[1:])}, alg=alg))
    refused(lambda: VerifyingKey.from_jwk({**jwk, "x": b64(b"\0" + octets(jwk["x"]))}, alg=alg))
    refused(lambda: VerifyingKey.from_jwk({**jwk, "x": b64(b"\xff" * length)}, alg=alg))
    for d in (bytes(length), b"\xff" * length):
        refused(lambda d=d: SigningKey.from_jwk({**key_of(alg).to_jwk(), "d": b64(d)}, alg=alg))


@pytest.mark.parametrize(
    ("alg", "crv"), [("ES256", "P-384"), ("ES256", "P-999"), ("ES256", None), ("ES256", 7), ("Ed25519", "Ed448")]
)
def test_a_curve_that_is_unknown_or_another_is_refused(alg, crv, key_of):
    refused(lambda: VerifyingKey.from_jwk(key_of(alg).public().to_jwk() | {"crv": crv}, alg=alg))


def test_a_key_for_agreement_is_not_one_for_signatures(key_of):
    jwk = {"kty": "OKP", "crv": "X25519", "x": b64(bytes(31) + b"\x01")}
    for alg in ("Ed25519", "EdDSA"):
        refused(lambda alg=alg: VerifyingKey.from_jwk(jwk, alg=alg))


@pytest.mark.parametrize("kty", [None, "", "rsa", "oct", "EC2", 7, ["EC"]])
def test_another_type_of_key_is_refused(kty, key_of):
    refused(lambda: VerifyingKey.from_jwk(key_of("ES256").public().to_jwk() | {"kty": kty}, alg="ES256"))
    if kty != "oct":
        refused(lambda: jwk_thumbprint(key_of("ES256").public().to_jwk() | {"kty": kty}))


@pytest.mark.parametrize("alg", ["ES256", "RS256", "Ed25519", "ML-DSA-44"])
def test_a_private_key_is_not_taken_as_a_public_one(alg, key_of):
    assert "private" in refused(lambda: VerifyingKey.from_jwk(key_of(alg).to_jwk(), alg=alg))


@pytest.mark.spec("RFC 7517", "4.4", "SHOULD")
def test_a_key_is_for_the_algorithm_that_it_names(key_of):
    jwk = key_of("RS256").public().to_jwk()
    for named in ("RS384", "none", None, 7):
        refused(lambda named=named: VerifyingKey.from_jwk({**jwk, "alg": named}, alg="RS256"), "key_use")
    jwk.pop("alg")
    assert VerifyingKey.from_jwk(jwk, alg="PS512").alg == "PS512"


@pytest.mark.parametrize("use", ["enc", "", "SIG", None, 7])
@pytest.mark.spec("RFC 7517", "4.2", "MUST")
def test_a_key_for_another_use_is_refused(use, key_of):
    refused(lambda: VerifyingKey.from_jwk(key_of("ES256").public().to_jwk() | {"use": use}, alg="ES256"), "key_use")


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        (["sign"], "key_use"),
        ([], "key_use"),
        (["encrypt", "wrapKey"], "key_use"),
        (["verify", "verify"], "invalid_key"),
        ("verify", "invalid_key"),
        ([7], "invalid_key"),
        (None, "invalid_key"),
        ({"verify": 1}, "invalid_key"),
    ],
)
@pytest.mark.spec("RFC 7517", "4.3", "MUST")
def test_a_key_s_operations_are_enforced(operations, code, key_of):
    jwk = key_of("ES256").public().to_jwk()
    refused(lambda: VerifyingKey.from_jwk({**jwk, "key_ops": operations}, alg="ES256"), code)
    assert VerifyingKey.from_jwk({**jwk, "key_ops": ["verify"]}, alg="ES256")
    private = key_of("ES256").to_jwk()
    assert SigningKey.from_jwk({**private, "key_ops": ["sign", "verify"]}, alg="ES256")
    refused(lambda: SigningKey.from_jwk({**private, "key_ops": ["verify"]}, alg="ES256"), "key_use")


def test_the_algorithm_of_an_akp_key_is_required(key_of):
    jwk = key_of("ML-DSA-44").public().to_jwk()
    jwk.pop("alg")
    refused(lambda: VerifyingKey.from_jwk(jwk, alg="ML-DSA-44"))


@pytest.mark.parametrize("alg", ["Ed25519", "Ed448"])
def test_a_key_for_eddsa_is_on_either_of_its_curves(alg, key_of):
    jwk = key_of(alg).to_jwk() | {"alg": "EdDSA"}
    key = SigningKey.from_jwk(jwk, alg="EdDSA")
    assert key.public().verify(b"data", key.sign(b"data"))


def test_a_kid_may_be_given_and_is_kept(key_of):
    pem = key_of("ES256").to_pem()
    assert SigningKey.from_pem(pem, alg="ES256", kid="mine").kid == "mine"
    assert SigningKey.generate("ES256", kid="mine").public().to_jwk()["kid"] == "mine"
    assert SigningKey.from_secret(bytes(32), alg="HS256", kid="mine").to_jwk()["kid"] == "mine"


@pytest.mark.spec("RFC 7638", "3.2", "MUST")
def test_the_same_key_material_has_the_same_thumbprint_under_every_algorithm(key_of):
    jwk = key_of("RS256").public().to_jwk()
    jwk.pop("alg")
    assert VerifyingKey.from_jwk(jwk, alg="PS256").thumbprint() == key_of("RS256").thumbprint()


@pytest.mark.spec("RFC 9964", "3", "MUST")
@pytest.mark.parametrize("alg", [None, 7, "ES256", "ML-DSA-99", ["ML-DSA-44"]])
def test_a_key_of_an_algorithm_pair_names_its_algorithm(alg, key_of):
    """RFC 9964 section 3: without it the octets mean nothing."""
    jwk = key_of("ML-DSA-44").public().to_jwk()
    assert "is none of ML-DSA-44, ML-DSA-65, ML-DSA-87" in refused(lambda: AKP.load_public(jwk | {"alg": alg}))


@pytest.mark.spec("RFC 7638", "3.2", "MUST")
def test_a_thumbprint_needs_all_its_members_as_strings(key_of):
    jwk = key_of("ES256").public().to_jwk()
    for name in ("crv", "x", "y"):
        refused(lambda name=name: jwk_thumbprint({**jwk, name: 7}))
        refused(lambda name=name: jwk_thumbprint({member: value for member, value in jwk.items() if member != name}))


def test_material_of_the_wrong_kind_is_refused_by_every_algorithm():
    for algorithm in map(signature_algorithm, SIGNATURES):
        wrong = object() if algorithm.key_type is OCT else Secret(bytes(64))
        for check in (algorithm.check_private, algorithm.check_public):
            refused(lambda check=check, wrong=wrong: check(wrong))


@pytest.mark.parametrize("octets", [1, 31, 32, 47, 48, 61, 62, 63, 64, 65, 66])
@pytest.mark.parametrize("first", [0x01, 0x7F, 0x80, 0xFF])
def test_the_library_s_form_of_an_ecdsa_signature_is_written_and_read_exactly(octets, first):
    for r, s in ((bytes([first]) + bytes(octets - 1), b"\1"), (bytes([first]) * octets, bytes([first]) * octets)):
        numbers = int.from_bytes(r, "big"), int.from_bytes(s, "big")
        assert ecdsa._der(r.rjust(66, b"\0"), s.rjust(66, b"\0")) == encode_dss_signature(*numbers)
        assert ecdsa._fixed(encode_dss_signature(*numbers), 66) == r.rjust(66, b"\0") + s.rjust(66, b"\0")


def test_a_generated_rsa_key_has_2048_bits_and_the_usual_exponent(key_of):
    jwk = key_of("RS256").public().to_jwk()
    assert len(urlsafe_b64decode(jwk["n"] + "==")) == 256
    assert jwk["e"] == "AQAB"


def test_a_secret_s_jwk_verifies_and_a_kid_may_have_one_character():
    jwk = {"kty": "oct", "k": "A" * 43, "kid": "1"}
    key = VerifyingKey.from_jwk(jwk, alg="HS256")
    assert key.kid == "1"
    assert key.verify(b"data", SigningKey.from_jwk(jwk, alg="HS256").sign(b"data"))
