"""RFC 9700 section 4.14.2, rule O17: every change of an account, for the command and the pages alike.

Each change is one compare-and-swap with the revocations that follow from it, and a line of the audit trail.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from carnet.issuer.accounts import password_rule
from carnet.issuer.accounts.details import checked_attributes, checked_email, checked_name, checked_roles
from carnet.issuer.accounts.errors import ContentionError, EmailTakenError, LastAdministratorError, UnknownPersonError
from carnet.issuer.desk import Desk
from carnet.issuer.opaque import fresh_name
from carnet.issuer.revoking import entry, entry_lifetime
from carnet.issuer.storage.ports import AlreadyExistsError, StaleError
from carnet.issuer.storage.records import Account, Attribute, Event, PasswordHash, Revocation

ADMIN = "ADMIN"
"""The role whose holders administer the issuer."""

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change: the signed-in person's subject, never one that a request names."""

    subject: str
    address: str | None = None


CLI = Actor("cli")


async def create(
    desk: Desk,
    *,
    email: str,
    email_verified: bool = False,
    name: str | None = None,
    roles: Iterable[str] = (),
    attributes: Mapping[str, Attribute] | None = None,
    password: str | None = None,
    by: Actor,
) -> Account:
    """Make an account. Without a password nobody can sign in to it until it has been invited.

    `email_verified`: whether whoever makes it knows that the address is the person's (rule O7).

    Raises:
        PersonError, WeakPasswordError, PasswordsBusyError.
    """
    email, name, roles = checked_email(email), checked_name(name), checked_roles(roles)
    known = checked_attributes(attributes or {})
    if await desk.store.accounts.by_email(email) is not None:
        raise EmailTakenError
    hashed = await accepted_password(desk, password, email, name) if password is not None else None
    return await add(desk, email, name, roles, hashed, by, attributes=known, email_verified=email_verified)


async def set_password(desk: Desk, subject: str, password: str, *, by: Actor) -> Account:
    """Set a password, and sign the person out everywhere: whoever knew the old one is out.

    Raises:
        PersonError, WeakPasswordError, PasswordsBusyError.
    """
    account = await get(desk, subject)
    hashed = await accepted_password(desk, password, account.email, account.name)
    return await change_password(desk, subject, lambda account: replace(account, password=hashed), by=by)


async def set_roles(
    desk: Desk, subject: str, roles: Iterable[str], *, by: Actor, seen: tuple[str, ...] | None = None
) -> Account:
    """Set the roles. Apps see them at their next refresh; access tokens that are out live their minutes.

    With the setting `roles_take_back` guards refuse those tokens, and apps refresh at once; nobody is signed out.
    `seen`: the roles that the change depends on.

    Raises:
        PersonError.
        StaleError: they are not as `seen` any more.
    """
    wanted = checked_roles(roles)
    revoking = desk.config.roles_take_back

    def alter(account: Account) -> Account:
        if seen is not None and account.roles != seen:
            raise StaleError("The roles were changed since they were read.")
        if account.roles == wanted:
            return account
        return replace(account, roles=wanted, epoch=account.epoch + 1 if revoking else account.epoch)

    before, after = await change(desk, subject, alter, guarded=ADMIN not in wanted, revoking=revoking)
    if before.roles != after.roles:
        await note(desk, "roles.changed", after, by, before=list(before.roles), after=list(after.roles))
    return after


async def disable(desk: Desk, subject: str, *, by: Actor) -> Account:
    """Shut an account: its sessions and everything that its apps hold end at once."""
    now = desk.ambient.now()
    before, after = await change(
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
    before, after = await change(desk, subject, lambda account: replace(account, disabled_at=None))
    if before.disabled_at is not None:
        await note(desk, "account.enabled", after, by)
    return after


async def sign_out_everywhere(desk: Desk, subject: str, *, by: Actor) -> None:
    """End all sessions and everything that apps hold; guards refuse the access tokens that are out."""
    account = await get(desk, subject)
    await desk.store.sessions.end_all(subject, at=desk.ambient.now(), lifetime=entry_lifetime(desk.config))
    await note(desk, "account.signed_out_everywhere", account, by)


async def remove(
    desk: Desk, subject: str, *, by: Actor, check: Callable[[Account], None] = lambda _account: None
) -> None:
    """Delete an account with all that belongs to it, as `check` has seen it, which may refuse.

    Raises:
        PersonError, and what `check` raises.
    """
    now = desk.ambient.now()
    taken_back = entry("subject", subject, desk.config, at=now)  # whatever the epoch is by now
    for _ in range(_ATTEMPTS):
        account = await get(desk, subject)
        check(account)
        staying = await _administrator_beside(desk, account)
        try:
            removed = await desk.store.accounts.remove(
                subject, at=now, revocations=(taken_back,), witness=staying, seen=account
            )
        except StaleError:
            continue
        if not removed:
            raise UnknownPersonError
        await note(desk, "account.removed", account, by)
        return
    raise ContentionError


async def revoke_app(desk: Desk, subject: str, client_id: str, *, by: Actor) -> bool:
    """Take back what an app holds of a person, and the consent; False if there was neither."""
    account = await get(desk, subject)
    ended = await desk.store.consents.withdraw(
        subject, client_id, at=desk.ambient.now(), lifetime=entry_lifetime(desk.config)
    )
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


async def accepted_password(desk: Desk, password: str, email: str, name: str | None) -> PasswordHash:
    """Hash a password that may be chosen by this person.

    Raises:
        WeakPasswordError, PasswordsBusyError.
    """
    password_rule.check(password, email=email, name=name)
    return await desk.passwords.hash(password)


async def add(
    desk: Desk,
    email: str,
    name: str | None,
    roles: tuple[str, ...],
    password: PasswordHash | None,
    by: Actor,
    *,
    attributes: dict[str, Attribute] | None = None,
    email_verified: bool = False,
) -> Account:
    """Store an account whose details have been checked. Raises EmailTakenError."""
    now = desk.ambient.now()
    account = Account(
        subject=fresh_name(desk.ambient),
        email=email,
        email_verified=email_verified,
        name=name,
        roles=roles,
        attributes=attributes or {},
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


async def change_password(desk: Desk, subject: str, alter: Callable[[Account], Account], *, by: Actor) -> Account:
    """Swap the account as `alter` has it, with its new password, and sign the person out everywhere, all in one step."""

    def altered(account: Account) -> Account:
        return replace(alter(account), epoch=account.epoch + 1)

    _, account = await change(desk, subject, altered, revoking=True, ending=True)
    await note(desk, "password.set", account, by)
    return account


async def change(
    desk: Desk,
    subject: str,
    alter: Callable[[Account], Account],
    *,
    guarded: bool = False,
    revoking: bool = False,
    ending: bool = False,
    informing: bool = True,
) -> tuple[Account, Account]:
    """Read, alter and swap until nobody came between; the answer is the account before and after.

    `guarded`: the change would take an administrator away. `revoking`: it raises the epoch. `ending`: all sessions
    and all that apps hold end with it. `informing`: it changes what
    apps are told (OpenID Connect Core section 5.1, `updated_at`).

    Raises:
        PersonError: and whatever `alter` raises.
    """
    for _ in range(_ATTEMPTS):
        before = await get(desk, subject)
        after = alter(before)
        if after == before:
            return before, after
        staying = await _administrator_beside(desk, before) if guarded else None
        now = desk.ambient.now()
        after = replace(after, updated_at=now) if informing else after
        revocations: Sequence[Revocation] = (
            (entry("subject", subject, desk.config, at=now, epoch=after.epoch),) if revoking else ()
        )
        try:
            await desk.store.accounts.replace(
                before, after, revocations=revocations, witness=staying, ending_at=now if ending else None, at=now
            )
        except StaleError:
            continue
        return before, after
    raise ContentionError


async def _administrator_beside(desk: Desk, leaving: Account) -> Account | None:
    """Who can administer after `leaving` has gone, and must not go at the same moment; None if that one cannot now."""
    if not _administers(leaving):
        return None
    after: str | None = None
    while page := await desk.store.accounts.list(after=after, limit=500):
        for account in page:
            if _administers(account) and account.subject != leaving.subject:
                return account
        after = page[-1].email
    raise LastAdministratorError


def _administers(account: Account) -> bool:
    return ADMIN in account.roles and account.disabled_at is None and account.password is not None


async def get(desk: Desk, subject: str) -> Account:
    """Raises UnknownPersonError."""
    account = await desk.store.accounts.get(subject)
    if account is None:
        raise UnknownPersonError
    return account
