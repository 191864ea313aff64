"""The issuer's settings: one frozen struct. Unknown settings are errors; whoever starts the issuer reads them (`carnet.cli`)."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from carnet.issuer import admission
from carnet.issuer.admission import ClientDocuments, RegistrationPolicy, StatementIssuer
from carnet.issuer.definition import Defined
from carnet.oauth.mtls import HeaderName

SIGNING_ALGORITHMS = ("ES256", "ES384", "ES512", "RS256", "PS256", "Ed25519")
ENCRYPTION_ALGORITHMS = ("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW", "RSA-OAEP-256", "RSA-OAEP")
"""RFC 7518 section 4.1: to public keys alone, those of clients and our own."""


LONGEST = 86_400
"""Seconds that any access token may live."""


class ConfigError(Exception):
    """A setting that cannot be used; the message is one line that says what to do."""


class Lifetimes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long things live, in seconds."""

    access_token: int = 300
    longest_access_token: int = 3_600
    """What a client's or an audience's own lifetime may be at most; entries of the revocation feed live as long, and a margin."""
    id_token: int = 300
    code: int = 60
    refresh_token_idle: int = 30 * 86_400
    """A refresh token that is not used for so long ends."""
    refresh_token: int = 180 * 86_400
    """A family ends so long after its sign-in, however often it is used."""
    session_idle: int = 12 * 3_600
    session: int = 14 * 86_400
    invitation: int = 86_400
    event: int = 400 * 86_400
    """A line of the audit trail."""
    key_publication: int = 600
    """A new signing key is published for so long before it signs: the key set's max-age and a margin."""
    key_acknowledgement: int = 3_600
    """So much longer at most it waits for guards that listen to the revocation feed and have not fetched it yet."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. The defaults run on a laptop with no file at all."""

    issuer: str = "http://127.0.0.1:8080"
    host: str = "127.0.0.1"
    port: int = 8080
    data: Path = Path("carnet-data")
    database: str | None = None
    """None: SQLite in `data`; else a URL `postgresql://…`."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    tls_client_ca: Path | None = None
    """PEM: the authorities that are believed about the certificates of clients (RFC 8705 section 2.1)."""
    mtls_port: int | None = None
    """Where clients with certificates are served directly; None: not at all."""
    client_certificate_header: HeaderName | None = None
    """How a trusted proxy passes the certificate of a client (`oauth/mtls.py`); None: it passes none that is believed."""
    mtls_origin: str | None = None
    """Where clients with certificates reach it, if not under the issuer's own name: `https://mtls.id.example`."""
    workers: int = 1
    log_format: Literal["plain", "json"] = "plain"
    """Lines for people or JSON lines for machines, on standard error."""
    language: str = "en"
    """Of the pages, for people whose browsers name none that the pages speak (`pages/messages`)."""
    signing_algorithm: str = "ES256"
    """Of access tokens, and of whatever else a client has not chosen another one for."""
    encryption_algorithms: tuple[str, ...] = ()
    """With which clients may encrypt their requests to the issuer, which publishes a key for each (RFC 9101 section 6.1)."""
    scopes: tuple[str, ...] = ("openid", "profile", "email", "offline_access", "roles")
    """Scope values that any client may be given; further ones come from the clients' registrations."""
    authorization_details_types: tuple[str, ...] = ()
    """RFC 9396 section 10: the types that clients may be registered for."""
    client_registration: bool = False
    """Whether clients that bring an initial access token may register themselves (RFC 7591)."""
    client_documents: ClientDocuments | None = None
    """Whose client ID metadata documents are taken (draft-ietf-oauth-client-id-metadata-document); None: nobody's."""
    registration_policies: dict[str, RegistrationPolicy] = {}
    """RFC 7591: what clients may become that register themselves, under names."""
    software_statement_issuers: tuple[StatementIssuer, ...] = ()
    """RFC 7591 section 2.3: whose statements about clients are believed; none: statements are refused."""
    require_resource: bool = False
    """RFC 8707: whether every client has to say which of its audiences a token is for."""
    session_management: bool = False
    """Whether pages of clients can watch, in a frame, if somebody signs out (OpenID Connect Session Management 1.0)."""
    roles_take_back: bool = False
    """Whether a change of somebody's roles takes back their access tokens, instead of being seen at the next refresh."""
    revocation_listeners: int = 10_000
    """How many guards and relays may listen to the revocation feed of one node at once."""
    revocation_listeners_per_address: int = 1_000
    """How many of them from one address (of IPv6, from one /64)."""
    access_token_budget: int = 4_096
    """Characters: a cookie takes no more. Longer access tokens only name their roles (`token_size.py`)."""
    clients: tuple[dict[str, Any], ...] = ()
    """Registrations (RFC 7591 section 2): those are registered at the start, and nothing else changes them."""
    define: Defined | None = None
    """Scope values, claims and audiences (`definition.py`); further ones are in the store."""
    lifetimes: Lifetimes = Lifetimes()

    @property
    def secure(self) -> bool:
        """Whether browsers reach the issuer over TLS: then cookies are Secure and `__Host-`, and HSTS is sent."""
        return self.issuer.startswith("https://")

    @property
    def learns_certificates(self) -> bool:
        """Whether a client's certificate reaches the issuer at all."""
        return self.mtls_port is not None or self.client_certificate_header is not None

    @property
    def mtls_base(self) -> str | None:
        """RFC 8705 section 5: what the aliases of endpoints begin with, if clients with certificates come elsewhere."""
        url = urlsplit(self.issuer)
        if self.mtls_origin is not None:
            return self.mtls_origin + url.path
        if self.mtls_port is None:
            return None
        host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        return f"https://{host}:{self.mtls_port}{url.path}"

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """`trusted_proxies`, parsed."""
        return tuple(ip_network(network) for network in self.trusted_proxies)


def loopback(host: str | None) -> bool:
    """Whether a host can only be this machine (RFC 8252 section 8.3 says why a name like `localhost` is second best)."""
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check(config: Config) -> Config:
    """Refuse what cannot be run safely.

    Raises:
        ConfigError: one line that says what to do.
    """
    url = urlsplit(config.issuer)
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment or url.username:
        raise ConfigError(
            f"issuer {config.issuer!r} is not an http(s) URL without query and fragment (RFC 8414 section 2)."
        )
    if config.issuer.endswith("/"):
        raise ConfigError(f"issuer {config.issuer!r} ends with a slash: leave it out.")
    if url.scheme == "http" and not loopback(url.hostname):
        raise ConfigError(
            f"issuer {config.issuer!r} is plain http on a host that is not this machine: give an https issuer, "
            "with --tls-cert and --tls-key or behind a proxy that ends TLS (--trusted-proxy)."
        )
    if (config.tls_cert is None) != (config.tls_key is None):
        raise ConfigError("--tls-cert and --tls-key go together: give both.")
    for file in (config.tls_cert, config.tls_key, config.tls_client_ca):
        if file is not None and not file.is_file():
            raise ConfigError(f"{file} does not exist.")
    if config.tls_cert is not None and url.scheme != "https":
        raise ConfigError(f"with --tls-cert the issuer is reached by https: give --issuer https://{url.netloc}.")
    if url.scheme == "https" and config.tls_cert is None and not config.trusted_proxies:
        raise ConfigError(
            "an https issuer needs --tls-cert and --tls-key, or --trusted-proxy NETWORK for the proxy that ends TLS."
        )
    try:
        networks = config.networks
    except ValueError as error:
        raise ConfigError(f"trusted_proxies: {error}.") from None
    if any(network.prefixlen == 0 for network in networks):
        raise ConfigError("trusted_proxies names every address there is: name the proxy's own network.")
    _check_mtls(config)
    if config.signing_algorithm not in SIGNING_ALGORITHMS:
        raise ConfigError(f"signing_algorithm {config.signing_algorithm!r} is none of {', '.join(SIGNING_ALGORITHMS)}.")
    if unknown := set(config.encryption_algorithms) - set(ENCRYPTION_ALGORITHMS):
        raise ConfigError(
            f"encryption_algorithms {', '.join(sorted(unknown))} is none of {', '.join(ENCRYPTION_ALGORITHMS)}."
        )
    if config.database is not None and not config.database.startswith(("postgresql://", "postgres://")):
        raise ConfigError("database is not a URL that starts with postgresql://; leave it out for SQLite.")
    if not 0 < config.port < 65_536:
        raise ConfigError(f"port {config.port} is not between 1 and 65535.")
    if config.workers < 1:
        raise ConfigError("workers is at least 1.")
    if min(config.revocation_listeners, config.revocation_listeners_per_address) < 1:
        raise ConfigError("revocation_listeners and revocation_listeners_per_address are at least 1.")
    _check_admission(config)
    if not 512 <= config.access_token_budget <= 8_192:
        raise ConfigError("access_token_budget is 512 to 8192 characters: guards take no longer tokens.")
    _check_lifetimes(config.lifetimes)
    return config


def _check_admission(config: Config) -> None:
    try:
        admission.check(config.client_documents, config.registration_policies, config.software_statement_issuers)
    except admission.AdmissionError as error:
        raise ConfigError(str(error)) from None


def _check_lifetimes(lifetimes: Lifetimes) -> None:
    for name in Lifetimes.__struct_fields__:
        if getattr(lifetimes, name) < 1:
            raise ConfigError(f"lifetimes.{name} is at least one second.")
    if not lifetimes.access_token <= lifetimes.longest_access_token <= LONGEST:
        raise ConfigError(
            f"lifetimes.longest_access_token is at least lifetimes.access_token, and at most {LONGEST} seconds: "
            "guards keep what was taken back for as long."
        )


def _check_mtls(config: Config) -> None:
    if config.mtls_port is not None and not 0 < config.mtls_port < 65_536:
        raise ConfigError(f"mtls_port {config.mtls_port} is not between 1 and 65535.")
    if config.mtls_port is not None and (config.mtls_port == config.port or config.tls_cert is None):
        raise ConfigError("--mtls-port is a port of its own, and needs --tls-cert and --tls-key.")
    if config.client_certificate_header is not None and not config.trusted_proxies:
        raise ConfigError(
            "client_certificate_header needs --trusted-proxy NETWORK: a header of anybody else is not believed."
        )
    if (config.tls_client_ca or config.mtls_origin) and not config.learns_certificates:
        raise ConfigError(
            "no certificate of a client reaches the issuer: give --mtls-port P, or client_certificate_header behind a proxy."
        )
    if config.mtls_origin is None:
        return
    url = urlsplit(config.mtls_origin)
    if url.scheme != "https" or not url.hostname or config.mtls_origin != f"https://{url.netloc}" or "@" in url.netloc:
        raise ConfigError(
            f"mtls_origin {config.mtls_origin!r} is not https and a host, such as https://mtls.id.example."
        )
    if url.netloc.lower() == urlsplit(config.issuer).netloc.lower():
        raise ConfigError("mtls_origin is the issuer's own: leave it out.")
