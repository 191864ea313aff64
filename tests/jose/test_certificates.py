"""RFC 5280, RFC 7517 sections 4.7 to 4.9: keys out of certificates that the caller trusts."""

from base64 import b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x448
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from carnet.jose import JoseError, SigningKey
from carnet.jose.certificates import certificate_key, certificate_members, certificate_thumbprint, check_certificates


def certificate_of(key: SigningKey, public=None) -> x509.Certificate:
    private = load_pem_private_key(key.to_pem(), None)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer.example")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(
        datetime(2026, 1, 1, tzinfo=UTC) + timedelta(9)
    )
    return builder.public_key(public or private.public_key()).sign(private, None if key.alg == "Ed25519" else SHA256())


def refused(act):
    with pytest.raises(JoseError) as caught:
        act()
    assert caught.value.code == "invalid_key"


@pytest.mark.parametrize("alg", ["ES256", "RS256", "PS384", "Ed25519"])
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_the_key_of_a_trusted_certificate_verifies(alg, encoding, key_of):
    key = key_of(alg)
    found = certificate_key(certificate_of(key).public_bytes(encoding), alg=alg)
    assert found.to_jwk() == key.public().to_jwk()
    assert found.verify(b"data", key.sign(b"data"))
    assert certificate_key(certificate_of(key).public_bytes(encoding), alg=alg, kid="mine").kid == "mine"


def test_a_certificate_of_another_kind_of_key_is_refused(key_of):
    pem = certificate_of(key_of("ES256")).public_bytes(Encoding.PEM)
    refused(lambda: certificate_key(pem, alg="RS256"))
    refused(lambda: certificate_key(pem, alg="ES384"))
    refused(lambda: certificate_key(pem, alg="HS256"))
    agreement = certificate_of(key_of("ES256"), x448.X448PrivateKey.generate().public_key())
    refused(lambda: certificate_key(agreement.public_bytes(Encoding.DER), alg="Ed448"))


@pytest.mark.parametrize(
    "octets", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\x30\x03\x02\x01\x01"]
)
def test_what_is_not_a_certificate_is_refused(octets):
    refused(lambda: certificate_key(octets, alg="ES256"))
    refused(lambda: certificate_thumbprint(octets))


def test_a_certificate_of_a_key_on_an_unknown_curve_is_refused(key):
    der = certificate_of(key).public_bytes(Encoding.DER)
    p256 = bytes.fromhex("06082a8648ce3d030107")
    assert p256 in der
    refused(lambda: certificate_key(der.replace(p256, p256[:-1] + b"\x7f"), alg="ES256"))


def test_the_thumbprint_is_the_sha256_of_the_der(key):
    der = certificate_of(key).public_bytes(Encoding.DER)
    assert certificate_thumbprint(der) == urlsafe_b64encode(sha256(der).digest()).rstrip(b"=").decode()


def test_a_jwk_is_given_its_chain_and_thumbprint(key, key_of):
    chain = [certificate_of(key).public_bytes(Encoding.PEM), certificate_of(key_of("RS256")).public_bytes(Encoding.DER)]
    members = certificate_members(chain)
    assert b64decode(members["x5c"][1]) == chain[1]
    assert members["x5t#S256"] == certificate_thumbprint(chain[0])
    check_certificates(key.public().to_jwk() | members, key.public())
    check_certificates(key.public().to_jwk(), key.public())
    refused(lambda: certificate_members([]))


@pytest.mark.spec("RFC 7517", "4.7", "MUST")
def test_the_first_certificate_of_a_jwk_is_of_its_own_key(key, key_of):
    other = certificate_members([certificate_of(key_of("ES256", 1)).public_bytes(Encoding.DER)])
    own = certificate_members([certificate_of(key).public_bytes(Encoding.DER)])
    rsa = certificate_members([certificate_of(key_of("RS256")).public_bytes(Encoding.DER)])
    for jwk in (
        other, rsa, {**own, "x5t#S256": other["x5t#S256"]}, {"x5c": []}, {"x5c": "x"}, {"x5c": [7]}, {"x5c": ["!"]}, {"x5c": ["AAAA"]},
        {"x5c": own["x5c"] * 11}, {"x5c": ["é"]}, {"x5c": dict.fromkeys(own["x5c"])}, {"x5c": [own["x5c"][0][:64] + "\n" + own["x5c"][0][64:]]},
    ):  # fmt: skip
        refused(lambda jwk=jwk: check_certificates(jwk, key.public()))
    for length in (1, 10):
        check_certificates({"x5c": own["x5c"] * length}, key.public())
