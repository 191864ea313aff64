"""Authorities and certificates for tests, valid for a year around the instant that `Clock` begins at, and now."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from carnet.jose import SigningKey
from carnet.jose.certificates import certificate_members, certificate_thumbprint
from carnet.testing import Clock

BEGINNING = datetime.fromtimestamp(Clock().now(), UTC) - timedelta(days=365)
END = datetime.now(UTC) + timedelta(days=365)
KINDS = {
    "dns": x509.DNSName,
    "uri": x509.UniformResourceIdentifier,
    "email": x509.RFC822Name,
    "ip": lambda value: x509.IPAddress(ip_address(value)),
}


@dataclass(frozen=True)
class Shown:
    """A certificate with its key, in the forms in which it is shown, passed and registered."""

    pem: bytes
    key: SigningKey

    @property
    def der(self) -> bytes:
        return x509.load_pem_x509_certificate(self.pem).public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return self.key.to_pem()

    @property
    def thumbprint(self) -> str:
        return certificate_thumbprint(self.pem)

    @property
    def escaped(self) -> str:
        """nginx: `$ssl_client_escaped_cert`."""
        return quote(self.pem.decode(), safe="")

    @property
    def byte_sequence(self) -> str:
        """RFC 9440 section 2.2."""
        return f":{b64encode(self.der).decode()}:"

    @property
    def jwk(self) -> dict:
        return self.key.public().to_jwk() | certificate_members([self.pem])


def certificate(
    subject: str,
    *,
    by: "Authority | None" = None,
    names: dict[str, str] | None = None,
    authority: bool = False,
    usage: tuple[x509.ObjectIdentifier, ...] | None = (ExtendedKeyUsageOID.CLIENT_AUTH,),
    begins: datetime = BEGINNING,
    ends: datetime = END,
    key: SigningKey | None = None,
) -> Shown:
    """One of an authority's, or one that signs itself; `names` are its alternative names by their kind."""
    key = key or SigningKey.generate("ES256")
    private = serialization.load_pem_private_key(key.to_pem(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    name = x509.Name.from_rfc4514_string(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if by is None else by.name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
    )
    if authority:
        signs = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(signs, critical=True)
    elif usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    if by is not None:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.private.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if names:
        alternatives = x509.SubjectAlternativeName([KINDS[kind](value) for kind, value in names.items()])
        builder = builder.add_extension(alternatives, critical=False)
    made = builder.sign(private if by is None else by.private, hashes.SHA256())
    return Shown(made.public_bytes(serialization.Encoding.PEM), key)


class Authority:
    """Whoever issues certificates to clients."""

    def __init__(self, subject: str = "CN=Clients,O=Acme", *, by: "Authority | None" = None) -> None:
        self.shown = certificate(subject, by=by, authority=True)
        self.name = x509.Name.from_rfc4514_string(subject)
        self.private = serialization.load_pem_private_key(self.shown.key_pem, None)

    @property
    def pem(self) -> bytes:
        return self.shown.pem

    def issue(self, subject: str = "CN=billing,OU=Back office,O=Acme", **given) -> Shown:
        return certificate(subject, by=self, **given)
