"""RFC 8705, RFC 9440: the certificate in the headers of proxies, and in what an ASGI server says of its handshake."""

from urllib.parse import quote

import pytest
from tests.certificates import certificate

from carnet.oauth.mtls import (
    CERTIFICATE_HEADERS,
    LARGEST,
    CertificateHeaderError,
    certificate_header,
    handshake_certificates,
    passed_certificate,
    thumbprint,
)

SHOWN = certificate("CN=billing,O=Acme")
XFCC = f'By=spiffe://a/b;Hash={"0" * 64};Cert="{SHOWN.escaped}";Subject="CN=a,O=\\"b\\"";URI='


def passed(name, *values, header=None):
    way = certificate_header(name)
    return passed_certificate(way, [((header or way.header).encode(), value.encode("latin-1")) for value in values])


@pytest.mark.spec("RFC 9440", "2.2", "MUST")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nginx", SHOWN.escaped),
        ("nginx", quote(SHOWN.pem.decode().strip(), safe="/+=")),
        ("rfc9440", SHOWN.byte_sequence),
        ("rfc9440", f" {SHOWN.byte_sequence} "),
        ("envoy", XFCC),
        ("envoy", f"Cert={SHOWN.escaped}"),
    ],
)
def test_what_a_proxy_passes_is_the_certificate(name, value):
    assert passed(name, value) == SHOWN.der
    assert thumbprint(passed(name, value)) == thumbprint(SHOWN.pem) == SHOWN.thumbprint


@pytest.mark.parametrize("way", CERTIFICATE_HEADERS)
def test_without_a_header_or_with_an_empty_one_there_is_none(way):
    assert passed(way.name) is None
    assert passed(way.name, "") is None
    assert passed("rfc9440", "::") is None
    assert passed_certificate(way, [(b"x-other", b"x")]) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nginx", "(null)"),
        ("nginx", SHOWN.escaped + SHOWN.escaped),
        ("nginx", f"{SHOWN.escaped},{SHOWN.escaped}"),
        ("nginx", SHOWN.byte_sequence),
        ("nginx", SHOWN.escaped[:-40]),
        ("nginx", quote(SHOWN.pem.decode().replace("\n", "\n!", 2))),
        ("rfc9440", SHOWN.byte_sequence.strip(":")),
        ("rfc9440", f"{SHOWN.byte_sequence}, {SHOWN.byte_sequence}"),
        ("rfc9440", ":=:"),
        ("rfc9440", ":AAA:"),
        ("rfc9440", "\u00e9"),
        ("envoy", f"{XFCC},{XFCC}"),
        ("envoy", f"{XFCC};Cert={SHOWN.escaped}"),
        ("envoy", f"Hash={'0' * 64}"),
        ("envoy", 'Cert="'),
        ("envoy", "Cert"),
    ],
)
def test_what_is_not_one_certificate_is_refused(name, value):
    with pytest.raises(CertificateHeaderError):
        passed(name, value)


@pytest.mark.parametrize("way", CERTIFICATE_HEADERS)
def test_two_headers_are_refused_whatever_the_spelling_of_their_names(way):
    value = {"nginx": SHOWN.escaped, "rfc9440": SHOWN.byte_sequence, "envoy": XFCC}[way.name]
    with pytest.raises(CertificateHeaderError):
        passed(way.name, value, value)
    for alias in (way.header.replace("-", "_"), way.header.upper()):
        with pytest.raises(CertificateHeaderError):
            passed_certificate(way, [(way.header.encode(), value.encode()), (alias.encode(), value.encode())])


def test_an_oversized_header_is_not_read():
    with pytest.raises(CertificateHeaderError, match=str(LARGEST)):
        passed("nginx", SHOWN.escaped + "%20" * LARGEST)


def test_an_asgi_server_says_what_the_handshake_showed():
    assert handshake_certificates({"extensions": {"tls": {"client_cert_chain": [SHOWN.pem.decode()]}}}) == (SHOWN.pem,)
    for extensions in (
        None,
        {},
        {"tls": None},
        {"tls": {}},
        {"tls": {"client_cert_chain": None}},
        {"tls": {"client_cert_chain": []}},
    ):
        assert handshake_certificates({"extensions": extensions}) == ()
    assert handshake_certificates({}) == ()


@pytest.mark.parametrize("pem", [b"-----BEGIN", SHOWN.pem[:-30], SHOWN.pem.replace(b"A", b"=", 3)])
def test_what_only_looks_like_a_certificate_has_no_thumbprint(pem):
    with pytest.raises(CertificateHeaderError):
        thumbprint(pem)
