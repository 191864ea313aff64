"""Families of artifacts: whose they are, whether that still stands, and how they end as a whole (RFC 9700 section 4.14.2).

Locks are always taken in this order: account, client, session, family, artifact. Whoever ends something takes the lock that
everybody who hands something out for it holds in a shared way; so what commits first is seen by the other.
"""

from typing import NamedTuple

from carnet.ambient import Instant
from carnet.issuer.storage.ports import StorageError
from carnet.issuer.storage.records import Artifact
from carnet.issuer.storage.statements import Row, Statement, Verb

_NAMELESS = "."
_FIRST_LOOK = 3_700
"""Seconds after a family's beginning until it is first looked at: most access tokens of one of which nothing can be spent any
more have expired by then (`sweeping.py` says what is looked at)."""


_STANDING = (
    "SELECT (SELECT 1 FROM account WHERE subject = ? AND disabled_at IS NULL FOR SHARE),"
    " (SELECT 1 FROM client WHERE client_id = ? FOR KEY SHARE),"
    " (SELECT 1 FROM session WHERE sid = ? AND ended_at IS NULL FOR SHARE)"
)


class Owner(NamedTuple):
    """On whose behalf the artifacts of a family were handed out: those of the family's first artifact."""

    subject: str | None
    client_id: str | None
    sid: str | None


def key_of(artifact: Artifact) -> str | None:
    """The family's key: an artifact that has an owner but no family is a nameless family of one.

    Raises:
        StorageError: the family's name looks like the key of a nameless one.
    """
    if artifact.family is not None:
        if artifact.family.startswith(_NAMELESS):
            raise StorageError("The name of a family does not begin with a dot.")
        return artifact.family
    if (artifact.subject, artifact.client_id, artifact.sid) == (None, None, None):
        return None
    return _NAMELESS + artifact.digest.hex()


def name_of(key: str | None) -> str | None:
    """The family's name as its artifacts carry it."""
    return None if key is None or key.startswith(_NAMELESS) else key


def standing(owner: Owner) -> Verb[bool]:
    """Whether the account is enabled, the client is there and the session has not ended; and keep it so until the commit."""
    [found] = yield Statement(_STANDING, owner)
    return _stands(owner, found)


def _stands(owner: Owner, found: Row) -> bool:
    return all(named is None or there == 1 for named, there in zip(owner, found, strict=True))


def hold(key: str, owner: Owner) -> Verb[bool]:
    """Lock a family that is known to be there; False if it was revoked or its owner does not stand any more.

    A new sign-in in the same browser passes a family on to another session: then the owner is looked at once more.
    """
    while True:
        # What a row is made of is found, and locked, before the row itself is.
        rows = yield Statement(
            _STANDING + ", subject, client_id, sid, revoked_at FROM family WHERE family = ? FOR UPDATE", (*owner, key)
        )
        if not rows:
            return False
        *found, subject, client_id, sid, revoked_at = rows[0]
        if revoked_at is not None:
            return False
        locked = Owner(subject, client_id, sid)
        if locked == owner:
            return _stands(owner, found)
        owner = locked


def enter(key: str, artifact: Artifact) -> Verb[bool]:
    """Make the family that an artifact is about to join, or lock the one that is there; False as for `hold`.

    Raises:
        StorageError: the artifact names another subject or client than its family.
    """
    owner = Owner(artifact.subject, artifact.client_id, artifact.sid)
    rows = yield Statement("SELECT subject, client_id, sid FROM family WHERE family = ?", (key,))
    if not rows:
        if not (yield from standing(owner)):
            return False
        made = yield Statement(
            "INSERT INTO family (family, subject, client_id, sid, kept_until) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING RETURNING 1",
            (key, *owner, max(artifact.expires_at, artifact.created_at + _FIRST_LOOK)),
        )
        if made:
            return True
        rows = yield Statement("SELECT subject, client_id, sid FROM family WHERE family = ?", (key,))
    there = Owner(*rows[0])
    if (there.subject, there.client_id) != (owner.subject, owner.client_id):
        raise StorageError("An artifact has the subject and the client of its family.")
    return (yield from hold(key, there))


def end_families(*, at: Instant, subject: str, client_id: str | None = None) -> Verb[list[str]]:
    """End every family of a subject, or those with one client; the answer is the keys of those that had not ended before."""
    if client_id is None:
        rows = yield Statement(
            "UPDATE family SET revoked_at = ? WHERE subject = ? AND revoked_at IS NULL RETURNING family", (at, subject)
        )
    else:
        rows = yield Statement(
            "UPDATE family SET revoked_at = ? WHERE subject = ? AND client_id = ? AND revoked_at IS NULL"
            " RETURNING family",
            (at, subject, client_id),
        )
    return [key for [key] in rows]
