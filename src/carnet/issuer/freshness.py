"""NIST SP 800-63B-4 section 2.1.3: when a proof is fresh enough to change how accounts are proved, or others' accounts."""

from carnet.ambient import Instant
from carnet.issuer.storage.records import Account, Session
from carnet.oauth import acr

FRESH = 900
"""Seconds after a proof during which changes are made without a new one."""


def fresh(account: Account, session: Session, *, at: Instant) -> bool:
    """Whether the person has just proved who they are, by both factors where they have two."""
    return strong_and_recent(account, session.acr, session.auth_time, at=at)


def strong_and_recent(account: Account, reached: str | None, auth_time: Instant, *, at: Instant) -> bool:
    """The same of a sign-in as its tokens tell of it."""
    strong = account.totp is None or reached == acr.TWO_FACTORS
    return strong and at - auth_time < FRESH
