"""RFC 9700 section 4.14.2, rule O17: every change of an account, for the command and the pages alike.

Each change is one compare-and-swap with the revocations that follow from it, and a line of the audit trail.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from msgspec.structs import replace

from carnet.issuer.accounts import password_rule
from carnet.issuer.desk import Desk
from carnet.issuer.opaque import Opaque, fresh_name
from carnet.issuer.revoking import entry, entry_lifetime
from carnet.issuer.storage.ports import AlreadyExistsError, Fresh, StaleError
from carnet.issuer.storage.records import Account, Artifact, Event, PasswordHash, Revocation

ADMIN = "ADMIN"
"""The role whose holders administer the issuer."""

MAX_ROLES = 32
MAX_NAME = 200
MAX_EMAIL = 254

_ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\Z")
_EMAIL = re.compile(r"[^@\s<>\"'(),:;\\]{1,64}@[^@\s<>\"'(),:;\\]{1,190}\Z")
_FIRST = "first-administrator"
_MOST_LINKS = 1_000
"""For one purpose, until the ended ones are swept away."""
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change: the signed-in person's subject, never one that a request names."""

    subject: str
    address: str | None = None


CLI = Actor("cli")


class PersonError(Exception):
    """A change that is refused; the sentence says what to do. Pages have it as `person.<key>` in their catalogues."""

    key: ClassVar[str]
    sentence: ClassVar[str]
    field: ClassVar[str | None] = None
    """The field that is to be mended, if it is one."""

    def __init__(self) -> None:
        super().__init__(self.sentence)


class EmailTakenError(PersonError):
    key = "email_taken"
    field = "email"
    sentence = "There is an account with this email address already."


class BadEmailError(PersonError):
    key = "bad_email"
    field = "email"
    sentence = "This is not an email address: give one such as name@example.com."


class BadNameError(PersonError):
    key = "bad_name"
    field = "name"
    sentence = f"A name has at most {MAX_NAME} characters, and no control characters."


class BadRoleError(PersonError):
    key = "bad_role"
    field = "roles"
    sentence = (
        "A role is 1 to 64 letters, digits or _ . : - and begins with a letter or digit; "
        f"an account has at most {MAX_ROLES}."
    )


class UnknownPersonError(PersonError):
    key = "unknown"
    sentence = "There is no such account."


class DisabledError(PersonError):
    key = "disabled"
    sentence = "This account is disabled: enable it first."


class LastAdministratorError(PersonError):
    key = "last_administrator"
    sentence = f"This is the last {ADMIN} who can sign in: give the role to somebody else first."


class LinkSpentError(PersonError):
    key = "link_spent"
    sentence = "This link has been used, has expired or was replaced by a newer one: ask for a new one."


class ContentionError(PersonError):
    key = "contention"
    sentence = "The account was being changed by somebody else at the same time: look at it and try again."


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a one-time link is good for."""

    account: Account | None
    """Whose password it sets; None: it makes the first administrator."""


async def create(
    desk: Desk,
    *,
    email: str,
    name: str | None = None,
    roles: Iterable[str] = (),
    password: str | None = None,
    by: Actor,
) -> Account:
    """Make an account. Without a password nobody can sign in to it until it has been invited.

    Raises:
        PersonError, WeakPasswordError, PasswordsBusyError.
    """
    email, name, roles = checked_email(email), checked_name(name), checked_roles(roles)
    if await desk.store.accounts.by_email(email) is not None:
        raise EmailTakenError
    hashed = await _accepted(desk, password, email, name) if password is not None else None
    return await _add(desk, email, name, roles, hashed, by)


async def invite(desk: Desk, subject: str, *, by: Actor) -> str:
    """Make a one-time link with which the person chooses a password; the links made before stop working.

    The answer is a URL that holds a secret: it is shown once, to whom asked for it.
    """
    account = await _get(desk, subject)
    if account.disabled_at is not None:
        raise DisabledError
    link = await _link(desk, purpose=f"invitation:{subject}", subject=subject)
    await note(desk, "account.invited", account, by)
    return link


async def first_administrator(desk: Desk) -> str | None:
    """A one-time link that makes the first administrator; None once there is any account."""
    if await desk.store.accounts.count():
        return None
    return await _link(desk, purpose=_FIRST, subject=None)


async def invitation(desk: Desk, token: str) -> Invitation:
    """Look at a one-time link without spending it.

    Raises:
        LinkSpentError: it is not, or no longer, good for anything.
    """
    found = await desk.store.artifacts.get("invitation", Opaque(token).digest, at=desk.ambient.now())
    if not isinstance(found, Artifact):
        raise LinkSpentError
    if found.subject is None:
        if not (found.family or "").startswith(f"{_FIRST}.") or await desk.store.accounts.count():
            raise LinkSpentError
        return Invitation(None)
    account = await desk.store.accounts.get(found.subject)
    if account is None or account.disabled_at is not None:
        raise LinkSpentError
    return Invitation(account)


async def accept(
    desk: Desk, token: str, *, email: str, name: str | None, password: str, address: str | None = None
) -> Account:
    """Spend a one-time link: make the first administrator, or set the invited person's password and name.

    All that can be refused is refused before the link is spent. `email` counts for the first administrator alone.

    Raises:
        PersonError, WeakPasswordError, PasswordsBusyError.
    """
    invited = (await invitation(desk, token)).account
    name = checked_name(name)
    email = invited.email if invited else checked_email(email)
    hashed = await _accepted(desk, password, email, name)
    if not isinstance(
        await desk.store.artifacts.spend("invitation", Opaque(token).digest, at=desk.ambient.now()), Fresh
    ):
        raise LinkSpentError
    if invited is None:
        return await _add(desk, email, name, (ADMIN,), hashed, Actor(_FIRST, address))
    return await _change_password(
        desk,
        invited.subject,
        lambda account: replace(account, password=hashed, name=name),
        by=Actor(invited.subject, address),
    )


async def set_password(desk: Desk, subject: str, password: str, *, by: Actor) -> Account:
    """Set a password, and sign the person out everywhere: whoever knew the old one is out.

    Raises:
        PersonError, WeakPasswordError, PasswordsBusyError.
    """
    account = await _get(desk, subject)
    hashed = await _accepted(desk, password, account.email, account.name)
    return await _change_password(desk, subject, lambda account: replace(account, password=hashed), by=by)


async def set_roles(desk: Desk, subject: str, roles: Iterable[str], *, by: Actor) -> Account:
    """Set the roles. Apps see them at their next refresh; access tokens that are out live their minutes."""
    wanted = checked_roles(roles)
    before, after = await _change(
        desk, subject, lambda account: replace(account, roles=wanted), guarded=ADMIN not in wanted
    )
    if before.roles != after.roles:
        await note(desk, "roles.changed", after, by, before=list(before.roles), after=list(after.roles))
    return after


async def disable(desk: Desk, subject: str, *, by: Actor) -> Account:
    """Shut an account: its sessions and everything that its apps hold end at once."""
    now = desk.ambient.now()
    before, after = await _change(
        desk,
        subject,
        lambda account: (
            account if account.disabled_at is not None else replace(account, disabled_at=now, epoch=account.epoch + 1)
        ),
        guarded=True,
        revoking=True,
    )
    if before.disabled_at is None:
        await note(desk, "account.disabled", after, by)
    return after


async def enable(desk: Desk, subject: str, *, by: Actor) -> Account:
    """Open a disabled account again. What ended when it was disabled stays ended."""
    before, after = await _change(desk, subject, lambda account: replace(account, disabled_at=None))
    if before.disabled_at is not None:
        await note(desk, "account.enabled", after, by)
    return after


async def sign_out_everywhere(desk: Desk, subject: str, *, by: Actor) -> None:
    """End all sessions and everything that apps hold; guards refuse the access tokens that are out."""
    account = await _get(desk, subject)
    await desk.store.sessions.end_all(subject, at=desk.ambient.now(), lifetime=entry_lifetime(desk.config))
    await note(desk, "account.signed_out_everywhere", account, by)


async def remove(desk: Desk, subject: str, *, by: Actor) -> None:
    """Delete an account with all that belongs to it."""
    account = await _get(desk, subject)
    await _keep_an_administrator(desk, account)
    now = desk.ambient.now()
    taken_back = entry("subject", subject, desk.config, at=now, epoch=account.epoch + 1)
    if not await desk.store.accounts.remove(subject, at=now, revocations=(taken_back,)):
        raise UnknownPersonError
    await note(desk, "account.removed", account, by)


async def revoke_app(desk: Desk, subject: str, client_id: str, *, by: Actor) -> int:
    """Take back what an app holds of a person, and the consent; the answer is how many refresh tokens ended."""
    now = desk.ambient.now()
    account = await _get(desk, subject)
    held = {
        token.family
        for token in await desk.store.artifacts.families(subject, at=now)
        if token.client_id == client_id and token.family
    }
    ended = 0
    for family in sorted(held):
        taken_back = entry("family", family, desk.config, at=now)
        ended += await desk.store.artifacts.revoke_family(family, at=now, revocations=(taken_back,))
    await desk.store.consents.withdraw(subject, client_id, at=now)
    await note(desk, "app.revoked", account, by, client_id=client_id)
    return ended


async def note(
    desk: Desk,
    name: str,
    account: Account,
    by: Actor,
    *,
    client_id: str | None = None,
    sid: str | None = None,
    **detail: object,
) -> None:
    """Add a line to the audit trail."""
    await desk.store.events.add(
        Event(
            at=desk.ambient.now(),
            name=name,
            subject=account.subject,
            client_id=client_id,
            sid=sid,
            actor=by.subject if by.subject != account.subject else None,
            address=by.address,
            detail=dict(detail),
        )
    )


def checked_email(email: str) -> str:
    """Raises BadEmailError."""
    email = unicodedata.normalize("NFC", email.strip())
    if len(email) > MAX_EMAIL or not _EMAIL.match(email) or not email.isprintable():
        raise BadEmailError
    return email


def checked_name(name: str | None) -> str | None:
    """Raises BadNameError."""
    name = " ".join(unicodedata.normalize("NFC", name or "").split(" ")).strip()
    if len(name) > MAX_NAME or not name.isprintable():
        raise BadNameError
    return name or None


def checked_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """Each once, in order. Raises BadRoleError."""
    unique = tuple(sorted(set(roles)))
    if len(unique) > MAX_ROLES or not all(_ROLE.match(role) for role in unique):
        raise BadRoleError
    return unique


async def _accepted(desk: Desk, password: str, email: str, name: str | None) -> PasswordHash:
    password_rule.check(password, email=email, name=name)
    return await desk.passwords.hash(password)


async def _add(
    desk: Desk, email: str, name: str | None, roles: tuple[str, ...], password: PasswordHash | None, by: Actor
) -> Account:
    now = desk.ambient.now()
    account = Account(
        subject=fresh_name(desk.ambient),
        email=email,
        name=name,
        roles=roles,
        password=password,
        created_at=now,
        updated_at=now,
    )
    try:
        await desk.store.accounts.add(account)
    except AlreadyExistsError:
        raise EmailTakenError from None
    await note(desk, "account.created", account, by, roles=list(roles))
    return account


async def _change_password(desk: Desk, subject: str, alter: Callable[[Account], Account], *, by: Actor) -> Account:
    _, account = await _change(desk, subject, alter)
    await desk.store.sessions.end_all(subject, at=desk.ambient.now(), lifetime=entry_lifetime(desk.config))
    await note(desk, "password.set", account, by)
    return await _get(desk, subject)


async def _change(
    desk: Desk, subject: str, alter: Callable[[Account], Account], *, guarded: bool = False, revoking: bool = False
) -> tuple[Account, Account]:
    """Read, alter and swap until nobody came between.

    `guarded`: the change would take an administrator away. `revoking`: it raises the epoch.
    """
    for _ in range(_ATTEMPTS):
        before = await _get(desk, subject)
        after = alter(before)
        if after == before:
            return before, after
        if guarded:
            await _keep_an_administrator(desk, before)
        now = desk.ambient.now()
        after = replace(after, updated_at=now)
        revocations: Sequence[Revocation] = (
            (entry("subject", subject, desk.config, at=now, epoch=after.epoch),) if revoking else ()
        )
        try:
            await desk.store.accounts.replace(before, after, revocations=revocations)
        except StaleError:
            continue
        return before, after
    raise ContentionError


async def _keep_an_administrator(desk: Desk, leaving: Account) -> None:
    """Somebody must be able to administer after `leaving` has gone."""
    if not _administers(leaving):
        return
    after: str | None = None
    while page := await desk.store.accounts.list(after=after, limit=500):
        if any(_administers(account) and account.subject != leaving.subject for account in page):
            return
        after = page[-1].email
    raise LastAdministratorError


def _administers(account: Account) -> bool:
    return ADMIN in account.roles and account.disabled_at is None and account.password is not None


async def _get(desk: Desk, subject: str) -> Account:
    account = await desk.store.accounts.get(subject)
    if account is None:
        raise UnknownPersonError
    return account


async def _link(desk: Desk, *, purpose: str, subject: str | None) -> str:
    """Make a link and end the ones before. An ended family takes nothing more, so each link has the next of its purpose."""
    now = desk.ambient.now()
    token = Opaque.fresh(desk.ambient)
    for number in range(1, _MOST_LINKS):
        family = f"{purpose}.{number}"
        await desk.store.artifacts.revoke_family(family, at=now)
        stored = await desk.store.artifacts.put(
            Artifact(
                kind="invitation",
                digest=token.digest,
                family=family,
                subject=subject,
                created_at=now,
                expires_at=now + desk.config.lifetimes.invitation,
            )
        )
        if stored:
            return f"{desk.config.issuer}/welcome?invitation={token.value}"
    raise ContentionError
