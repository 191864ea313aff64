"""`carnet user`: the accounts of people."""

import getpass
import json
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from carnet.cli import output
from carnet.cli.deployment import at_desk, subcommand
from carnet.cli.errors import CommandError, UsageError

if TYPE_CHECKING:
    from carnet.issuer.desk import Desk
    from carnet.issuer.storage.records import Account, Attribute

PAGE = 500


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser("user", help="accounts of people", description="Accounts of people.")
    commands = parser.add_subparsers(metavar="COMMAND", dest="subcommand", required=True)

    create = subcommand(commands, "create", _create, "make an account; prints a one-time link to choose a password")
    create.add_argument("email", metavar="EMAIL")
    create.add_argument("--email-verified", action="store_true", help="you know that the address is the person's")
    create.add_argument("--name", metavar="N", help="the person's name")
    create.add_argument("--role", metavar="R", dest="roles", action="append", default=[], help="may be repeated")
    create.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input; then there is no link"
    )

    listing = subcommand(commands, "list", _list, "list the accounts")
    listing.add_argument("--search", metavar="TEXT", help="part of an email address or a name")

    _person(subcommand(commands, "show", _show, "show an account and where it is signed in"))

    roles = subcommand(commands, "set-roles", _set_roles, "give an account these roles and no others")
    _person(roles)
    roles.add_argument("roles", metavar="ROLE", nargs="*", help="none: it has no role any more")

    change = subcommand(commands, "change", _amend, "change what is known of a person")
    _person(change)
    change.add_argument("--email", metavar="E", help="another email address, which counts as not verified")
    change.add_argument(
        "--email-verified", action=BooleanOptionalAction, help="whether you know that the address is the person's"
    )
    change.add_argument("--name", metavar="N", help="the person's name; an empty one takes it away")
    change.add_argument(
        "--attribute",
        metavar="NAME=VALUE",
        dest="attributes",
        action="append",
        default=[],
        help="set an attribute, which claims tell (`carnet claim`); VALUE is JSON or a text, none takes it away; may be repeated",
    )

    _person(subcommand(commands, "disable", _disable, "shut an account: its sessions and refresh tokens end at once"))
    _person(subcommand(commands, "enable", _enable, "open a disabled account again"))
    _person(subcommand(commands, "sign-out", _sign_out, "sign a person out everywhere"))
    _person(
        subcommand(
            commands,
            "reset-factors",
            _reset_factors,
            "take away the second factor of somebody who has lost it; then the password alone signs in",
        )
    )
    _person(subcommand(commands, "invite", _invite, "print a one-time link to choose a (new) password"))


def _person(parser: ArgumentParser) -> None:
    parser.add_argument("person", metavar="EMAIL", help="email address or subject")


def _create(arguments: Namespace) -> int:
    from carnet.issuer.accounts.invitations import invite
    from carnet.issuer.accounts.people import CLI, create

    password = _password() if arguments.password_stdin else None

    async def work(desk: "Desk") -> "tuple[Account, str | None]":
        with _refusals():
            account = await create(
                desk,
                email=arguments.email,
                email_verified=arguments.email_verified,
                name=arguments.name,
                roles=arguments.roles,
                password=password,
                by=CLI,
            )
            link = None if password is not None else await invite(desk, account.subject, by=CLI)
        return account, link

    account, link = at_desk(arguments, work)
    invitation = {} if link is None else {"invitation": link}
    hint = "" if link is None else f"\nA one-time link to choose a password: {link}"
    output.show(
        arguments, _document(account) | invitation, f"Made the account {account.email} ({account.subject}).{hint}"
    )
    return 0


def _list(arguments: Namespace) -> int:
    async def work(desk: "Desk") -> "list[Account]":
        accounts: list[Account] = []
        page = await desk.store.accounts.list(limit=PAGE, search=arguments.search)
        while page:
            accounts += page
            page = await desk.store.accounts.list(after=page[-1].email, limit=PAGE, search=arguments.search)
        return accounts

    accounts = at_desk(arguments, work)
    rows = [
        (
            account.email,
            account.name or "-",
            " ".join(account.roles) or "-",
            "disabled" if account.disabled_at else "active" if account.password else "invited",
            account.subject,
        )
        for account in accounts
    ]
    output.show(
        arguments,
        [_document(account) for account in accounts],
        lambda: output.table(rows, ("EMAIL", "NAME", "ROLES", "STATE", "SUBJECT")),
    )
    return 0


def _show(arguments: Namespace) -> int:
    async def work(desk: "Desk") -> tuple[dict[str, Any], str]:
        account = await _find(desk, arguments.person)
        sessions = await desk.store.sessions.of(account.subject, at=desk.ambient.now())
        document = _document(account) | {
            "sessions": [
                {
                    "sid": session.sid,
                    "auth_time": session.auth_time,
                    "seen_at": session.seen_at,
                    "amr": list(session.amr),
                }
                for session in sessions
            ]
        }
        values = {
            "email": account.email,
            "name": account.name or "-",
            "subject": account.subject,
            "roles": " ".join(account.roles) or "-",
            "password": "set" if account.password else "not chosen yet",
            "second factor": _second_factor(account),
            "created": output.date(account.created_at),
            "disabled": output.date(account.disabled_at),
        }
        lines = [output.facts(values)] + [
            f"signed in {output.date(session.auth_time)}, seen {output.date(session.seen_at)}" for session in sessions
        ]
        return document, "\n".join(lines)

    output.show(arguments, *at_desk(arguments, work))
    return 0


def _set_roles(arguments: Namespace) -> int:
    from carnet.issuer.accounts.people import CLI, set_roles

    roles = " ".join(arguments.roles) or "no role"
    return _change(
        arguments,
        lambda desk, subject: set_roles(desk, subject, arguments.roles, by=CLI),
        f"has now {roles}; apps see it at their next refresh.",
    )


def _amend(arguments: Namespace) -> int:
    from msgspec import UNSET

    from carnet.issuer.accounts.amending import Amendment, amend
    from carnet.issuer.accounts.people import CLI, get

    async def change(desk: "Desk", subject: str) -> "Account":
        seen = await get(desk, subject)
        wanted = Amendment(
            email=UNSET if arguments.email is None else arguments.email,
            email_verified=UNSET if arguments.email_verified is None else arguments.email_verified,
            name=UNSET if arguments.name is None else arguments.name,
            attributes=_attributes(arguments.attributes, seen) if arguments.attributes else UNSET,
        )
        return await amend(desk, subject, wanted, by=CLI, seen=seen)

    return _change(arguments, change, "is changed.")


def _attributes(given: list[str], account: "Account") -> "dict[str, Attribute]":
    """The account's attributes with those that are given set or taken away."""
    attributes = dict(account.attributes)
    for one in given:
        name, sign, text = one.partition("=")
        if not sign:
            raise UsageError(f"--attribute {one!r}: write NAME=VALUE.")
        attributes.pop(name, None)
        if text:
            attributes[name] = _value(text)
    return attributes


def _value(text: str) -> "Attribute":
    """A whole number, true, false, an array or an object of texts where it is written so in JSON; else the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    if isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
        return value
    return value if isinstance(value, str | int) else text


def _disable(arguments: Namespace) -> int:
    from carnet.issuer.accounts.people import CLI, disable

    return _change(
        arguments, lambda desk, subject: disable(desk, subject, by=CLI), "is disabled; all its sessions have ended."
    )


def _enable(arguments: Namespace) -> int:
    from carnet.issuer.accounts.people import CLI, enable

    return _change(arguments, lambda desk, subject: enable(desk, subject, by=CLI), "is enabled.")


def _sign_out(arguments: Namespace) -> int:
    from carnet.issuer.accounts.people import CLI, sign_out_everywhere

    return _change(
        arguments, lambda desk, subject: sign_out_everywhere(desk, subject, by=CLI), "is signed out everywhere."
    )


def _reset_factors(arguments: Namespace) -> int:
    from carnet.issuer.accounts.factors import reset
    from carnet.issuer.accounts.people import CLI

    return _change(
        arguments,
        lambda desk, subject: reset(desk, subject, by=CLI),
        "has no second factor any more; the password alone signs in.",
    )


def _change(arguments: Namespace, change: "Callable[[Desk, str], Awaitable[object]]", outcome: str) -> int:
    """Make one change of the account that the command names, and say what has become of it."""

    async def work(desk: "Desk") -> "Account":
        subject = (await _find(desk, arguments.person)).subject
        with _refusals():
            await change(desk, subject)
        return await _find(desk, subject)

    account = at_desk(arguments, work)
    output.show(arguments, _document(account), f"{account.email} {outcome}")
    return 0


def _invite(arguments: Namespace) -> int:
    from carnet.issuer.accounts.invitations import invite
    from carnet.issuer.accounts.people import CLI

    async def work(desk: "Desk") -> "tuple[Account, str]":
        account = await _find(desk, arguments.person)
        with _refusals():
            return account, await invite(desk, account.subject, by=CLI)

    account, link = at_desk(arguments, work)
    output.show(arguments, _document(account) | {"invitation": link}, link)
    return 0


def _password() -> str:
    """From a pipe its first line; from a terminal without showing it. Never from the command line, which others can read."""
    if sys.stdin.isatty():
        return getpass.getpass("Password: ")
    try:
        line = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageError("the password on standard input is not UTF-8.") from None
    if not line:
        raise UsageError("--password-stdin: there was no password on standard input.")
    return line


async def _find(desk: "Desk", person: str) -> "Account":
    account = await (desk.store.accounts.by_email(person) if "@" in person else desk.store.accounts.get(person))
    if account is None:
        raise CommandError(f"there is no account {person!r}.")
    return account


@contextmanager
def _refusals() -> Iterator[None]:
    from carnet.issuer.accounts.errors import BadAttributeError, BadEmailError, BadNameError, BadRoleError, PersonError
    from carnet.issuer.accounts.password_rule import WeakPasswordError

    try:
        yield
    except (BadAttributeError, BadEmailError, BadNameError, BadRoleError, WeakPasswordError) as error:
        raise UsageError(str(error)) from None
    except PersonError as error:
        raise CommandError(str(error)) from None


def _second_factor(account: "Account") -> str:
    return f"set up; {len(account.recovery_codes)} recovery codes left" if account.totp else "none"


def _document(account: "Account") -> dict[str, Any]:
    return {
        "subject": account.subject,
        "email": account.email,
        "email_verified": account.email_verified,
        "name": account.name,
        "roles": list(account.roles),
        "attributes": account.attributes,
        "password": account.password is not None,
        "second_factor": account.totp is not None,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
        "disabled_at": account.disabled_at,
    }
