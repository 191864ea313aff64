"""RFC 7591, draft-ietf-oauth-client-id-metadata-document: the settings for clients that no administrator registers one by one."""

import re
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from msgspec import Struct

from carnet.jose import JoseError, KeySet
from carnet.oauth import scope
from carnet.oauth.errors import InvalidScopeError

ANY_HOST = "*"

STATEMENT_ALGORITHMS = ("ES256", "PS256", "RS256", "Ed25519", "ES384", "ES512", "PS384", "PS512", "RS384", "RS512")
"""With which software statements may be signed: by public keys alone, since many issuers are to verify one statement."""

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?::[0-9]{1,5})?")


class AdmissionError(ValueError):
    """A setting of these that cannot be used; the message is one line that says what to do."""


class ClientDocuments(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose client ID metadata documents are taken, and what such clients may be given."""

    hosts: tuple[str, ...]
    """The hosts of their client_ids, in small letters and with a port where there is one; `*`: any."""
    scopes: tuple[str, ...] | None = None
    """Scope values; None: those of the setting `scopes`."""
    audiences: tuple[str, ...] = ()
    """The resource servers that their access tokens may be for. They have to say which (RFC 8707)."""

    def admits(self, host: str) -> bool:
        return ANY_HOST in self.hosts or host in self.hosts


Demand: TypeAlias = Literal[
    "dpop_bound_access_tokens",
    "tls_client_certificate_bound_access_tokens",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
]
"""Members of a registration that make it safer: a client may demand them of itself, and takes none back."""

DEMANDS: tuple[Demand, ...] = get_args(Demand)


class RegistrationPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What clients may become that register themselves under it, and keep to when they change their registration."""

    scopes: tuple[str, ...] | None = None
    """Scope values; None: those of the setting `scopes`."""
    grant_types: tuple[str, ...] | None = None
    """None: those with which people let a client in."""
    audiences: tuple[str, ...] = ()
    """The resource servers that their access tokens may be for."""
    receives: tuple[str, ...] = ()
    """The audiences as which they are resource servers themselves."""
    hosts: tuple[str, ...] = ()
    """The hosts of their https redirect URIs; empty: any."""
    pkce: Literal["required", "or_nonce"] = "required"
    demands: tuple[Demand, ...] = ()
    """What is true of each of them, whatever they say of themselves."""
    profile: Literal["fapi2", "fapi2-message-signing"] | None = None
    """A security profile that each of them has."""
    uses: int | None = 1
    """How many clients may register with one initial access token; None: any number until it expires."""
    lifetime: int = 86_400
    """Seconds of an initial access token."""


class StatementIssuer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """RFC 7591 section 2.3: somebody whose software statements are believed, and what they may grant."""

    issuer: str
    """The `iss` of its statements."""
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None
    """Its public keys: one of the two."""
    policy: str | None = None
    """The registration policy, by its name, of clients that bring its statement; None: that of their initial access token."""
    admits: bool = False
    """Whether a statement stands for an initial access token."""


def check(
    documents: ClientDocuments | None, policies: dict[str, RegistrationPolicy], issuers: tuple[StatementIssuer, ...]
) -> None:
    """Refuse what cannot be used.

    Raises:
        AdmissionError
    """
    if documents is not None:
        if not documents.hosts:
            raise AdmissionError("client_documents.hosts names no host; '*' stands for any.")
        _check_hosts("client_documents.hosts", (host for host in documents.hosts if host != ANY_HOST))
        _check_scopes("client_documents.scopes", documents.scopes)
    for name, policy in policies.items():
        check_policy(f"registration_policies.{name}", policy)
    names = [trusted.issuer for trusted in issuers]
    if len(set(names)) < len(names) or "" in names:
        raise AdmissionError("software_statement_issuers names each issuer once, as its statements have it in iss.")
    for trusted in issuers:
        _check_issuer(trusted, policies)


def check_policy(where: str, policy: RegistrationPolicy) -> None:
    """Refuse a policy that means nothing.

    Raises:
        AdmissionError
    """
    _check_hosts(f"{where}: hosts", policy.hosts)
    _check_scopes(f"{where}: scopes", policy.scopes)
    if policy.grant_types == ():
        raise AdmissionError(
            f"{where}: grant_types names no grant; leave it out for those that people let a client in by."
        )
    if policy.uses is not None and policy.uses < 1:
        raise AdmissionError(f"{where}: uses is at least 1; leave it out for one.")
    if policy.lifetime < 1:
        raise AdmissionError(f"{where}: lifetime is at least one second.")


def _check_hosts(where: str, hosts: Iterable[str]) -> None:
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise AdmissionError(
                f"{where}: {host!r} is no host in small letters, such as app.example or app.example:8443."
            )


def _check_scopes(where: str, values: tuple[str, ...] | None) -> None:
    try:
        written = scope.parse(scope.join(values or ()))
    except InvalidScopeError:
        written = ()
    if values is not None and written != values:
        raise AdmissionError(f"{where}: each is one scope value (RFC 6749 section 3.3), and named once.")


def _check_issuer(trusted: StatementIssuer, policies: dict[str, RegistrationPolicy]) -> None:
    where = f"software_statement_issuers, {trusted.issuer!r}"
    if (trusted.jwks is None) == (trusted.jwks_uri is None):
        raise AdmissionError(f"{where}: give jwks or jwks_uri, and not both.")
    if trusted.policy is not None and trusted.policy not in policies:
        raise AdmissionError(f"{where}: there is no registration policy {trusted.policy!r}.")
    if trusted.admits and trusted.policy is None:
        raise AdmissionError(f"{where}: what stands for an initial access token needs a policy of its own.")
    if trusted.jwks_uri is not None and urlsplit(trusted.jwks_uri).scheme not in {"https", "http"}:
        raise AdmissionError(f"{where}: jwks_uri is an https URL.")
    if trusted.jwks is None:
        return
    try:
        usable = len(KeySet.from_jwks(trusted.jwks, algorithms=STATEMENT_ALGORITHMS))
    except JoseError as error:
        raise AdmissionError(f"{where}: jwks: {error}") from None
    if not usable:
        raise AdmissionError(
            f"{where}: jwks has no key that can be used with one of {', '.join(STATEMENT_ALGORITHMS)}."
        )
