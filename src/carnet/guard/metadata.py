"""RFC 8414, OpenID Connect Discovery 1.0: what a guard reads of an issuer's metadata, and which URLs it trusts."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from carnet.jose import JoseError
from carnet.jose.strict_json import parse_object
from carnet.oauth.metadata import MetadataError as ForeignMetadataError
from carnet.oauth.metadata import check, well_known_paths


class MetadataError(Exception):
    """An issuer's metadata, or a URL, that cannot be used; the message says what was found and what was wanted."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the guard and its browser back end need of an issuer's metadata."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    userinfo_endpoint: str | None = None
    revocation_endpoint: str | None = None
    end_session_endpoint: str | None = None
    introspection_endpoint: str | None = None
    revocations_endpoint: str | None = None
    """Carnet's own: the revocation feed."""
    revocations_snapshot_endpoint: str | None = None
    roles_endpoint: str | None = None
    """Carnet's own: the roles of a token that only names them."""
    authorization_response_iss_parameter_supported: bool = False
    """RFC 9207 section 3: then an authorization response without `iss` is refused."""


_OPTIONAL_ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "revocation_endpoint",
    "end_session_endpoint",
    "introspection_endpoint",
    "revocations_endpoint",
    "revocations_snapshot_endpoint",
    "roles_endpoint",
)


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where an issuer's metadata is: OpenID Connect Discovery section 4, then RFC 8414 section 3.1.

    Raises:
        MetadataError: this is not an issuer's URL.
    """
    url = trusted_url(issuer)
    if url.query or url.fragment:
        raise MetadataError(f"The issuer {issuer!r} has a query or a fragment (RFC 8414 section 2).")
    return tuple(f"{url.scheme}://{url.netloc}{path}" for path in well_known_paths(issuer))


def read_metadata(document: bytes, *, issuer: str) -> Metadata:
    """Parse a metadata document; RFC 8414 section 3.3: its issuer must be exactly the one that was asked.

    Raises:
        MetadataError: it cannot be used.
    """
    try:
        members = parse_object(document)
    except JoseError as error:
        raise MetadataError(f"The metadata cannot be read: {error}") from None
    try:
        check(members, issuer=issuer)
    except ForeignMetadataError as error:
        raise MetadataError(str(error)) from None
    endpoints = {name: _endpoint(members[name], name) for name in _OPTIONAL_ENDPOINTS if name in members}
    return Metadata(
        issuer=issuer,
        jwks_uri=_endpoint(members.get("jwks_uri"), "jwks_uri"),
        authorization_response_iss_parameter_supported=members.get("authorization_response_iss_parameter_supported")
        is True,
        **endpoints,
    )


def trusted_url(text: str) -> SplitResult:
    """OAuth 2.1 section 1.5: https, or plain http on this very machine.

    Raises:
        MetadataError: another scheme (`file:`, `data:`…), no host, credentials in it, or plain http to elsewhere.
    """
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        raise MetadataError(f"{_short(text)} is not a URL.") from None
    if url.scheme not in {"https", "http"} or not host or url.username is not None or url.password is not None:
        raise MetadataError(f"{_short(text)} is not an https URL with a host and without credentials.")
    if url.scheme == "http" and not is_loopback(host):
        raise MetadataError(f"{_short(text)} is plain http to another machine: https is needed.")
    return url


def is_loopback(host: str) -> bool:
    """Whether a URL's host can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _endpoint(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise MetadataError(f"The metadata has no URL as {name}.")
    trusted_url(value)
    return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
