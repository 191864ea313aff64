"""NIST SP 800-63B-4 section 2.1.3: when a proof is fresh enough to change how accounts are proved, or others' accounts."""

from carnet.ambient import Instant
from carnet.issuer.storage.records import Account, Session
from carnet.oauth import acr

FRESH = 900
"""Seconds after a proof during which changes are made without a new one."""


def fresh(account: Account, session: Session, *, at: Instant) -> bool:
    """Whether the person has just proved who they are, by both factors where they have two."""
    strong = account.totp is None or session.acr == acr.TWO_FACTORS
    return strong and at - session.auth_time < FRESH
