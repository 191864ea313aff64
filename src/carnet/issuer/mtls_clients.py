"""RFC 8705 sections 2.1.2, 2.2.2 and 3.4: what clients with certificates are registered with, and whether it can work."""

import re
from ipaddress import ip_address

from carnet.issuer.config import Config
from carnet.issuer.storage.records import Client
from carnet.jose.distinguished_names import DistinguishedNameError, parse_name

AUTHORITY = "tls_client_auth"
SELF_SIGNED = "self_signed_tls_client_auth"

NAMES = (
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
)
"""Of which a client of the kind `tls_client_auth` has one."""
BOUND = "tls_client_certificate_bound_access_tokens"
MTLS_MEMBERS = (BOUND, *NAMES)

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+")
_MAILBOX = re.compile(r"[\x21-\x3f\x41-\x7e]+@[A-Za-z0-9.-]+")


class MtlsClientError(Exception):
    """A registration that cannot work; the message is a sentence that says what to do."""


def check_mtls(client: Client, config: Config) -> None:
    """Refuse names that no certificate has, that go with another method, or that are several.

    Raises:
        MtlsClientError
    """
    if client.tls_client_certificate_bound_access_tokens and not config.learns_certificates:
        raise MtlsClientError(
            f"{BOUND}: no certificate of a client reaches this issuer: set mtls_port or client_certificate_header first."
        )
    given = [name for name in NAMES if getattr(client, name) is not None]
    if client.token_endpoint_auth_method != AUTHORITY:
        if given:
            raise MtlsClientError(f"{given[0]} goes with the method {AUTHORITY} alone.")
    elif len(given) != 1:
        raise MtlsClientError(f"A client that authenticates by {AUTHORITY} has exactly one of {', '.join(NAMES)}.")
    else:
        _check_name(given[0], getattr(client, given[0]))
    if client.token_endpoint_auth_method == SELF_SIGNED and client.jwks is None and client.jwks_uri is None:
        raise MtlsClientError(
            f"A client that authenticates by {SELF_SIGNED} needs its certificates, as x5c of its keys: give jwks or jwks_uri."
        )


def _check_name(member: str, value: str) -> None:
    if len(value) > 500:
        raise MtlsClientError(f"{member} has more than 500 characters.")
    match member.removeprefix("tls_client_auth_"):
        case "subject_dn":
            try:
                parse_name(value)
            except DistinguishedNameError as error:
                raise MtlsClientError(f"{member}: {error}") from None
        case "san_dns" if _HOST.fullmatch(value) is None:
            raise MtlsClientError(f"{member} {value!r} is no host name; a wildcard is no name of a client.")
        case "san_uri" if _URI.fullmatch(value) is None:
            raise MtlsClientError(f"{member} {value!r} is no URI.")
        case "san_ip":
            try:
                ip_address(value)
            except ValueError:
                raise MtlsClientError(f"{member} {value!r} is no IP address.") from None
        case "san_email" if _MAILBOX.fullmatch(value) is None:
            raise MtlsClientError(f"{member} {value!r} is no e-mail address.")
