"""RFC 5280, RFC 8705 section 2: who vouches for a client's certificate, and whether it is the registered one."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.certificates import Authority, certificate

from carnet.jose import SigningKey
from carnet.jose.client_certificates import Authorities, CertificateRefusedError, ClientCertificate, registered_key
from carnet.jose.distinguished_names import parse_name
from carnet.jose.errors import InvalidKeyError
from carnet.testing import Clock

NOW = Clock().now()
INSTANT = datetime.fromtimestamp(NOW, UTC)
AUTHORITY = Authority()
BELIEVED = Authorities(AUTHORITY.pem)


def vouched(*chain: bytes, by: Authorities = BELIEVED) -> bool:
    try:
        ClientCertificate.read(chain).check_path(by, at=NOW)
    except CertificateRefusedError:
        return False
    return True


@pytest.mark.spec("RFC 8705", "2.1", "MUST")
def test_a_certificate_of_a_believed_authority_is_vouched_for():
    assert vouched(AUTHORITY.issue().pem)
    assert vouched(AUTHORITY.issue(usage=None).pem)
    assert vouched(AUTHORITY.issue(usage=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)).pem)
    assert vouched(AUTHORITY.issue(names={"dns": "billing.example"}).pem)


def test_one_of_another_authority_of_the_same_name_is_not():
    assert not vouched(Authority().issue().pem)
    assert not vouched(Authority().issue().pem, AUTHORITY.pem)


def test_an_authority_below_a_believed_one_vouches_if_its_certificate_came_along():
    below = Authority("CN=Below,O=Acme", by=AUTHORITY)
    assert vouched(below.issue().pem, below.pem)
    assert not vouched(below.issue().pem)
    assert vouched(below.issue().pem, by=Authorities(AUTHORITY.pem + below.pem)), (
        "each in the file is taken at its word"
    )


@pytest.mark.parametrize(
    "given",
    [
        {"ends": INSTANT - timedelta(seconds=1)},
        {"begins": INSTANT + timedelta(seconds=1)},
        {"usage": (ExtendedKeyUsageOID.SERVER_AUTH,)},
        {"authority": True},
    ],
)
def test_one_that_is_not_valid_or_not_for_clients_is_refused(given):
    assert not vouched(AUTHORITY.issue(**given).pem)


def test_nobody_vouches_for_a_certificate_that_signs_itself():
    assert not vouched(certificate("CN=billing,OU=Back office,O=Acme").pem)


def test_a_client_does_not_vouch_for_another_one():
    leaf = AUTHORITY.issue()
    pretender = Authority("CN=billing,OU=Back office,O=Acme")
    assert not vouched(pretender.issue("CN=admin,O=Acme").pem, leaf.pem)


def test_the_file_of_authorities_holds_authorities():
    for pem in (b"", b"garbage", AUTHORITY.issue().pem, AUTHORITY.pem + certificate("CN=x").pem):
        with pytest.raises(InvalidKeyError):
            Authorities(pem)


def test_the_dates_of_a_certificate_are_those_of_rfc_5280():
    shown = certificate("CN=x", begins=INSTANT, ends=INSTANT + timedelta(seconds=10))
    read = ClientCertificate.read([shown.pem])
    for at in (NOW, NOW + 10):
        read.check_dates(at=at)
    for at in (NOW - 1, NOW + 11):
        with pytest.raises(CertificateRefusedError):
            read.check_dates(at=at)


def test_alternative_names_are_told_by_their_kind():
    names = {"dns": "*.example", "uri": "spiffe://example/billing", "ip": "2001:db8::1", "email": "a@example.com"}
    read = ClientCertificate.read([certificate("CN=x", names=names).pem])
    assert read.names("dns") == {"*.example"}
    assert read.names("uri") == {"spiffe://example/billing"}
    assert read.names("ip") == {ip_address("2001:db8::1")}
    assert read.names("email") == {"a@example.com"}
    assert ClientCertificate.read([certificate("CN=x").pem]).names("dns") == frozenset()


@pytest.mark.spec("RFC 8705", "2.2.2", "MUST")
def test_a_registered_certificate_is_the_first_of_a_keys_chain_or_has_a_registered_key():
    shown, other = certificate("CN=one"), certificate("CN=one")
    again = certificate("CN=one", key=shown.key)
    read = ClientCertificate.read([shown.pem])
    bare = shown.key.public().to_jwk()
    assert read.is_one_of({"keys": [other.jwk, shown.jwk]})
    assert read.is_one_of({"keys": [bare]})
    assert read.is_one_of({"keys": [{name: bare[name] for name in ("kty", "crv", "x", "y")}]})
    assert not ClientCertificate.read([again.pem]).is_one_of({"keys": [shown.jwk]}), (
        "the same key in another certificate"
    )
    assert not read.is_one_of({"keys": [other.jwk, other.key.public().to_jwk()]})
    assert not read.is_one_of({"keys": [other.jwk | {"x5c": [*other.jwk["x5c"], *shown.jwk["x5c"]]}]})


@pytest.mark.parametrize(
    "document", [{}, {"keys": None}, {"keys": ["x"]}, {"keys": [{"x5c": "x"}]}, {"keys": [{"x5c": [1]}]},
                 {"keys": [{"x5c": []}]}, {"keys": [{"kty": "oct", "k": "AA"}]}],
)  # fmt: skip
def test_what_is_no_key_registers_nothing(document):
    assert not ClientCertificate.read([certificate("CN=one").pem]).is_one_of(document)


def test_a_certificate_is_registered_by_its_key():
    for shown in (certificate("CN=one"), AUTHORITY.issue()):
        assert registered_key(shown.pem) == registered_key(shown.der) == shown.jwk
        assert ClientCertificate.read([shown.pem]).is_one_of({"keys": [registered_key(shown.pem)]})
    with pytest.raises(InvalidKeyError):
        registered_key(b"x")


def test_keys_of_other_kinds_are_other_keys():
    read = ClientCertificate.read([certificate("CN=one").pem])
    for alg in ("PS256", "Ed25519", "ES384"):
        assert not read.is_one_of({"keys": [SigningKey.generate(alg).public().to_jwk()]})


def test_what_is_no_certificate_is_refused():
    for chain in ((), (b"x",), (certificate("CN=x").pem,) * 11):
        with pytest.raises(InvalidKeyError):
            ClientCertificate.read(chain)


def broken(der: bytes, old: bytes, new: bytes) -> bytes:
    """The same certificate with other octets in it; its signature does not matter to who only reads it."""
    assert der.count(old) >= 1
    return der.replace(old, new)


def test_a_name_that_is_no_text_is_refused_and_named_unreadable_in_the_log():
    shown = ClientCertificate.read([broken(certificate("CN=unspoken").der, b"unspoken", b"\xff" * 8)])
    with pytest.raises(CertificateRefusedError, match="subject cannot be read"):
        _ = shown.subject
    assert shown.subject_text == "unreadable"
    spoken = ClientCertificate.read([certificate("CN=spoken").der])
    assert (spoken.subject_text, spoken.subject) == ("CN=spoken", parse_name("CN=spoken"))


EXTENDED_KEY_USAGE, ALTERNATIVE_NAME = b"\x06\x03\x55\x1d\x25", b"\x06\x03\x55\x1d\x11"


def test_extensions_that_cannot_be_read_give_no_names():
    der = certificate("CN=x", names={"dns": "billing.example"}).der
    twice = broken(der, EXTENDED_KEY_USAGE, ALTERNATIVE_NAME)
    no_text = broken(der, b"billing.example", b"\xff" * 15)
    for unreadable in (twice, no_text):
        with pytest.raises(CertificateRefusedError, match="extensions cannot be read"):
            ClientCertificate.read([unreadable]).names("dns")


def test_an_authority_whose_extensions_cannot_be_read_is_none():
    pem = pem_of(broken(certificate("CN=x", names={"dns": "a.example"}).der, EXTENDED_KEY_USAGE, ALTERNATIVE_NAME))
    with pytest.raises(InvalidKeyError, match="no certificate of an authority"):
        Authorities(pem)


def pem_of(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + b64encode(der) + b"\n-----END CERTIFICATE-----\n"
