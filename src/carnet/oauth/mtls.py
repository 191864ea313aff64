"""RFC 8705, RFC 9440: how a server learns the certificate of a TLS handshake: from ASGI, or from a proxy that ended TLS.

A proxy passes it in a header, and a header says only what whoever sent it likes to say. So these are read from a proxy that is
trusted, and from nobody else; and the proxy must set its header in every request or take it out.
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote_to_bytes

from carnet.jose import base64url

LARGEST: Final = 16 * 1024
"""Characters of a header with a certificate: one of a large RSA key takes some 4,000, escaped."""

HeaderName: TypeAlias = Literal["nginx", "rfc9440", "envoy"]

_PEM = re.compile(rb"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")
_BYTE_SEQUENCE = re.compile(r" *:([A-Za-z0-9+/]*={0,2}): *")
_XFCC_PAIR = re.compile(r'([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^;,"]*)(;|,|\Z)')


class CertificateHeaderError(Exception):
    """What a trusted proxy passed is not one certificate; the message is for the log."""


@dataclass(frozen=True, slots=True)
class CertificateHeader:
    """One way in which proxies pass the certificate."""

    name: HeaderName
    header: str
    """In lower case."""
    read: Callable[[str], bytes]
    """The certificate in DER. Raises CertificateHeaderError, ValueError, Error."""


def _decoded(pem: bytes) -> bytes:
    found = _PEM.fullmatch(pem)
    if found is None:
        raise CertificateHeaderError("It is not one certificate in PEM.")
    return b64decode(b"".join(found[1].split()), validate=True)


def _escaped_pem(value: str) -> bytes:
    return _decoded(unquote_to_bytes(value))


def _byte_sequence(value: str) -> bytes:
    """RFC 9440 section 2.2, RFC 8941 section 3.3.5; an empty one, which some proxies send for none, is none."""
    found = _BYTE_SEQUENCE.fullmatch(value)
    if found is None:
        raise CertificateHeaderError("It is not a byte sequence of RFC 8941.")
    return b64decode(found[1], validate=True)


def _forwarded(value: str) -> bytes:
    """Envoy's x-forwarded-client-cert: one element with one `Cert`: where there are more, a proxy has appended to what it got."""
    pairs: list[tuple[str, str]] = []
    at = 0
    while at < len(value):
        pair = _XFCC_PAIR.match(value, at)
        if pair is None or pair[3] == ",":
            raise CertificateHeaderError(
                "It does not have exactly one element: have the proxy replace it (SANITIZE_SET)."
            )
        pairs.append((pair[1].lower(), pair[2].strip('"')))
        at = pair.end()
    certificates = [text for name, text in pairs if name == "cert"]
    if len(certificates) != 1:
        raise CertificateHeaderError("It has no Cert, or more than one.")
    return _escaped_pem(certificates[0])


CERTIFICATE_HEADERS: Final = (
    CertificateHeader("nginx", "ssl-client-cert", _escaped_pem),
    CertificateHeader("rfc9440", "client-cert", _byte_sequence),
    CertificateHeader("envoy", "x-forwarded-client-cert", _forwarded),
)
"""nginx has no header of its own: it is the name that ingress-nginx gives to `$ssl_client_escaped_cert`."""


def certificate_header(name: HeaderName) -> CertificateHeader:
    """The one of a setting."""
    return next(header for header in CERTIFICATE_HEADERS if header.name == name)


def passed_certificate(way: CertificateHeader, headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The certificate, in DER, that a trusted proxy has passed; None if its client showed none.

    Rule A3 (header aliases): the name counts in every spelling that some reader takes for it, so that nobody slips a second
    one past the proxy.

    Raises:
        CertificateHeaderError: there are several, or it is not one certificate.
    """
    values = [value for name, value in headers if name.decode("latin-1").lower().replace("_", "-") == way.header]
    if len(values) > 1:
        raise CertificateHeaderError(f"There are {len(values)} headers {way.header}.")
    if not values or not values[0].strip(b" \t"):
        return None
    if len(values[0]) > LARGEST:
        raise CertificateHeaderError(f"The header {way.header} has more than {LARGEST} characters.")
    try:
        return way.read(values[0].decode("ascii")) or None
    except (CertificateHeaderError, Error, ValueError) as error:
        raise CertificateHeaderError(f"The header {way.header} cannot be read: {error}") from None


def handshake_certificates(scope: Mapping[str, Any]) -> tuple[bytes, ...]:
    """ASGI's TLS extension: what the client showed to the very server that calls the application, in PEM, its own first."""
    extension = (scope.get("extensions") or {}).get("tls")
    chain = extension.get("client_cert_chain") if isinstance(extension, Mapping) else None
    return tuple(text.encode("ascii", "replace") for text in chain or () if isinstance(text, str))


def thumbprint(certificate: bytes) -> str:
    """RFC 8705 section 3.1, of a certificate in PEM or DER.

    Raises:
        CertificateHeaderError: it is no PEM, though it looks like it.
    """
    try:
        der = _decoded(certificate) if certificate.startswith(b"-----") else certificate
    except Error as error:
        raise CertificateHeaderError(f"It is not one certificate in PEM: {error}") from None
    return base64url.text(sha256(der).digest())
