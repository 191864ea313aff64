"""OpenID CAEP and RISC 1.0: what a change of an account, or of a session, means to those who are told of security events.

Storage derives it from the records themselves: whoever changes them cannot forget to tell, and nothing is told that did not
happen. The reasons are what the profile wants administrators to read.
"""

from carnet.ambient import Instant
from carnet.issuer.storage.records import Account, Happening, Session
from carnet.oauth import acr
from carnet.oauth.security_events import (
    ACCOUNT_DISABLED,
    ACCOUNT_ENABLED,
    ACCOUNT_PURGED,
    ASSURANCE_LEVEL_CHANGE,
    CREDENTIAL_CHANGE,
    RECOVERY_INFORMATION_CHANGED,
    SESSION_REVOKED,
    TOKEN_CLAIMS_CHANGE,
)

NAMESPACE = "urn:carnet:acr"
"""CAEP section 3.4.1: of the levels of assurance, which are those of `acr`."""


def _caep(event: str, at: Instant, reason: str, *, sid: str | None = None, **claims: object) -> Happening:
    """CAEP section 2; the Interoperability Profile wants a reason for administrators."""
    return Happening(event=event, sid=sid, claims={**claims, "event_timestamp": at, "reason_admin": {"en": reason}})


def session_ended(sid: str, *, at: Instant) -> Happening:
    """CAEP section 3.1, of one session."""
    return _caep(SESSION_REVOKED, at, "The session has ended.", sid=sid)


def sessions_ended(*, at: Instant, reason: str = "The person was signed out everywhere.") -> Happening:
    """CAEP section 3.1, of all sessions of a person.

    RISC section 2.11: in the place of its `sessions-revoked`, which new transmitters do not send.
    """
    return _caep(SESSION_REVOKED, at, reason)


def strength_changed(before: Session, after: Session, *, at: Instant) -> tuple[Happening, ...]:
    """CAEP section 3.4: a new sign-in that took the place of another one is stronger or weaker."""
    if before.acr == after.acr or before.acr not in acr.VALUES or after.acr not in acr.VALUES:
        return ()
    increased = acr.VALUES.index(after.acr) > acr.VALUES.index(before.acr)
    event = _caep(
        ASSURANCE_LEVEL_CHANGE,
        at,
        "The person has signed in again, by other means.",
        sid=before.sid,
        namespace=NAMESPACE,
        current_level=after.acr,
        previous_level=before.acr,
        change_direction="increase" if increased else "decrease",
    )
    return (event,)


def account_changed(before: Account, after: Account, *, ending: bool, at: Instant) -> tuple[Happening, ...]:
    """All that a change of an account means; `ending`: its sessions end with it."""
    found: list[Happening] = []
    if before.password != after.password and after.epoch > before.epoch:
        # A hash that is only made anew, with other parameters, leaves the epoch as it is.
        found.append(_credential("password", before.password, after.password, at))
    if (before.totp is None) != (after.totp is None):
        found.append(_credential("app", before.totp, after.totp, at))
    if before.roles != after.roles:
        claims = {"roles": list(after.roles)}
        found.append(_caep(TOKEN_CLAIMS_CHANGE, at, "The roles were changed.", claims=claims))
    if before.email != after.email:
        found.append(Happening(event=RECOVERY_INFORMATION_CHANGED))
    if before.disabled_at is None and after.disabled_at is not None:
        found.append(Happening(event=ACCOUNT_DISABLED))
    if before.disabled_at is not None and after.disabled_at is None:
        found.append(Happening(event=ACCOUNT_ENABLED))
    if ending:
        found.append(sessions_ended(at=at, reason="The account was changed, and its sessions have ended."))
    return tuple(found)


def account_removed(*, at: Instant) -> tuple[Happening, ...]:
    """RISC section 2.2."""
    return Happening(event=ACCOUNT_PURGED), sessions_ended(at=at, reason="The account was deleted.")


def _credential(kind: str, before: object, after: object, at: Instant) -> Happening:
    """CAEP section 3.3."""
    change = "create" if before is None else "delete" if after is None else "update"
    reason = f"A credential of the type {kind} was {'created' if before is None else change + 'd'}."
    return _caep(CREDENTIAL_CHANGE, at, reason, credential_type=kind, change_type=change)
