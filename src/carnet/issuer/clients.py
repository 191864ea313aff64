"""RFC 7591 section 2, RFC 9700 section 2: what a client may be, and its registration, change and removal."""

import re
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from carnet.issuer.client_auth import CLIENT_AUTHENTICATIONS
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.grants import GRANTS
from carnet.issuer.opaque import Opaque, fresh_name
from carnet.issuer.revoking import LONGEST_ACCESS_TOKEN, entry
from carnet.issuer.storage.ports import AlreadyExistsError
from carnet.issuer.storage.records import Client, Event
from carnet.oauth import redirect_uri, scope
from carnet.oauth.errors import InvalidScopeError

PUBLIC = "none"
"""RFC 7591 section 2: the `token_endpoint_auth_method` of a client that cannot keep a secret."""

_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_WORD = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")
_MOST = 50


class ClientError(Exception):
    """A registration that cannot be accepted; the message is a sentence that says what to do."""


class Registration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for, under the names of RFC 7591 where they exist; `Client` says what each means."""

    client_name: str
    client_id: str | None = None
    """None: a new random one."""
    token_endpoint_auth_method: str = "client_secret_basic"
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")
    scope: str | None = None
    """None: the issuer's standard scope values for a client that people sign in to, and none for one of its own."""
    audiences: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    first_party: bool = False
    access_token_lifetime: int | None = None


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
    now = desk.ambient.now()
    secret = None if asked.token_endpoint_auth_method == PUBLIC else Opaque.fresh(desk.ambient)
    people = "authorization_code" in asked.grant_types
    standard = scope.join(desk.config.scopes) if people else ""
    client = validated(
        Client(
            client_id=asked.client_id or fresh_name(desk.ambient).lstrip("-_"),
            client_name=asked.client_name,
            secret_digest=secret.digest if secret else None,
            token_endpoint_auth_method=asked.token_endpoint_auth_method,
            redirect_uris=asked.redirect_uris,
            post_logout_redirect_uris=asked.post_logout_redirect_uris,
            grant_types=asked.grant_types,
            response_types=("code",) if people else (),
            scope=standard if asked.scope is None else asked.scope,
            audiences=asked.audiences,
            roles=asked.roles,
            first_party=asked.first_party,
            access_token_lifetime=asked.access_token_lifetime,
            created_at=now,
            updated_at=now,
        ),
        desk.config,
    )
    if await desk.store.accounts.get(client.client_id) is not None:
        raise ClientError(f"{client.client_id!r} is the subject of an account (RFC 9700 section 4.15): choose another.")
    try:
        await desk.store.clients.add(client)
    except AlreadyExistsError:
        raise ClientError(f"There is a client {client.client_id!r} already: choose another client_id.") from None
    await _note(desk, "client.registered", client, actor, {"client_name": client.client_name})
    return Registered(client, secret)


async def change(desk: Desk, before: Client, after: Client, *, actor: str) -> Client:
    """Put `after` in the place of `before`; its client_id, secret and dates stay.

    Raises:
        ClientError: it cannot be accepted.
        StaleError: it was changed meanwhile.
    """
    changed = validated(
        replace(
            after,
            client_id=before.client_id,
            secret_digest=before.secret_digest,
            response_types=("code",) if "authorization_code" in after.grant_types else (),
            created_at=before.created_at,
            updated_at=desk.ambient.now(),
        ),
        desk.config,
    )
    await desk.store.clients.replace(before, changed)
    fields = [name for name in Client.__struct_fields__ if getattr(before, name) != getattr(changed, name)]
    await _note(desk, "client.changed", changed, actor, {"changed": fields})
    return changed


async def rotate_secret(desk: Desk, client: Client, *, actor: str) -> Registered:
    """Give it a new secret; the old one is worth nothing from now on.

    Raises:
        ClientError: it is a public client.
        StaleError: it was changed meanwhile.
    """
    if client.token_endpoint_auth_method == PUBLIC:
        raise ClientError(f"{client.client_id!r} is a public client: it has no secret.")
    secret = Opaque.fresh(desk.ambient)
    changed = replace(client, secret_digest=secret.digest, updated_at=desk.ambient.now())
    await desk.store.clients.replace(client, changed)
    await _note(desk, "client.secret_rotated", changed, actor, {})
    return Registered(changed, secret)


async def remove(desk: Desk, client_id: str, *, actor: str) -> bool:
    """Delete it and take back all that it holds; False if there is none."""
    now = desk.ambient.now()
    client = await desk.store.clients.get(client_id)
    revocation = entry("client", client_id, desk.config, at=now)
    if client is None or not await desk.store.clients.remove(client_id, at=now, revocations=(revocation,)):
        return False
    await _note(desk, "client.removed", client, actor, {"client_name": client.client_name})
    return True


def validated(client: Client, config: Config) -> Client:
    """Refuse what must not be registered (rule O5).

    Raises:
        ClientError: says what to do.
    """
    if not _CLIENT_ID.fullmatch(client.client_id):
        raise ClientError(f"client_id {client.client_id!r} is not 1 to 100 letters, digits, dots, dashes, underscores.")
    if not client.client_name.strip() or len(client.client_name) > 100 or not client.client_name.isprintable():
        raise ClientError("A client needs a name of 1 to 100 printable characters.")
    _check_grants(client)
    _check_uris(client)
    try:
        values = scope.parse(client.scope)
    except InvalidScopeError:
        raise ClientError(f"scope {client.scope!r} has a value that RFC 6749 section 3.3 does not allow.") from None
    for name, words in (("scope values", values), ("audiences", client.audiences), ("roles", client.roles)):
        if len(words) > _MOST or len(set(words)) < len(words) or not all(_WORD.fullmatch(word) for word in words):
            raise ClientError(
                f"{name}: at most {_MOST} different ones of 1 to 200 printable characters without spaces."
            )
    longest = max(config.lifetimes.access_token, LONGEST_ACCESS_TOKEN)
    if client.access_token_lifetime is not None and not 10 <= client.access_token_lifetime <= longest:
        raise ClientError(f"access_token_lifetime is between 10 and {longest} seconds.")
    return client


def _check_grants(client: Client) -> None:
    methods = tuple(authentication.method for authentication in CLIENT_AUTHENTICATIONS)
    if client.token_endpoint_auth_method not in methods:
        raise ClientError(
            f"token_endpoint_auth_method {client.token_endpoint_auth_method!r} is none of {', '.join(methods)}."
        )
    known = tuple(grant.grant_type for grant in GRANTS)
    for grant_type in client.grant_types:
        if grant_type not in known:
            raise ClientError(f"grant type {grant_type!r} is none of {', '.join(known)}.")
    if not client.grant_types or len(set(client.grant_types)) < len(client.grant_types):
        raise ClientError("grant_types names at least one grant type, and each once.")
    public = client.token_endpoint_auth_method == PUBLIC
    if public and "client_credentials" in client.grant_types:
        raise ClientError("A public client has no credentials of its own (RFC 6749 section 4.4): leave out the grant.")
    if set(client.grant_types) == {"refresh_token"}:
        raise ClientError("The grant refresh_token needs another one that gives the first refresh token.")
    if public != (client.secret_digest is None):
        raise ClientError("A client keeps its kind: public, or confidential with a secret; register another one.")


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


async def _note(desk: Desk, name: str, client: Client, actor: str, detail: dict[str, Any]) -> None:
    event = Event(at=desk.ambient.now(), name=name, client_id=client.client_id, actor=actor, detail=detail)
    await desk.store.events.add(event)
