"""Rule O9: a sign-in that is half done: the first proof was given, in one browser. It is no session, and gives nothing."""

import hmac

import msgspec

from carnet.issuer.browser import Visit
from carnet.issuer.desk import Desk
from carnet.issuer.opaque import Opaque
from carnet.issuer.refusals import RefusalError
from carnet.issuer.storage.ports import Fresh
from carnet.issuer.storage.records import Account, Artifact, Digest

LIFETIME = 600
"""Seconds until the second proof."""


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What the first proof has shown."""

    browser: Digest
    """Rule O15: good in this browser alone."""
    epoch: int
    """Of the account: a sign-out everywhere, of a changed password say, ends the ticket too."""
    amr: tuple[str, ...]


async def issue(desk: Desk, seen: Visit, account: Account, amr: tuple[str, ...]) -> str:
    """Make a ticket for an account whose person has given the first proof; the answer is a secret.

    Raises:
        RefusalError: the account has been disabled meanwhile.
    """
    now = desk.ambient.now()
    secret = Opaque.fresh(desk.ambient)
    ticket = Ticket(browser=seen.browser_digest, epoch=account.epoch, amr=amr)
    stored = await desk.store.artifacts.put(
        Artifact(
            kind="ticket",
            digest=secret.digest,
            subject=account.subject,
            document=msgspec.json.encode(ticket),
            created_at=now,
            expires_at=now + LIFETIME,
        )
    )
    if not stored:
        raise RefusalError(403, "disabled")
    return secret.value


async def read(desk: Desk, seen: Visit, value: str) -> tuple[Account, Ticket]:
    """The account and its ticket, which stays good.

    Raises:
        RefusalError: it is not this browser's, too old, used, or the account was signed out everywhere.
    """
    found = await desk.store.artifacts.get("ticket", Opaque(value).digest, at=desk.ambient.now())
    if not isinstance(found, Artifact):
        raise RefusalError(403, "stale_ticket", why="the ticket is unknown, expired or used")
    ticket = msgspec.json.decode(found.document, type=Ticket)
    account = await desk.store.accounts.get(found.subject or "")
    if not hmac.compare_digest(ticket.browser, seen.browser_digest):
        raise RefusalError(403, "stale_ticket", why="the ticket is another browser's")
    if account is None or account.epoch != ticket.epoch:
        raise RefusalError(403, "stale_ticket", why="signed out everywhere since the first proof")
    return account, ticket


async def spend(desk: Desk, value: str) -> None:
    """Give it up for a session.

    Raises:
        RefusalError: somebody was faster, or the account was disabled.
    """
    outcome = await desk.store.artifacts.spend("ticket", Opaque(value).digest, at=desk.ambient.now())
    if not isinstance(outcome, Fresh):
        raise RefusalError(403, "stale_ticket", why="the ticket was used")
