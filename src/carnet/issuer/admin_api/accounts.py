"""Accounts: the people who can sign in, where they are signed in, and the apps that they have let in."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from msgspec import Struct

from carnet.ambient import Instant
from carnet.issuer.accounts import factors, invitations, people, sessions
from carnet.issuer.accounts.amending import Amendment, amend
from carnet.issuer.accounts.apps import App, apps_of
from carnet.issuer.accounts.errors import (
    BadAttributeError,
    BadEmailError,
    BadNameError,
    BadRoleError,
    PersonError,
    UnknownPersonError,
)
from carnet.issuer.accounts.password_rule import WeakPasswordError
from carnet.issuer.admin_api.problems import Busy, Conflict, Invalid, NotFound, Problem, Stale
from carnet.issuer.admin_api.resource import Asked, Operation, PageQuery, Resource, page
from carnet.issuer.passwords import PasswordsBusyError
from carnet.issuer.storage.ports import StaleError
from carnet.issuer.storage.records import Account as Stored
from carnet.issuer.storage.records import Attribute


class Account(Struct, frozen=True, kw_only=True):
    """A person who can sign in; never what they prove themselves with."""

    subject: str
    email: str
    email_verified: bool
    name: str | None
    roles: tuple[str, ...]
    attributes: dict[str, Attribute]
    has_password: bool
    second_factor: bool
    created_at: Instant
    updated_at: Instant
    disabled_at: Instant | None


class Accounts(Struct, frozen=True, kw_only=True):
    items: list[Account]
    next: str | None
    """The cursor of the next page; None: this is the last."""


class AccountQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    search: str | None = None
    """Part of an email address or a name."""


class NewAccount(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    email: str
    email_verified: bool = False
    name: str | None = None
    roles: tuple[str, ...] = ()
    attributes: dict[str, Attribute] = {}
    password: str | None = None
    """None: the person chooses one with an invitation."""


class Roles(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    roles: tuple[str, ...]


class Invitation(Struct, frozen=True, kw_only=True):
    link: str
    """A one-time link with which the person chooses a password; it is told this once."""
    expires_at: Instant


class Session(Struct, frozen=True, kw_only=True):
    sid: str
    auth_time: Instant
    amr: tuple[str, ...]
    acr: str | None
    created_at: Instant
    seen_at: Instant
    expires_at: Instant
    user_agent: str | None
    address: str | None


class Sessions(Struct, frozen=True, kw_only=True):
    items: list[Session]


class LetIn(Struct, frozen=True, kw_only=True):
    """An app that holds refresh tokens of the person, or a consent."""

    client_id: str
    name: str
    scope: tuple[str, ...]
    since: Instant
    refresh_tokens: int


class Apps(Struct, frozen=True, kw_only=True):
    items: list[LetIn]


def shown(account: Stored) -> Account:
    return Account(
        subject=account.subject,
        email=account.email,
        email_verified=account.email_verified,
        name=account.name,
        roles=account.roles,
        attributes=account.attributes,
        has_password=account.password is not None,
        second_factor=account.totp is not None,
        created_at=account.created_at,
        updated_at=account.updated_at,
        disabled_at=account.disabled_at,
    )


def problem(error: Exception) -> Problem | None:
    """What the API says of what the domain refuses; None: it is no refusal."""
    match error:
        case UnknownPersonError():
            return NotFound(str(error))
        case BadEmailError() | BadNameError() | BadRoleError() | BadAttributeError() | WeakPasswordError():
            return Invalid(str(error))
        case PersonError():
            return Conflict(str(error))
        case StaleError():
            return Stale(str(error))
        case PasswordsBusyError():
            return Busy("Too many passwords are being hashed now: try again in a moment.")
    return None


async def list_(asked: Asked) -> Accounts:
    async def read(after: str | None, limit: int) -> list[Stored]:
        return await asked.desk.store.accounts.list(after=after, limit=limit, search=asked.query.search)

    found, more = await page(asked, "accounts", read, lambda account: account.email)
    return Accounts(items=[shown(account) for account in found], next=more)


async def create(asked: Asked) -> Account:
    new: NewAccount = asked.body
    account = await people.create(
        asked.desk,
        email=new.email,
        email_verified=new.email_verified,
        name=new.name,
        roles=new.roles,
        attributes=new.attributes,
        password=new.password,
        by=asked.caller.actor,
    )
    return shown(account)


async def show(asked: Asked) -> Account:
    return shown(await _account(asked))


async def change(asked: Asked) -> Account:
    account = await _account(asked)
    asked.check_match(shown(account))
    changed = await amend(asked.desk, account.subject, asked.body, by=asked.caller.actor, seen=account)
    return shown(changed)


async def set_roles(asked: Asked) -> Account:
    account = await _account(asked)
    asked.check_match(shown(account))
    wanted: Roles = asked.body
    changed = await people.set_roles(
        asked.desk, account.subject, wanted.roles, by=asked.caller.actor, seen=account.roles
    )
    return shown(changed)


async def remove(asked: Asked) -> None:
    def check(account: Stored) -> None:
        asked.check_match(shown(account))

    await people.remove(asked.desk, asked.path["subject"], by=asked.caller.actor, check=check)


def changing(alter: Callable[..., Awaitable[Stored]]) -> Callable[[Asked], Awaitable[Account]]:
    """An operation that takes nothing but whom it is about."""

    async def act(asked: Asked) -> Account:
        return shown(await alter(asked.desk, asked.path["subject"], by=asked.caller.actor))

    return act


async def sign_out(asked: Asked) -> None:
    await people.sign_out_everywhere(asked.desk, asked.path["subject"], by=asked.caller.actor)


async def invite(asked: Asked) -> Invitation:
    link = await invitations.invite(asked.desk, asked.path["subject"], by=asked.caller.actor)
    return Invitation(link=link, expires_at=asked.desk.ambient.now() + asked.desk.config.lifetimes.invitation)


async def list_sessions(asked: Asked) -> Sessions:
    found = await sessions.sessions_of(asked.desk, await _account(asked))
    names = Session.__struct_fields__
    return Sessions(items=[Session(**{name: getattr(one, name) for name in names}) for one in found])


async def end_session(asked: Asked) -> None:
    sid = asked.path["sid"]
    if not await sessions.end_one(asked.desk, await _account(asked), sid, by=asked.caller.actor):
        raise NotFound("The account has no such session.")


async def list_apps(asked: Asked) -> Apps:
    found = await apps_of(asked.desk, (await _account(asked)).subject)
    return Apps(items=[_let_in(app) for app in found])


async def revoke_app(asked: Asked) -> None:
    subject, client_id = asked.path["subject"], asked.path["client_id"]
    if not await people.revoke_app(asked.desk, subject, client_id, by=asked.caller.actor):
        raise NotFound("The person has let no such app in.")


def _let_in(app: App) -> LetIn:
    return LetIn(client_id=app.client_id, name=app.name, scope=app.scope, since=app.since, refresh_tokens=app.tokens)


async def _account(asked: Asked) -> Stored:
    return await people.get(asked.desk, asked.path["subject"])


ONE = "/accounts/{subject}"

RESOURCE = Resource(
    "accounts",
    (
        Operation(
            method="GET", path="/accounts", summary="List accounts", act=list_, query=AccountQuery, answer=Accounts
        ),
        Operation(
            method="POST",
            path="/accounts",
            summary="Make an account",
            act=create,
            body=NewAccount,
            answer=Account,
            status=201,
            tagged=True,
            location=lambda made: f"/accounts/{quote(made.subject, safe='')}",
            problems=(Conflict, Invalid, Busy),
        ),
        Operation(
            method="GET",
            path=ONE,
            summary="Show an account",
            act=show,
            answer=Account,
            tagged=True,
            problems=(NotFound,),
        ),
        Operation(
            method="PATCH",
            path=ONE,
            summary="Change an account's details",
            act=change,
            body=Amendment,
            answer=Account,
            tagged=True,
            conditional=True,
            problems=(NotFound, Conflict, Invalid),
        ),
        Operation(
            method="DELETE",
            path=ONE,
            summary="Delete an account with all that belongs to it",
            act=remove,
            problems=(NotFound, Conflict),
        ),
        Operation(
            method="PUT",
            path=f"{ONE}/roles",
            summary="Give an account these roles and no others",
            act=set_roles,
            body=Roles,
            answer=Account,
            tagged=True,
            conditional=True,
            problems=(NotFound, Conflict, Invalid),
        ),
        *(
            Operation(
                method="POST",
                path=f"{ONE}/{word}",
                summary=summary,
                act=changing(alter),
                answer=Account,
                tagged=True,
                problems=(NotFound, Conflict),
            )
            for word, summary, alter in (
                ("disable", "Shut an account: its sessions and all that its apps hold end at once", people.disable),
                ("enable", "Open a disabled account again", people.enable),
                ("reset-factors", "Take away the second factor of somebody who has lost it", factors.reset),
            )
        ),
        Operation(
            method="POST",
            path=f"{ONE}/sign-out",
            summary="Sign a person out everywhere",
            act=sign_out,
            problems=(NotFound,),
        ),
        Operation(
            method="POST",
            path=f"{ONE}/invitation",
            summary="Make a one-time link with which the person chooses a password",
            act=invite,
            answer=Invitation,
            status=201,
            problems=(NotFound, Conflict),
        ),
        Operation(
            method="GET",
            path=f"{ONE}/sessions",
            summary="List where a person is signed in",
            act=list_sessions,
            answer=Sessions,
            problems=(NotFound,),
        ),
        Operation(
            method="DELETE",
            path=f"{ONE}/sessions/{{sid}}",
            summary="End a session with all that its apps hold",
            act=end_session,
            problems=(NotFound,),
        ),
        Operation(
            method="GET",
            path=f"{ONE}/apps",
            summary="List the apps that a person has let in",
            act=list_apps,
            answer=Apps,
            problems=(NotFound,),
        ),
        Operation(
            method="DELETE",
            path=f"{ONE}/apps/{{client_id}}",
            summary="Take back what an app holds of a person, and the consent",
            act=revoke_app,
            problems=(NotFound,),
        ),
    ),
)
