"""RFC 7591 section 2, RFC 9700 section 2: what a client may be, and its registration, change and removal."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from carnet.issuer import fapi
from carnet.issuer.client_auth import CLIENT_AUTHENTICATIONS, offered
from carnet.issuer.client_keys import ALGORITHMS
from carnet.issuer.client_names import ClientNameError, check_names
from carnet.issuer.client_secrets import seal_secret
from carnet.issuer.code_challenge import PkceError, check_pkce
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.egress import Egress, EgressError
from carnet.issuer.envelope import CONTENTS, EnvelopeError, check_envelopes, recipient, wishes
from carnet.issuer.grants import GRANTS
from carnet.issuer.grants.ciba import GRANT_TYPE as CIBA
from carnet.issuer.grants.device_code import GRANT_TYPE as DEVICE_CODE
from carnet.issuer.logout_uris import LogoutUriError, check_logout_uris
from carnet.issuer.mtls_clients import AUTHORITY, SELF_SIGNED, MtlsClientError, check_mtls
from carnet.issuer.opaque import Opaque, fresh_name
from carnet.issuer.pairwise import SectorError, check_pairwise, check_sector, sector_of
from carnet.issuer.request_uris import RequestUrisError, check_request_uris
from carnet.issuer.revoking import entry
from carnet.issuer.rotation import WINDOW as RETRY_WINDOW
from carnet.issuer.storage.ports import AlreadyExistsError
from carnet.issuer.storage.records import AssertionIssuer, Client, Event, Pkce, TokenExchange
from carnet.issuer.token_policies import PolicyError, check_policies
from carnet.jose import JoseError, KeySet
from carnet.oauth import acr, redirect_uri, scope
from carnet.oauth.client_id import ClientIdError, names_document
from carnet.oauth.client_id import check as check_client_id
from carnet.oauth.errors import InvalidScopeError

PUBLIC = "none"
"""RFC 7591 section 2: the `token_endpoint_auth_method` of a client that cannot keep a secret."""

KEYS = "private_key_jwt"
SIGNING_SECRET = "client_secret_jwt"
_SECRETLESS = frozenset({PUBLIC, KEYS, AUTHORITY, SELF_SIGNED})

_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_WORD = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")
_MOST = 50
_LONGEST_AGE = 10**11
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""RFC 7518 section 6: members of keys that nobody else may see."""


DECLARED_BY = "settings"
"""The actor of what is done because it stands in the settings."""


class ClientError(Exception):
    """A registration that cannot be accepted; the message is a sentence that says what to do."""


class DeclaredError(ClientError):
    """It stands in the settings, which alone change it."""


class TakenError(ClientError):
    """Its client_id is somebody's, or was until a moment ago."""


REFUSALS = (
    ClientNameError,
    PkceError,
    fapi.ProfileError,
    PolicyError,
    LogoutUriError,
    MtlsClientError,
    EnvelopeError,
    SectorError,
    RequestUrisError,
)
"""What the rules for single members say of one that cannot be."""


class Registration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for, under the names of RFC 7591 where they exist; `Client` says what each means."""

    client_name: str
    client_id: str | None = None
    """None: a new random one."""
    token_endpoint_auth_method: str = "client_secret_basic"
    profile: str | None = None
    token_endpoint_auth_signing_alg: str | None = None
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None
    request_object_signing_alg: str | None = None
    backchannel_authentication_request_signing_alg: str | None = None
    id_token_signed_response_alg: str | None = None
    id_token_encrypted_response_alg: str | None = None
    id_token_encrypted_response_enc: str | None = None
    userinfo_signed_response_alg: str | None = None
    userinfo_encrypted_response_alg: str | None = None
    userinfo_encrypted_response_enc: str | None = None
    introspection_signed_response_alg: str | None = None
    introspection_encrypted_response_alg: str | None = None
    introspection_encrypted_response_enc: str | None = None
    authorization_signed_response_alg: str | None = None
    authorization_encrypted_response_alg: str | None = None
    authorization_encrypted_response_enc: str | None = None
    request_object_encryption_alg: str | None = None
    request_object_encryption_enc: str | None = None
    require_signed_request_object: bool = False
    request_uris: tuple[str, ...] = ()
    require_pushed_authorization_requests: bool = False
    authorization_details_types: tuple[str, ...] = ()
    dpop_bound_access_tokens: bool = False
    tls_client_certificate_bound_access_tokens: bool = False
    tls_client_auth_subject_dn: str | None = None
    tls_client_auth_san_dns: str | None = None
    tls_client_auth_san_uri: str | None = None
    tls_client_auth_san_ip: str | None = None
    tls_client_auth_san_email: str | None = None
    pkce: Pkce = "required"
    subject_type: Literal["public", "pairwise"] = "public"
    sector_identifier_uri: str | None = None
    default_max_age: int | None = None
    default_acr_values: tuple[str, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")
    scope: str | None = None
    """None: the issuer's standard scope values for a client that people sign in to, and none for one of its own."""
    audiences: tuple[str, ...] = ()
    require_resource: bool = False
    receives: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    first_party: bool = False
    access_token_lifetime: int | None = None
    access_token_status_list: bool = False
    refresh_retry_window: int | None = None
    backchannel_logout_uri: str | None = None
    backchannel_logout_session_required: bool = False
    frontchannel_logout_uri: str | None = None
    frontchannel_logout_session_required: bool = False
    token_exchange: TokenExchange | None = None
    may_act: str | None = None
    assertion_issuers: tuple[AssertionIssuer, ...] = ()
    metadata: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Registered:
    """A client, and its secret, which is shown this once."""

    client: Client
    secret: Opaque | None = field(repr=False)


async def register(desk: Desk, asked: Registration, *, actor: str) -> Registered:
    """Register a client.

    Raises:
        ClientError: it cannot be accepted, or its client_id is taken.
    """
    registered = prepared(desk, asked)
    await check_documents(desk, registered.client)
    await keep(desk, registered.client, actor=actor)
    return registered


def prepared(desk: Desk, asked: Registration) -> Registered:
    """The client that would be registered.

    Raises:
        ClientError: it cannot be accepted.
    """
    method = asked.token_endpoint_auth_method
    secret = None if method in _SECRETLESS else Opaque.fresh(desk.ambient)
    client_id = asked.client_id or fresh_name(desk.ambient).lstrip("-_")
    code_flow = "authorization_code" in asked.grant_types
    people = code_flow or DEVICE_CODE in asked.grant_types or CIBA in asked.grant_types
    standard = scope.join(desk.config.scopes) if people else ""
    now = desk.ambient.now()
    members: dict[str, Any] = {name: getattr(asked, name) for name in asked.__struct_fields__}
    members |= {
        "client_id": client_id,
        "secret_digest": secret.digest if secret and method != SIGNING_SECRET else None,
        "sealed_secret": seal_secret(client_id, secret, desk) if secret and method == SIGNING_SECRET else None,
        "response_types": ("code",) if code_flow else (),
        "scope": standard if asked.scope is None else asked.scope,
        "created_at": now,
        "updated_at": now,
    }
    return Registered(validated(Client(**members), desk.config), secret)


async def check_documents(desk: Desk, client: Client) -> None:
    """Refuse a client that says of itself what the documents that it points to do not.

    Raises:
        ClientError: says which.
    """
    try:
        await check_sector(client, desk)
    except SectorError as error:
        raise ClientError(str(error)) from None


async def keep(desk: Desk, client: Client, *, actor: str) -> None:
    """Store a client that was `prepared`.

    Raises:
        ClientError: its client_id is taken, or was until a moment ago.
    """
    if await desk.store.revocations.find("client", client.client_id, at=desk.ambient.now()) is not None:
        raise TakenError(
            f"A client {client.client_id!r} was deleted a moment ago, and its tokens are still refused under that name: "
            "choose another client_id, or wait for an hour."
        )
    if (
        await desk.store.accounts.get(client.client_id) is not None
        or await desk.store.pseudonyms.find(client.client_id) is not None
    ):
        raise TakenError(f"{client.client_id!r} is the subject of an account (RFC 9700 section 4.15): choose another.")
    try:
        await desk.store.clients.add(client)
    except AlreadyExistsError:
        raise TakenError(f"There is a client {client.client_id!r} already: choose another client_id.") from None
    await _note(desk, "client.registered", client, actor, {"client_name": client.client_name})
    for content in CONTENTS:  # so that keys are published before they sign
        await desk.keyring.signing_key(wishes(client, content).signed)


async def change(desk: Desk, before: Client, after: Client, *, actor: str) -> Client:
    """Put `after` in the place of `before`; its client_id, secret and dates stay.

    Raises:
        ClientError: it cannot be accepted.
        StaleError: it was changed meanwhile.
    """
    _refuse_declared(desk, before.client_id, actor)
    if before.from_document:
        raise ClientError("What this client is stands in the document at its client_id: it is changed there.")
    changed = validated(
        replace(
            after,
            client_id=before.client_id,
            secret_digest=before.secret_digest,
            sealed_secret=before.sealed_secret,
            response_types=("code",) if "authorization_code" in after.grant_types else (),
            created_at=before.created_at,
            updated_at=desk.ambient.now(),
        ),
        desk.config,
    )
    if sector_of(changed) != sector_of(before):
        raise ClientError(
            "A client keeps its subject_type and its sector, or all people would be strangers to it: register another one."
        )
    await check_documents(desk, changed)
    await desk.store.clients.replace(before, changed)
    fields = [
        name
        for name in Client.__struct_fields__
        if name != "updated_at" and getattr(before, name) != getattr(changed, name)
    ]
    await _note(desk, "client.changed", changed, actor, {"changed": fields})
    return changed


async def rotate_secret(desk: Desk, client: Client, *, actor: str) -> Registered:
    """Give it a new secret; the old one is worth nothing from now on.

    Raises:
        ClientError: it has no secret.
        StaleError: it was changed meanwhile.
    """
    method = client.token_endpoint_auth_method
    if method in _SECRETLESS:
        raise ClientError(f"{client.client_id!r} is a client of the kind {method}: it has no secret.")
    secret = Opaque.fresh(desk.ambient)
    changed = replace(
        client,
        secret_digest=None if method == SIGNING_SECRET else secret.digest,
        sealed_secret=seal_secret(client.client_id, secret, desk) if method == SIGNING_SECRET else None,
        updated_at=desk.ambient.now(),
    )
    await desk.store.clients.replace(client, changed)
    await _note(desk, "client.secret_rotated", changed, actor, {})
    return Registered(changed, secret)


async def remove(desk: Desk, client_id: str, *, actor: str, seen: Client | None = None) -> bool:
    """Delete it and take back all that it holds; False if there is none.

    Raises:
        DeclaredError: it stands in the settings.
        StaleError: it is not as it was `seen` any more.
    """
    _refuse_declared(desk, client_id, actor)
    now = desk.ambient.now()
    client = await desk.store.clients.get(client_id)
    revocation = entry("client", client_id, desk.config, at=now)
    if client is None or not await desk.store.clients.remove(client_id, at=now, revocations=(revocation,), seen=seen):
        return False
    await _note(desk, "client.removed", client, actor, {"client_name": client.client_name})
    return True


def validated(client: Client, config: Config) -> Client:
    """Refuse what must not be registered (rule O5); the answer has all that the client's profile implies.

    Raises:
        ClientError: says what to do.
    """
    client = fapi.applied(client)
    _check_client_id(client.client_id)
    _check_grants(client, config)
    _check_credentials(client)
    _check_keys(client, config)
    _check_uris(client)
    _check_start(client, config)
    try:
        check_names(client)
        check_pkce(client)
        fapi.check(client, config)
        check_policies(client, Egress(config))
        check_logout_uris(client, Egress(config))
        check_mtls(client, config)
        check_envelopes(client)
        check_pairwise(client, config)
        check_request_uris(client, Egress(config))
    except REFUSALS as error:
        raise ClientError(str(error)) from None
    try:
        values = scope.parse(client.scope)
    except InvalidScopeError:
        raise ClientError(f"scope {client.scope!r} has a value that RFC 6749 section 3.3 does not allow.") from None
    for name, words in (
        ("scope values", values),
        ("audiences", client.audiences),
        ("receives", client.receives),
        ("roles", client.roles),
    ):
        if len(words) > _MOST or len(set(words)) < len(words) or not all(_WORD.fullmatch(word) for word in words):
            raise ClientError(
                f"{name}: at most {_MOST} different ones of 1 to 200 printable characters without spaces."
            )
    unknown = scope.excess(client.authorization_details_types, config.authorization_details_types)
    if unknown:
        raise ClientError(
            f"authorization_details_types: {scope.join(unknown)} is not in the issuer's setting of that name."
        )
    longest = config.lifetimes.longest_access_token
    if client.access_token_lifetime is not None and not 10 <= client.access_token_lifetime <= longest:
        raise ClientError(f"access_token_lifetime is between 10 and {longest} seconds.")
    _check_retry_window(client)
    _check_defaults(client)
    return client


def _check_retry_window(client: Client) -> None:
    window = client.refresh_retry_window
    if window is not None and not 0 <= window <= RETRY_WINDOW:
        raise ClientError(f"refresh_retry_window is between 0 and {RETRY_WINDOW} seconds.")
    if window is not None and client.profile is not None:
        raise ClientError(
            f"refresh_retry_window: with the profile {client.profile} refresh tokens are not rotated: no answer can be lost."
        )


def _check_defaults(client: Client) -> None:
    """OpenID Connect Registration section 2: what its requests ask for where they do not say it; nobody is locked out by it."""
    if client.default_max_age is not None and not 0 <= client.default_max_age < _LONGEST_AGE:
        raise ClientError(f"default_max_age is a number of seconds below {_LONGEST_AGE}.")
    if unknown := set(client.default_acr_values) - set(acr.VALUES):
        raise ClientError(
            f"default_acr_values: {scope.join(sorted(unknown))} is none of {', '.join(acr.VALUES)}, which can be reached here."
        )


def _check_client_id(client_id: str) -> None:
    if names_document(client_id):
        try:
            check_client_id(client_id)
        except ClientIdError as error:
            raise ClientError(f"client_id: {error}") from None
    elif not _CLIENT_ID.fullmatch(client_id):
        raise ClientError(f"client_id {client_id!r} is not 1 to 100 letters, digits, dots, dashes, underscores.")


def _check_grants(client: Client, config: Config) -> None:
    methods = tuple(authentication.method for authentication in offered(config))
    if client.token_endpoint_auth_method not in methods:
        raise ClientError(
            f"token_endpoint_auth_method {client.token_endpoint_auth_method!r} is none of {', '.join(methods)}"
            + (": the settings tls_client_ca and mtls_port turn it on." if client.mutual_tls else ".")
        )
    known = tuple(grant.grant_type for grant in GRANTS)
    for grant_type in client.grant_types:
        if grant_type not in known:
            raise ClientError(f"grant type {grant_type!r} is none of {', '.join(known)}.")
    if not client.grant_types or len(set(client.grant_types)) < len(client.grant_types):
        raise ClientError("grant_types names at least one grant type, and each once.")
    public = client.token_endpoint_auth_method == PUBLIC
    for grant_type in ("client_credentials", CIBA):
        if public and grant_type in client.grant_types:
            raise ClientError(f"A public client has no credentials of its own: leave out the grant {grant_type}.")
    if set(client.grant_types) == {"refresh_token"}:
        raise ClientError("The grant refresh_token needs another one that gives the first refresh token.")


def _check_credentials(client: Client) -> None:
    """What each method proves itself with, and nothing else that it could."""
    method = client.token_endpoint_auth_method
    digest, sealed = client.secret_digest is not None, client.sealed_secret is not None
    if (digest, sealed) != (method not in _SECRETLESS | {SIGNING_SECRET}, method == SIGNING_SECRET):
        raise ClientError(
            "A client keeps its kind: public, with a secret, with a secret that signs, or with keys; register another one."
        )
    if method == KEYS and client.jwks is None and client.jwks_uri is None:
        raise ClientError(f"A client that authenticates by {KEYS} needs its public keys: give jwks or jwks_uri.")
    algorithms = next(each.algorithms for each in CLIENT_AUTHENTICATIONS if each.method == method)
    if client.token_endpoint_auth_signing_alg not in {None, *algorithms}:
        raise ClientError(
            f"token_endpoint_auth_signing_alg goes with {KEYS} or {SIGNING_SECRET} and is one of their algorithms: "
            f"{', '.join(algorithms) or 'this method has none'}."
        )


def _check_keys(client: Client, config: Config) -> None:
    """RFC 7591 section 2: `jwks` or `jwks_uri`; public keys alone, at least one of which can be used."""
    if client.jwks_uri is not None:
        if client.jwks is not None:
            raise ClientError("jwks and jwks_uri do not go together (RFC 7591 section 2): give one.")
        try:
            Egress(config).check_url(client.jwks_uri)
        except EgressError as error:
            raise ClientError(f"jwks_uri: {error}") from None
    for name in ("request_object_signing_alg", "backchannel_authentication_request_signing_alg"):
        if getattr(client, name) not in {None, *ALGORITHMS}:
            raise ClientError(f"{name} is one of {', '.join(ALGORITHMS)}.")
    signs = client.require_signed_request_object or client.backchannel_authentication_request_signing_alg is not None
    if signs and client.jwks is None and client.jwks_uri is None:
        raise ClientError("A client that signs its requests needs its public keys: give jwks or jwks_uri.")
    if client.jwks is None:
        return
    keys = client.jwks.get("keys")
    if not isinstance(keys, list | tuple) or not all(isinstance(key, Mapping) for key in keys):
        raise ClientError("jwks is not a JWK Set: an object with an array 'keys' (RFC 7517 section 5).")
    if any(_PRIVATE & set(key) for key in keys):
        raise ClientError("jwks holds a private or symmetric key: take it out, and do not use that key any more.")
    try:
        usable = len(KeySet.from_jwks(client.jwks, algorithms=ALGORITHMS))
    except JoseError as error:
        raise ClientError(f"jwks: {error}") from None
    encrypted = [alg for content in CONTENTS if (alg := wishes(client, content).encrypted) is not None]
    if not usable and not any(recipient(client.jwks, alg) for alg in encrypted):
        raise ClientError(f"jwks has no key that can be used with one of {', '.join(ALGORITHMS)}.")


def _check_uris(client: Client) -> None:
    people = "authorization_code" in client.grant_types
    if people != bool(client.redirect_uris):
        raise ClientError("redirect_uris go with the grant authorization_code: give both or neither.")
    native = client.token_endpoint_auth_method == PUBLIC
    for uris in (client.redirect_uris, client.post_logout_redirect_uris):
        if len(uris) > _MOST or len(set(uris)) < len(uris):
            raise ClientError(f"At most {_MOST} different redirect URIs can be registered.")
        for uri in uris:
            try:
                redirect_uri.check(uri, native=native)
            except redirect_uri.RedirectUriError as error:
                raise ClientError(str(error)) from None


def _check_start(client: Client, config: Config) -> None:
    """OpenID Connect Core section 4: where a sign-in begins that this client did not begin itself."""
    uri = client.metadata.get("initiate_login_uri")
    if uri is None:
        return
    try:
        Egress(config).check_url(uri if isinstance(uri, str) else "")
    except EgressError as error:
        raise ClientError(f"initiate_login_uri: {error}") from None


def _refuse_declared(desk: Desk, client_id: str, actor: str) -> None:
    if actor != DECLARED_BY and any(given.get("client_id") == client_id for given in desk.config.clients):
        raise DeclaredError(f"The client {client_id!r} stands in the settings: change it there.")


async def _note(desk: Desk, name: str, client: Client, actor: str, detail: dict[str, Any]) -> None:
    event = Event(at=desk.ambient.now(), name=name, client_id=client.client_id, actor=actor, detail=detail)
    await desk.store.events.add(event)
