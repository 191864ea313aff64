"""RFC 5280, RFC 8705 sections 2 and 3: the X.509 certificate that a client has shown in its TLS handshake.

The handshake has proved that the client holds its key, and nothing else: who vouches for it is judged here.
"""

from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from carnet.ambient import Instant
from carnet.jose import base64url
from carnet.jose.certificates import MAX_CHAIN, certificate_key, certificate_members, load_certificate, public_key
from carnet.jose.distinguished_names import DistinguishedName, same_form
from carnet.jose.errors import InvalidKeyError, JoseError
from carnet.jose.keys import VerifyingKey

NameKind: TypeAlias = Literal["dns", "uri", "ip", "email"]
"""RFC 8705 section 2.1.2: the kinds of subject alternative names by which clients are known."""


_UNREADABLE = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
"""What the library says of extensions that it cannot read."""


class CertificateRefusedError(Exception):
    """A certificate that does not prove what it is to prove; the message, which is for the log, says why."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate, and those of its authorities that came with it; nobody has vouched for any of them."""

    _own: x509.Certificate = field(repr=False)
    _others: tuple[x509.Certificate, ...] = field(default=(), repr=False)
    thumbprint: str = field(init=False)
    """RFC 8705 section 3.1, `x5t#S256`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "thumbprint", base64url.text(self._own.fingerprint(SHA256())))

    @classmethod
    def read(cls, chain: Sequence[bytes]) -> "ClientCertificate":
        """Out of PEM or DER; the client's own comes first.

        Raises:
            InvalidKeyError: there is none, there are too many, or one of them is no certificate.
        """
        if not 0 < len(chain) <= MAX_CHAIN:
            raise InvalidKeyError(f"A client shows 1 to {MAX_CHAIN} certificates, not {len(chain)}.")
        own, *others = map(load_certificate, chain)
        return cls(own, tuple(others))

    @property
    def subject(self) -> DistinguishedName:
        """For comparison with `parse_name`.

        Raises:
            CertificateRefusedError: it cannot be read.
        """
        try:
            rdns = self._own.subject.rdns
        except ValueError as error:
            raise CertificateRefusedError(f"The subject cannot be read: {error}") from None
        return same_form([(item.oid.dotted_string, _text(item.value)) for item in rdn] for rdn in rdns)

    @property
    def subject_text(self) -> str:
        """For the log."""
        try:
            return self._own.subject.rfc4514_string()[:200]
        except ValueError:
            return "unreadable"

    def names(self, kind: NameKind) -> frozenset[str | IPv4Address | IPv6Address]:
        """The subject alternative names of one kind; a name is what it is, and a wildcard no pattern.

        Raises:
            CertificateRefusedError: they cannot be read.
        """
        try:
            extension = self._own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return frozenset()
        except _UNREADABLE as error:
            raise CertificateRefusedError(f"The extensions cannot be read: {error}") from None
        if kind == "ip":
            addresses = extension.get_values_for_type(x509.IPAddress)
            return frozenset(address for address in addresses if isinstance(address, IPv4Address | IPv6Address))
        if kind == "dns":
            return frozenset(extension.get_values_for_type(x509.DNSName))
        if kind == "uri":
            return frozenset(extension.get_values_for_type(x509.UniformResourceIdentifier))
        return frozenset(extension.get_values_for_type(x509.RFC822Name))

    def check_dates(self, *, at: Instant) -> None:
        """RFC 5280 section 4.1.2.5.

        Raises:
            CertificateRefusedError: it is not yet valid, or not any more.
        """
        now = datetime.fromtimestamp(at, UTC)
        if not self._own.not_valid_before_utc <= now <= self._own.not_valid_after_utc:
            raise CertificateRefusedError("The certificate is not valid at this time.")

    def check_path(self, authorities: "Authorities", *, at: Instant) -> None:
        """RFC 5280 section 6, RFC 8705 section 2.1: whether one of the authorities has issued it, for a client, and it is valid.

        Raises:
            CertificateRefusedError: there is no such path.
        """
        policy = (
            PolicyBuilder()
            .store(authorities.store)
            .time(datetime.fromtimestamp(at, UTC))
            .extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=_CLIENT)
        )
        try:
            policy.build_client_verifier().verify(self._own, list(self._others))
        except VerificationError as error:
            raise CertificateRefusedError(f"No authority vouches for the certificate: {error}") from None

    def is_one_of(self, jwks: Mapping[str, Any]) -> bool:
        """RFC 8705 section 2.2: whether it is registered: as the first one of a key's `x5c`, or its key as one without `x5c`."""
        keys = jwks.get("keys")
        if not isinstance(keys, list | tuple):
            return False
        return any(isinstance(jwk, Mapping) and self._is_of(jwk) for jwk in keys)

    def _is_of(self, jwk: Mapping[str, Any]) -> bool:
        chain = jwk.get("x5c")
        try:
            if chain is None:
                own: bytes = public_key(self._own).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
                return (
                    own == _for_any_algorithm(lambda alg: VerifyingKey.from_jwk({**jwk, "alg": alg}, alg=alg)).to_der()
                )
            if not isinstance(chain, list | tuple) or not chain:
                return False
            return load_certificate(b64decode(chain[0], validate=True)) == self._own
        except (JoseError, Error, TypeError, ValueError):
            return False


def registered_key(certificate: bytes) -> dict[str, Any]:
    """RFC 8705 section 2.2.2: the public JWK by which a client registers its certificate, which is in PEM or DER.

    Raises:
        InvalidKeyError: it is no certificate, or its key is of a kind that is not supported.
    """
    load_certificate(certificate)
    key = _for_any_algorithm(lambda alg: certificate_key(certificate, alg=alg))
    return key.to_jwk() | certificate_members([certificate])


class Authorities:
    """Whoever is believed about clients' certificates: each is taken at its word, whether or not another one vouches for it."""

    def __init__(self, pem: bytes) -> None:
        """Raises InvalidKeyError: there is none in it, or one of them is no authority's certificate."""
        try:
            certificates = x509.load_pem_x509_certificates(pem)
        except ValueError:
            raise InvalidKeyError("It holds no X.509 certificates in PEM.") from None
        for certificate in certificates:
            if not _is_authority(certificate):
                raise InvalidKeyError(
                    f"{certificate.subject.rfc4514_string()!r} is no certificate of an authority (RFC 5280 section 4.2.1.9)."
                )
        self.store = Store(certificates)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, *_UNREADABLE):
        return False


def _refuse_authority(_: Policy, __: x509.Certificate, extension: x509.BasicConstraints | None) -> None:
    if extension is not None and extension.ca:
        raise ValueError("It is the certificate of an authority.")


def _refuse_other_usage(_: Policy, __: x509.Certificate, extension: x509.ExtendedKeyUsage | None) -> None:
    """RFC 5280 section 4.2.1.12: one that says what it is for is for clients."""
    if extension is not None and _FOR_CLIENTS.isdisjoint(extension):
        raise ValueError("It is not for clients.")


_FOR_CLIENTS = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})

_CLIENT = (
    ExtensionPolicy.permit_all()  # of those that are understood; a private authority often gives no alternative name
    .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, _refuse_authority)
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _refuse_other_usage)
)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.hex()


def _for_any_algorithm(make: Callable[[str], VerifyingKey]) -> VerifyingKey:
    """The key alone matters here, whatever it may sign with."""
    for alg in ("ES256", "ES384", "ES512", "Ed25519", "PS256"):
        try:
            return make(alg)
        except JoseError:
            continue
    raise InvalidKeyError("The key is of a kind that is not supported.")
