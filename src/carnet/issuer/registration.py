"""RFC 7591, RFC 7592, OpenID Connect Registration: what a client may register of itself, and with which tokens (rule O5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from carnet.ambient import Instant
from carnet.issuer.admission import DEMANDS, RegistrationPolicy, check_policy
from carnet.issuer.client_names import tagged
from carnet.issuer.clients import PUBLIC, ClientError, Registered, Registration, prepared
from carnet.issuer.config import Config, loopback
from carnet.issuer.desk import Desk
from carnet.issuer.egress import Egress, EgressError, reachable
from carnet.issuer.envelope import ENVELOPE_MEMBERS, USUAL_ID_TOKEN_ALG
from carnet.issuer.grants.device_code import GRANT_TYPE as DEVICE_CODE
from carnet.issuer.mtls_clients import MTLS_MEMBERS
from carnet.issuer.opaque import Opaque
from carnet.issuer.request_uris import place
from carnet.issuer.software_statements import MEMBER, SoftwareStatement
from carnet.issuer.storage.ports import Fresh
from carnet.issuer.storage.records import Artifact, Client, Digest, Event
from carnet.jose import JoseError, base64url
from carnet.jose.strict_json import parse_object
from carnet.oauth import redirect_uri, scope
from carnet.oauth.errors import (
    InvalidClientMetadataError,
    InvalidRedirectUriError,
    InvalidScopeError,
)

GRANT_TYPES = ("authorization_code", "refresh_token", DEVICE_CODE)
"""With which people let a client in; what a client may do without them is an administrator's to give."""

OWN = (
    "client_name",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "jwks",
    "jwks_uri",
    "request_object_signing_alg",
    *ENVELOPE_MEMBERS,
    "require_signed_request_object",
    "request_uris",
    "require_pushed_authorization_requests",
    "dpop_bound_access_tokens",
    *MTLS_MEMBERS,
    "subject_type",
    "sector_identifier_uri",
    "default_max_age",
    "default_acr_values",
    "redirect_uris",
    "post_logout_redirect_uris",
    "grant_types",
    "scope",
    "backchannel_logout_uri",
    "backchannel_logout_session_required",
    "frontchannel_logout_uri",
    "frontchannel_logout_session_required",
)
"""Members of `Registration` that a client says of itself; all others are an administrator's to set."""

DEFAULT_POLICY = RegistrationPolicy()
ACCESS_LIFETIME = 10 * 365 * 86_400
"""Seconds of a registration access token that is never used."""
PER_HOUR = 100
"""Registrations with one initial access token that is good for more than one."""

TokenKind: TypeAlias = Literal["registration_token", "registration_access_token"]

NAMELESS = "Nameless app"

_INSIDE = (".internal", ".local", ".localhost", ".lan", ".home.arpa", ".corp")


class About(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 7591 section 2: what a client says about itself and what nothing here depends on."""

    application_type: str = "web"
    client_uri: str | None = None
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    initiate_login_uri: str | None = None
    require_auth_time: bool = False
    """OpenID Connect Registration section 2: every ID token has `auth_time`, whether it is asked for or not."""
    contacts: tuple[str, ...] = ()
    software_id: str | None = None
    software_version: str | None = None


def gathered(given: dict[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A registration as RFC 7591 writes it, with what the client says about itself brought into its member `metadata`.

    `before`: that member as it is now, where some of it changes; null takes one away.

    Raises:
        msgspec.ValidationError: one of these is of another type, or stands in both places.
    """
    about = {name: given[name] for name in About.__struct_fields__ if name in given} | tagged(given)
    if not about:
        return given
    msgspec.convert({name: value for name, value in about.items() if value is not None}, About)
    further = given.get("metadata", before or {})
    twice = sorted(about.keys() & (given.get("metadata") or {}))
    if twice or not isinstance(further, Mapping):
        raise msgspec.ValidationError(f"{twice[0]} stands in metadata as well" if twice else "metadata is no object")
    kept = {name: value for name, value in {**further, **about}.items() if value is not None}
    return {name: value for name, value in given.items() if name not in about} | {"metadata": kept}


@dataclass(frozen=True, slots=True)
class InitialToken:
    """RFC 7591 section 3: the token that lets a client register; it is shown this once."""

    secret: Opaque = field(repr=False)
    expires_at: Instant

    @property
    def name(self) -> str:
        return token_name(self.secret.digest)


def token_name(digest: Digest) -> str:
    """What an initial access token is called in lists and in the audit trail: its digest, by which nobody can register."""
    return base64url.text(digest)


async def initial_token(desk: Desk, policy: RegistrationPolicy = DEFAULT_POLICY, *, actor: str = "cli") -> InitialToken:
    """Make a token with which clients may register themselves under a policy, which says how many and for how long.

    Raises:
        AdmissionError: the policy means nothing.
    """
    check_policy("The policy", policy)
    now = desk.ambient.now()
    secret = Opaque.fresh(desk.ambient)
    await desk.store.artifacts.put(
        Artifact(
            kind="registration_token",
            digest=secret.digest,
            document=msgspec.json.encode(policy),
            created_at=now,
            expires_at=now + policy.lifetime,
        )
    )
    made = {"token": token_name(secret.digest), "uses": policy.uses, "expires_at": now + policy.lifetime}
    await desk.store.events.add(Event(at=now, name="registration_token.made", actor=actor, detail=made))
    return InitialToken(secret, now + policy.lifetime)


async def withdraw_initial_token(desk: Desk, name: str, *, actor: str) -> bool:
    """Nobody registers with it from now on; whoever has done so stays. False: there is none of that name, or it is used up."""
    try:
        digest = base64url.decode(name.encode())
    except (JoseError, UnicodeEncodeError):
        return False
    now = desk.ambient.now()
    if not isinstance(await desk.store.artifacts.spend("registration_token", digest, at=now), Fresh):
        return False
    event = Event(at=now, name="registration_token.withdrawn", actor=actor, detail={"token": name})
    await desk.store.events.add(event)
    return True


def access_token(desk: Desk, client_id: str, policy: RegistrationPolicy) -> tuple[Opaque, Artifact]:
    """RFC 7592 section 3: a token with which a client manages its registration under its policy; it ends with the client."""
    now = desk.ambient.now()
    secret = Opaque.fresh(desk.ambient)
    artifact = Artifact(
        kind="registration_access_token",
        digest=secret.digest,
        client_id=client_id,
        document=msgspec.json.encode(policy),
        created_at=now,
        expires_at=now + ACCESS_LIFETIME,
    )
    return secret, artifact


def policy_of(token: Artifact) -> RegistrationPolicy:
    """The policy that a token for registration was made with."""
    return msgspec.json.decode(token.document, type=RegistrationPolicy) if token.document else DEFAULT_POLICY


def read(body: bytes) -> dict[str, Any]:
    """The metadata of a request.

    Raises:
        InvalidClientMetadataError: it is not a JSON object.
    """
    try:
        return dict(parse_object(body))
    except JoseError as error:
        raise InvalidClientMetadataError(f"The metadata is not one JSON object: {error}") from None


def asked_client(
    given: dict[str, Any],
    desk: Desk,
    policy: RegistrationPolicy = DEFAULT_POLICY,
    *,
    statement: SoftwareStatement | None = None,
    before: Client | None = None,
) -> Registered:
    """What a client that says so of itself would be under a policy. What is not known is left out (RFC 7591 section 2).

    `statement`: what somebody else says of it, which goes before what it says itself (section 2.3). `before`: what it is now,
    where it changes: what an administrator has given it stays, and so does what makes it safer, whoever has demanded that.

    Raises:
        InvalidRedirectUriError, InvalidClientMetadataError: it cannot be registered.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if statement is not None:
        own_names = tagged(given) if "client_name" in statement.asserted else {}
        given = {name: value for name, value in given.items() if name not in own_names} | statement.asserted
    _check_fixed(given)
    profile = policy.profile if before is None else before.profile
    own = _defaults(profile) | {name: given[name] for name in OWN if name in given}
    try:
        about = msgspec.convert(given, About)
        asked = msgspec.convert({"client_name": _nameless(own)} | own, Registration)
    except msgspec.ValidationError as error:
        raise InvalidClientMetadataError(f"The metadata does not have the form of RFC 7591: {error}") from None
    _check_redirect_uris(asked, about, desk.config)
    _check_about(asked, about, desk.config)
    _check_hosts(asked, policy)
    grant_types = policy.grant_types or GRANT_TYPES
    if not set(asked.grant_types) <= set(grant_types):
        raise InvalidClientMetadataError(f"A client may register itself for {', '.join(grant_types)} alone.")
    if asked.subject_type == "pairwise" and not set(asked.grant_types) <= {"authorization_code", "refresh_token"}:
        raise InvalidClientMetadataError(
            "Only answers to its redirect URIs prove a client's sector: subject_type pairwise goes with no other grant."
        )
    described = {name: value for name, value in msgspec.to_builtins(about).items() if name in given} | tagged(given)
    if statement is not None:
        described[MEMBER] = statement.text
    granted = policy.scopes if policy.scopes is not None else desk.config.scopes
    kept = scope.parse(before.scope) if before is not None else ()
    allowed = tuple(dict.fromkeys((*granted, *kept)))
    clamped = msgspec.structs.replace(
        asked,
        scope=_clamped(asked.scope, allowed),
        metadata=described,
        **{name: True for name in DEMANDS if name in policy.demands or (before is not None and getattr(before, name))},
        profile=profile,
        pkce=policy.pkce,
        audiences=policy.audiences,
        require_resource=len(policy.audiences) > 1,
        receives=policy.receives,
    )
    try:
        return prepared(desk, clamped)
    except ClientError as error:
        raise InvalidClientMetadataError(str(error)) from None


def _defaults(profile: str | None) -> dict[str, Any]:
    """RFC 7591 and OpenID Connect Registration, section 2: what a client counts on without saying it; RS256 is no profile's."""
    signing = {"id_token_signed_response_alg": USUAL_ID_TOKEN_ALG} if profile is None else {}
    return {"grant_types": ("authorization_code",)} | signing


def _nameless(own: dict[str, Any]) -> str:
    """What people read where a client gives no name: where it sends them."""
    uris = own.get("redirect_uris")
    first = uris[0] if isinstance(uris, tuple) and uris and isinstance(uris[0], str) else ""
    try:
        return urlsplit(first).netloc[:100] or NAMELESS
    except ValueError:  # no URL: it is refused for that in a moment
        return NAMELESS


def _check_fixed(given: dict[str, Any]) -> None:
    """What is the same for all clients here."""
    grant_types = given.get("grant_types", ("authorization_code",))
    wanted = ("code",) if isinstance(grant_types, tuple) and "authorization_code" in grant_types else ()
    if given.get("response_types", wanted) != wanted:
        raise InvalidClientMetadataError(
            "response_types is ['code'] with the grant authorization_code, and else empty."
        )


def _check_redirect_uris(asked: Registration, about: About, config: Config) -> None:
    """OpenID Connect Registration section 2, `application_type`: a web app is reached by https and by no name of this machine."""
    native = about.application_type == "native"
    if about.application_type not in {"web", "native"}:
        raise InvalidClientMetadataError("application_type is web or native.")
    for uri in (*asked.redirect_uris, *asked.post_logout_redirect_uris):
        try:
            redirect_uri.check(uri, native=native and asked.token_endpoint_auth_method == PUBLIC)
        except redirect_uri.RedirectUriError as error:
            raise InvalidRedirectUriError(str(error)) from None
        if not native and urlsplit(uri).scheme != "https" and not _development(config):
            raise InvalidRedirectUriError(
                f"{uri!r} is not https, as a web app's is; or is it an app of the kind native?"
            )


def _check_hosts(asked: Registration, policy: RegistrationPolicy) -> None:
    for uri in (*asked.redirect_uris, *asked.post_logout_redirect_uris):
        parts = urlsplit(uri)
        if policy.hosts and parts.scheme == "https" and parts.netloc.lower() not in policy.hosts:
            raise InvalidRedirectUriError(f"{uri!r} is not at {' or '.join(policy.hosts)}.")


def _check_about(asked: Registration, about: About, config: Config) -> None:
    """Rule O6: nothing that a client names leads inside, neither us nor people's browsers."""
    for name in ("jwks_uri", "sector_identifier_uri", "backchannel_logout_uri", "frontchannel_logout_uri"):
        _check_outside(name, getattr(asked, name), config)
    for uri in asked.request_uris:
        _check_outside("request_uris", place(uri), config)
    for name in ("client_uri", "logo_uri", "policy_uri", "tos_uri", "initiate_login_uri"):
        _check_outside(name, getattr(about, name), config)
    if about.initiate_login_uri is not None and not about.initiate_login_uri.startswith("https://"):
        raise InvalidClientMetadataError(
            "initiate_login_uri uses https, wherever it leads (OpenID Connect Core section 4)."
        )
    texts = (*about.contacts, about.software_id or "", about.software_version or "")
    if len(about.contacts) > 10 or any(len(text) > 200 or not text.isprintable() for text in texts):
        raise InvalidClientMetadataError("contacts, software_id and software_version are short and printable.")


def _check_outside(name: str, url: str | None, config: Config) -> None:
    if url is None:
        return
    try:
        host = Egress(config).check_url(url).hostname or ""
    except EgressError as error:
        raise InvalidClientMetadataError(f"{name}: {error}") from None
    if _development(config):
        return
    try:
        inside = not reachable(ip_address(host))
    except ValueError:
        inside = "." not in host.rstrip(".") or host.rstrip(".").endswith(_INSIDE)
    if inside:
        raise InvalidClientMetadataError(f"{name}: {host!r} is not a public host.")


def _development(config: Config) -> bool:
    return loopback(urlsplit(config.issuer).hostname)


def _clamped(asked: str | None, allowed: scope.Scope) -> str:
    """RFC 7591 section 2: the server may register less than is asked for; the answer says what it has registered."""
    try:
        values = allowed if asked is None else scope.parse(asked)
    except InvalidScopeError as error:
        raise InvalidClientMetadataError(error.description) from None
    return scope.join(value for value in values if value in allowed)


def document(client: Client, config: Config) -> dict[str, Any]:
    """RFC 7591 section 3.2.1: all that is registered, under its registered names."""
    own = {name: getattr(client, name) for name in OWN}
    fixed = {
        "id_token_signed_response_alg": client.id_token_signed_response_alg or config.signing_algorithm,
        "response_types": client.response_types,
    }
    shown = {
        name: value
        for name, value in {**own, **client.metadata}.items()
        if value is not None and value is not False and value != ()
    }
    return {"client_id": client.client_id, "client_id_issued_at": client.created_at, **shown, **fixed}


def counted(digest: Digest) -> str:
    """The throttle's key for the registrations with one initial access token."""
    return f"registration/{digest.hex()}"
