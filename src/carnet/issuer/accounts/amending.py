"""OpenID Connect Core section 5.1: changes of what is known of a person, for the command and the API alike."""

from collections.abc import Mapping

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from carnet.issuer.accounts.details import checked_attributes, checked_email, checked_name
from carnet.issuer.accounts.errors import EmailTakenError
from carnet.issuer.accounts.people import Actor, change, note
from carnet.issuer.desk import Desk
from carnet.issuer.storage.ports import AlreadyExistsError, StaleError
from carnet.issuer.storage.records import Account, Attribute


class Amendment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed; what is left out stays."""

    email: str | UnsetType = UNSET
    """Another one counts as not verified, unless that is said of it."""
    email_verified: bool | UnsetType = UNSET
    """Rule O7: an administrator says it, never the person."""
    name: str | UnsetType | None = UNSET
    attributes: dict[str, Attribute] | UnsetType = UNSET
    """All of them: one that is left out is taken away."""


async def amend(desk: Desk, subject: str, wanted: Amendment, *, by: Actor, seen: Account | None = None) -> Account:
    """Change an account's details. `seen`: the account as it was read, on whose details the change depends.

    Raises:
        PersonError.
        StaleError: they are not as `seen` any more.
    """
    changes = _checked(wanted)

    def alter(account: Account) -> Account:
        if seen is not None and _details(account) != _details(seen):
            raise StaleError("The account was changed since it was read.")
        same = changes.get("email", account.email) == account.email
        return replace(account, **{"email_verified": account.email_verified and same} | changes)

    try:
        before, after = await change(desk, subject, alter)
    except AlreadyExistsError:
        raise EmailTakenError from None
    changed = [name for name in changes if getattr(before, name) != getattr(after, name)]
    if changed:
        await note(desk, "account.changed", after, by, changed=changed)
    return after


def _checked(wanted: Amendment) -> dict[str, object]:
    changes: dict[str, object] = {}
    if isinstance(wanted.email, str):
        changes["email"] = checked_email(wanted.email)
    if not isinstance(wanted.email_verified, UnsetType):
        changes["email_verified"] = wanted.email_verified
    if not isinstance(wanted.name, UnsetType):
        changes["name"] = checked_name(wanted.name)
    if isinstance(wanted.attributes, Mapping):
        changes["attributes"] = checked_attributes(wanted.attributes)
    return changes


def _details(account: Account) -> tuple[object, ...]:
    return account.email, account.email_verified, account.name, account.attributes, account.roles, account.disabled_at
