"""Rules O3 and O8: one-time links that make the first administrator, or with which a person chooses a password."""

from dataclasses import dataclass

from msgspec.structs import replace

from carnet.issuer.accounts.details import checked_email, checked_name
from carnet.issuer.accounts.errors import ContentionError, DisabledError, LinkSpentError
from carnet.issuer.accounts.people import ADMIN, Actor, accepted_password, add, change_password, get, note
from carnet.issuer.desk import Desk
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.ports import Fresh
from carnet.issuer.storage.records import Account, Artifact

_FIRST = "first-administrator"
_MOST_LINKS = 1_000
"""For one purpose, until the ended ones are swept away."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a one-time link is good for."""

    account: Account | None
    """Whose password it sets; None: it makes the first administrator."""


async def invite(desk: Desk, subject: str, *, by: Actor) -> str:
    """Make a one-time link with which the person chooses a password; the links made before stop working.

    The answer is a URL that holds a secret: it is shown once, to whom asked for it.
    """
    account = await get(desk, subject)
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
    hashed = await accepted_password(desk, password, email, name)
    if not isinstance(
        await desk.store.artifacts.spend("invitation", Opaque(token).digest, at=desk.ambient.now()), Fresh
    ):
        raise LinkSpentError
    if invited is None:
        return await add(desk, email, name, (ADMIN,), hashed, Actor(_FIRST, address))
    return await change_password(
        desk,
        invited.subject,
        lambda account: replace(account, password=hashed, name=name),
        by=Actor(invited.subject, address),
    )


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
