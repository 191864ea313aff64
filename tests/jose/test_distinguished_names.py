"""RFC 4514, RFC 5280 section 7.1: which texts are the same distinguished name, and which are none."""

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.certificates import certificate

from carnet.jose.client_certificates import ClientCertificate
from carnet.jose.distinguished_names import DistinguishedNameError, parse_name, same_form


@pytest.mark.spec("RFC 4514", "3", "MUST")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=a,O=Acme", "cn=a,o=ACME"),
        ("CN=a,O=Acme", "2.5.4.3=a,2.5.4.10=Acme"),
        ("CN=a,O=Acme\\, Inc.", "CN=a,O=Acme\\2C Inc."),
        ("CN=a,O=Acme  Inc", "CN=a,O=Acme Inc"),
        ("CN=\\ a\\ ", "CN=a"),
        ("CN=caf\u00e9", "CN=caf\\C3\\A9"),
        ("CN=a+OU=b,O=c", "OU=b+CN=a,O=c"),
        ("2.5.4.97=PSDES-1", "organizationIdentifier=#0C0750534445532D31"),
        ('CN=\\#a\\+\\"\\\\\\<\\>\\;\\=b', "CN=\\23a\\2b\\22\\5c\\3c\\3e\\3b=b"),
        ("UID=x,DC=example,DC=com", "uid=X,dc=EXAMPLE,dc=COM"),
        ("emailAddress=a@b.example", "1.2.840.113549.1.9.1=#160b6140622e6578616d706c65"),
    ],
)
def test_two_spellings_of_one_name_are_the_same(one, other):
    assert parse_name(one) == parse_name(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=a,O=Acme", "O=Acme,CN=a"),
        ("CN=a,O=Acme", "CN=a\\,O\\=Acme"),
        ("CN=a,O=Acme", "CN=a+O=Acme"),
        ("CN=a,CN=b", "CN=b,CN=a"),
        ("CN=a,O=Acme", "CN=a"),
        ("CN=a,O=Acme", "CN=a,O=Acme,C=DE"),
        ("CN=a", "CN=a\\00b"),
        ("CN=a", "CN=\uff41"),
        ("CN=a", "OU=a"),
        ("CN=k", "CN=\u212a"),
        ("CN=a b", "CN=a\u00a0b"),
        ("CN=ss", "CN=\u00df"),
        ("1.2.3.4=a", "1.2.3.4=A"),
        ("CN=\\#0C0161", "CN=#0C0161"),
    ],
)
def test_names_that_an_authority_can_give_to_two_parties_are_two(one, other):
    assert parse_name(one) != parse_name(other)


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "CN", "CN=", "=a", "CN=a,", ",CN=a", "CN=a,,O=b", "CN=a+", "CN=a, O=b", "CN= a", "CN=a ", "CN=a;O=b",
        'CN="a"', "/C=DE/CN=a", "CN=a\x00", "CN=\\", "CN=\\zz", "CN=\\ff", "CN=<a>", "XYZ=a", "2.5.04.3=a", "CN=#", "CN=#0",
        "CN=#0C0261", "CN=#300161", "CN=#0C01ff", "CN=a+CN=b", "CN = a",
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(text):
    with pytest.raises(DistinguishedNameError):
        parse_name(text)


@pytest.mark.parametrize(
    "subject", ["CN=billing,OU=Back office,O=Acme\\, Inc.", "CN=a+OU=b,O=c", "CN=a\\00b", "UID=x,DC=example"]
)
def test_a_certificates_subject_is_the_name_that_its_text_says(subject):
    shown = certificate(subject)
    assert ClientCertificate.read([shown.pem]).subject == parse_name(subject)
    printed = x509.load_pem_x509_certificate(shown.pem).subject.rfc4514_string()
    assert ClientCertificate.read([shown.pem]).subject == parse_name(printed)


KINDS = st.sampled_from([x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME, x509.ObjectIdentifier("1.2.3.4")])
VALUES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(str.strip)
PARTS = st.dictionaries(KINDS, VALUES, min_size=1, max_size=3)


@settings(deadline=None, max_examples=200)
@given(st.lists(PARTS, min_size=1, max_size=4), st.lists(PARTS, min_size=1, max_size=4))
def test_whatever_a_name_holds_its_text_is_this_name_and_no_other(one, other):
    def name(parts):
        return x509.Name(
            x509.RelativeDistinguishedName([x509.NameAttribute(kind, value) for kind, value in part.items()])
            for part in parts
        )

    def form(parts):
        return same_form([[(kind.dotted_string, value) for kind, value in part.items()] for part in parts])

    assert parse_name(name(one).rfc4514_string()) == form(one)
    assert (parse_name(name(other).rfc4514_string()) == form(one)) == (form(one) == form(other))
