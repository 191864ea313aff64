"""Accounts: the people who can sign in (OpenID Connect Core section 2, `sub`)."""

import unicodedata
from collections.abc import Sequence

import msgspec

from carnet.ambient import Instant
from carnet.issuer.storage import changes
from carnet.issuer.storage.participants import sessions_ended
from carnet.issuer.storage.ports import AlreadyExistsError, StaleError
from carnet.issuer.storage.pseudonyms import with_pseudonyms
from carnet.issuer.storage.records import Account, Revocation
from carnet.issuer.storage.revocations import note
from carnet.issuer.storage.sessions import end_everything
from carnet.issuer.storage.signals import forget, tell
from carnet.issuer.storage.statements import Group, Statement, Verb, overhauling, reading, scanning, writing

_ACCOUNT = msgspec.json.Decoder(Account)


def _key(text: str) -> str:
    """What a text is looked up by: without regard to case, and to how Unicode composes it."""
    return unicodedata.normalize("NFC", text.casefold())


def _containing(search: str) -> str:
    key = _key(search)
    for special in ("!", "%", "_"):
        key = key.replace(special, "!" + special)
    return f"%{key}%"


def _hold(before: Account | None, witness: Account | None) -> Verb[None]:
    """Lock the record that is to change, and the one that must not change meanwhile, in the order that everybody keeps to.

    Raises:
        StaleError: one of them is not as it was read.
    """
    held = [account for account in (before, witness) if account is not None]
    for account in sorted(held, key=lambda account: account.subject):
        lock = "FOR NO KEY UPDATE" if account is before else "FOR SHARE"
        rows = yield Statement(f"SELECT document FROM account WHERE subject = ? {lock}", (account.subject,))  # noqa: S608 - a constant
        if not rows or _ACCOUNT.decode(rows[0][0]) != account:
            raise StaleError("The account was changed since it was read: read it again.")


class StoredAccounts(Group):
    @writing
    def add(self, account: Account) -> Verb[None]:
        added = yield Statement(
            "INSERT INTO account (subject, email_key, name_key, disabled_at, document) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING RETURNING 1",
            (
                account.subject,
                _key(account.email),
                _key(account.name or ""),
                account.disabled_at,
                msgspec.json.encode(account),
            ),
        )
        if not added:
            raise AlreadyExistsError("There is an account with this email or subject already.")

    @reading
    def get(self, subject: str) -> Verb[Account | None]:
        rows = yield Statement("SELECT document FROM account WHERE subject = ?", (subject,))
        return _ACCOUNT.decode(rows[0][0]) if rows else None

    @reading
    def by_email(self, email: str) -> Verb[Account | None]:
        rows = yield Statement("SELECT document FROM account WHERE email_key = ?", (_key(email),))
        return _ACCOUNT.decode(rows[0][0]) if rows else None

    @scanning
    def list(self, *, after: str | None = None, limit: int = 100, search: str | None = None) -> Verb[list[Account]]:
        last = "" if after is None else _key(after)
        if search is None:
            rows = yield Statement(
                "SELECT document FROM account WHERE email_key > ? ORDER BY email_key LIMIT ?", (last, limit)
            )
        else:
            part = _containing(search)
            rows = yield Statement(
                "SELECT document FROM account WHERE email_key > ?"
                " AND (email_key LIKE ? ESCAPE '!' OR name_key LIKE ? ESCAPE '!') ORDER BY email_key LIMIT ?",
                (last, part, part, limit),
            )
        return [_ACCOUNT.decode(document) for [document] in rows]

    @scanning
    def count(self) -> Verb[int]:
        [[number]] = yield Statement("SELECT count(*) FROM account")
        return int(number)

    @overhauling
    def replace(
        self,
        before: Account,
        after: Account,
        *,
        revocations: Sequence[Revocation] = (),
        witness: Account | None = None,
        ending_at: Instant | None = None,
        at: Instant | None = None,
    ) -> Verb[None]:
        yield from _hold(before, witness)
        if before.subject != after.subject:
            raise StaleError("An account keeps its subject.")
        yield Statement(
            "UPDATE account SET email_key = ?, name_key = ?, disabled_at = ?, document = ? WHERE subject = ?",
            (
                _key(after.email),
                _key(after.name or ""),
                after.disabled_at,
                msgspec.json.encode(after),
                after.subject,
            ),
        )
        if after.disabled_at is not None and before.disabled_at is None:
            ending_at = after.disabled_at
        if ending_at is not None:
            yield from end_everything(after.subject, at=ending_at)
        yield from note(revocations)
        changed_at = after.updated_at if at is None else at
        happenings = changes.account_changed(before, after, ending=ending_at is not None, at=ending_at or changed_at)
        yield from tell(after.subject, happenings, at=ending_at or changed_at)

    @overhauling
    def remove(
        self,
        subject: str,
        *,
        at: Instant,
        revocations: Sequence[Revocation] = (),
        witness: Account | None = None,
        seen: Account | None = None,
    ) -> Verb[bool]:
        yield from _hold(seen, witness)
        yield Statement("SELECT 1 FROM account WHERE subject = ? FOR UPDATE", (subject,))
        revocations = yield from with_pseudonyms(revocations)  # they go with the account
        # Its sessions, consents, families and their artifacts go with it: the schema says so.
        removed = yield Statement("DELETE FROM account WHERE subject = ? RETURNING 1", (subject,))
        if removed:
            yield from note(revocations)
            yield from sessions_ended(subject, at=at)
            yield from tell(subject, changes.account_removed(at=at), at=at)
            yield from forget(subject)
        return bool(removed)
