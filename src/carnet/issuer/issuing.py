"""RFC 9068, OpenID Connect Core section 2, RFC 6749 section 1.5: the only place that mints tokens."""

from dataclasses import dataclass, field

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from carnet.ambient import Instant, lapsed
from carnet.issuer.approval import Authorization, Confirmation, Derived, Person
from carnet.issuer.desk import Desk
from carnet.issuer.envelope import envelope
from carnet.issuer.opaque import Opaque, fresh_name
from carnet.issuer.pairwise import Names, names_for
from carnet.issuer.person_claims import chosen
from carnet.issuer.storage.records import Account, Artifact, Client, Session
from carnet.issuer.token_size import signed
from carnet.jose import SigningKey
from carnet.oauth import id_token
from carnet.oauth.access_token import AccessToken
from carnet.oauth.authorization_details import Details
from carnet.oauth.errors import InvalidGrantError
from carnet.oauth.id_token import IdToken
from carnet.oauth.scope import OPENID, Scope


@dataclass(frozen=True, slots=True)
class Successor:
    """A refresh token that is stored in the transaction that spends what it follows from."""

    secret: Opaque
    artifact: Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Minted:
    """Tokens that nobody has yet: they are answered after the store has committed."""

    access_token: str = field(repr=False)
    expires_in: int
    scope: Scope
    id_token: str | None = field(default=None, repr=False)
    successor: Successor | None = None


class Bounds(Struct, frozen=True, kw_only=True):
    """What the pipeline has bounded the tokens of a request to."""

    scope: Scope
    audience: tuple[str, ...]
    details: Details = ()
    """RFC 9396."""
    confirmation: Confirmation | None = None
    """The key or the certificate that the request has proved."""


async def mint(authorization: Authorization, client: Client, desk: Desk, bounds: Bounds) -> Minted:
    """Mint what an authorization gives, within what the pipeline has bounded it to.

    Raises:
        InvalidGrantError: the account is disabled or gone, or the session has ended or run out.
    """
    now = desk.ambient.now()
    lifetime = await _access_token_lifetime(client, bounds.audience, desk)
    key = await desk.keyring.signing_key()
    token = AccessToken(
        issuer=desk.config.issuer,
        subject=client.client_id,
        audience=bounds.audience,
        client_id=client.client_id,
        scope=bounds.scope,
        issued_at=now,
        expires_at=now + lifetime,
        token_id=fresh_name(desk.ambient),
        roles=client.roles,
        epoch=client.epoch,
        authorization_details=bounds.details,
        confirmation=bounds.confirmation,
    )
    if authorization.derived is not None:
        return await _derived(authorization.derived, token, key, client, desk)
    person = authorization.person
    if person is None:
        return Minted(access_token=await _written(token, key, client, desk), expires_in=lifetime, scope=bounds.scope)
    names = await names_for(client, person.subject, person.sid, desk)
    account = await _account(person.subject, desk)
    ends_at = await _end_of_session(person, desk, at=now)
    token = replace(
        token,
        subject=names.subject,
        token_id=f"{person.family}.{token.token_id}",
        roles=account.roles,
        sign_in=person.approval.sign_in,
        sid=None if person.offline else names.sid,
        may_act=None if client.may_act is None else {"sub": client.may_act},
        epoch=account.epoch,
    )
    written = await _written(token, key, client, desk)
    return Minted(
        access_token=written,
        expires_in=lifetime,
        scope=bounds.scope,
        id_token=await _id_token(authorization, person, names, account, client, desk, access_token=written)
        if OPENID in bounds.scope
        else None,
        successor=_successor(_rebound(person, client, bounds.confirmation), client, desk, ends_at=ends_at)
        if "refresh_token" in client.grant_types
        else None,
    )


async def _access_token_lifetime(client: Client, audience: tuple[str, ...], desk: Desk) -> int:
    """Seconds: the client's own or the issuer's default, within what revocation entries outlive and what the audiences say."""
    default = desk.config.lifetimes.access_token
    lifetime = min(client.access_token_lifetime or default, desk.longest_access_token)
    limit = (await desk.definitions.current()).lifetime(audience)
    return lifetime if limit is None else min(lifetime, limit)


async def _derived(derived: Derived, token: AccessToken, key: SigningKey, client: Client, desk: Desk) -> Minted:
    """An access token that comes of another one, and nothing besides."""
    names = await names_for(client, derived.subject, derived.sid, desk)
    account = await _account(derived.subject, desk)
    if derived.sid is not None:
        # A step-up since then has put another session in its place: nothing has ended with that.
        _check_live(await desk.store.sessions.heir(derived.sid), at=token.issued_at)
    token = replace(
        token,
        subject=names.subject,
        expires_at=min(token.expires_at, derived.until),
        token_id=f"{derived.family}.{token.token_id}" if derived.family is not None else token.token_id,
        roles=account.roles,
        sign_in=derived.sign_in,
        sid=names.sid,
        actor=derived.actor,
        may_act=derived.may_act,
        epoch=account.epoch if derived.epoch is None else derived.epoch,
    )
    if lapsed(token.expires_at, at=token.issued_at):
        raise InvalidGrantError("The authorization is not valid any more.", why="what it derives from has just expired")
    lifetime = token.expires_at - token.issued_at
    return Minted(access_token=await _written(token, key, client, desk), expires_in=lifetime, scope=token.scope)


async def _written(token: AccessToken, key: SigningKey, client: Client, desk: Desk) -> str:
    if client.access_token_status_list:
        token = await desk.status_lists.with_place(token, key.kid or "")
    return await signed(token, key, desk)


async def _account(subject: str, desk: Desk) -> Account:
    """Roles and epoch as they are now: what a token says is as fresh as the token."""
    account = await desk.store.accounts.get(subject)
    if account is None or account.disabled_at is not None:
        raise InvalidGrantError("The authorization is not valid any more.", why="the account is disabled or gone")
    return account


async def _end_of_session(person: Person, desk: Desk, *, at: Instant) -> Instant | None:
    """When the session ends at the latest; None: it hangs on none."""
    if person.sid is None:
        return None
    session = _check_live(await desk.store.sessions.get(person.sid), at=at)
    return None if person.offline else session.expires_at


def _check_live(session: Session | None, *, at: Instant) -> Session:
    if session is None or session.ended_at is not None or lapsed(session.expires_at, at=at):
        raise InvalidGrantError("The authorization is not valid any more.", why="the session has ended")
    return session


async def _id_token(
    authorization: Authorization,
    person: Person,
    names: Names,
    account: Account,
    client: Client,
    desk: Desk,
    *,
    access_token: str,
) -> str:
    own = await envelope("id_token", client, desk)
    now = desk.ambient.now()
    token = IdToken(
        issuer=desk.config.issuer,
        subject=names.subject,
        client_id=client.client_id,
        issued_at=now,
        expires_at=now + desk.config.lifetimes.id_token,
        sign_in=person.approval.sign_in,
        nonce=authorization.nonce,
        sid=names.sid,
        access_token_hash=id_token.at_hash(access_token, own.key.alg),
        person=chosen(
            account, person.approval.id_token_claims, person.approval.scope, await desk.definitions.current()
        ),
    )
    return own.close(token.claims(), typ=id_token.TYP)


def _rebound(person: Person, client: Client, confirmation: Confirmation | None) -> Person:
    """RFC 8705 section 4, RFC 9449 section 5: a public client's refresh token is bound as its access token is.

    Another client's is bound to the client's authentication.
    """
    bound = dict(confirmation) if confirmation is not None and client.public else None
    if bound == person.approval.confirmation:
        return person
    return replace(person, approval=replace(person.approval, confirmation=bound))


def _successor(person: Person, client: Client, desk: Desk, *, ends_at: Instant | None) -> Successor | None:
    """A refresh token: it slides, but never beyond its family's end (RFC 9700 section 2.2.2) or its session's."""
    now = desk.ambient.now()
    lifetimes = desk.config.lifetimes
    ends = [now + lifetimes.refresh_token_idle, person.approval.approved_at + lifetimes.refresh_token]
    expires_at = min(ends if ends_at is None else [*ends, ends_at])
    if lapsed(expires_at, at=now):
        return None
    secret = Opaque.fresh(desk.ambient)
    artifact = Artifact(
        kind="refresh_token",
        digest=secret.digest,
        family=person.family,
        subject=person.subject,
        client_id=client.client_id,
        sid=None if person.offline else person.sid,
        document=msgspec.json.encode(person.approval),
        created_at=now,
        expires_at=expires_at,
    )
    return Successor(secret, artifact)
