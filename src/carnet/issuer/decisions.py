"""RFC 8628 section 3.5, OpenID CIBA Core section 11: what a person decides in one place; an app in another polls for it."""

from hashlib import sha256
from typing import Protocol

import msgspec

from carnet.ambient import Instant
from carnet.issuer.approval import Approval, Authorization, Person, Redemption
from carnet.issuer.desk import Desk
from carnet.issuer.opaque import Opaque, fresh_name
from carnet.issuer.storage.ports import Spent
from carnet.issuer.storage.records import Artifact, Consent, Digest, Event, Session
from carnet.oauth.authorization_details import Details
from carnet.oauth.errors import AccessDeniedError, AuthorizationPendingError, SlowDownError
from carnet.oauth.scope import OFFLINE_ACCESS, Scope

INTERVAL = 5
"""Seconds between two polls (RFC 8628 section 3.2)."""


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the person decided."""

    approval: Approval | None
    """None: it was denied."""
    sid: str
    """The session in which it was decided."""


class Wanted(Protocol):
    """What is decided about."""

    @property
    def client_id(self) -> str: ...

    @property
    def scope(self) -> Scope: ...

    @property
    def audience(self) -> tuple[str, ...]: ...

    @property
    def authorization_details(self) -> Details: ...

    @property
    def expires_at(self) -> Instant: ...


def decision(about: Digest, asked: Wanted, session: Session, *, allowed: bool, desk: Desk) -> Artifact:
    """The decision about what has the digest `about`: whoever spends that into it has decided."""
    now = desk.ambient.now()
    approval = Approval(
        scope=asked.scope,
        audience=asked.audience,
        auth_time=session.auth_time,
        amr=session.amr,
        acr=session.acr,
        authorization_details=asked.authorization_details,
        approved_at=now,
    )
    return Artifact(
        kind="decision",
        digest=_digest(about),
        family=fresh_name(desk.ambient),
        subject=session.subject,
        client_id=asked.client_id,
        sid=None if OFFLINE_ACCESS in asked.scope else session.sid,
        document=msgspec.json.encode(Decision(approval=approval if allowed else None, sid=session.sid)),
        created_at=now,
        expires_at=asked.expires_at,
    )


async def record(decided: Artifact, desk: Desk, *, of: str, address: str | None) -> None:
    """Remember what was allowed, so that the account page lists it, and write either decision into the audit trail.

    `of` is what was decided about, as its events begin.
    """
    subject, client_id = decided.subject or "", decided.client_id or ""
    document = msgspec.json.decode(decided.document, type=Decision)
    now = desk.ambient.now()
    if document.approval is not None:
        scope = document.approval.scope
        await desk.store.consents.grant(Consent(subject=subject, client_id=client_id, scope=scope, granted_at=now))
    await desk.store.events.add(
        Event(
            at=now,
            name=f"{of}.{'denied' if document.approval is None else 'allowed'}",
            subject=subject,
            client_id=client_id,
            sid=document.sid,
            address=address,
        )
    )


async def authorized(about: Digest, secret: Opaque, desk: Desk) -> Authorization:
    """What was decided. A spent decision is proved like a fresh one: its second redemption ends the family, as with codes.

    Raises:
        SlowDownError: this was asked less than `INTERVAL` seconds ago (for a spent one there is nothing to wait).
        AuthorizationPendingError: nobody has decided yet; AccessDeniedError: it was denied.
    """
    now = desk.ambient.now()
    found = await desk.store.artifacts.get("decision", _digest(about), at=now)
    if not isinstance(found, Spent):
        await _check_pace(about, desk, at=now)
    artifact = found.artifact if isinstance(found, Spent) else found
    if artifact is None or artifact.subject is None or artifact.family is None:
        raise AuthorizationPendingError("Nobody has decided yet.")
    document = msgspec.json.decode(artifact.document, type=Decision)
    if document.approval is None:
        raise AccessDeniedError("The person did not allow it.")
    return Authorization(
        scope=document.approval.scope,
        audience=document.approval.audience,
        authorization_details=document.approval.authorization_details,
        person=Person(
            subject=artifact.subject,
            family=artifact.family,
            sid=artifact.sid or document.sid,
            approval=document.approval,
        ),
        redemption=Redemption(artifact=artifact, secret=secret),
    )


async def _check_pace(about: Digest, desk: Desk, *, at: Instant) -> None:
    if await desk.store.throttle.hit(f"poll/{about.hex()}", at=at, window=INTERVAL) > 1:
        raise SlowDownError(f"This asks more often than each {INTERVAL} seconds: wait 5 seconds longer.")


def _digest(about: Digest) -> Digest:
    return sha256(b"decision\0" + about).digest()
