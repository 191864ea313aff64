"""RFC 8628: what a device waits for: its two codes, the browser that enters one of them, and what that one's person decides.

Four artifacts follow one another, and each step is won by one caller alone (rules O3 and O14):

- `device_code`, which the device holds and polls with, and `user_code`, which it shows;
- `device_claim`: the code was entered in this session. The user code is spent into it, so that no other session, however it got
  hold of the code, can decide any more;
- `decision` (`decisions.py`): allowed or denied. The claim is spent into it; the token endpoint spends an approval.
"""

import hmac
from contextlib import suppress

import msgspec

from carnet.ambient import Instant
from carnet.issuer.decisions import decision
from carnet.issuer.desk import Desk
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.ports import AlreadyExistsError, Fresh
from carnet.issuer.storage.records import Artifact, Client, Digest, Session
from carnet.oauth import user_code
from carnet.oauth.authorization_details import Details
from carnet.oauth.scope import Scope
from carnet.sealing import derive

LIFETIME = 600
"""Seconds in which somebody has to decide (rule O14)."""
REMEMBERED = 2 * LIFETIME
"""Seconds for which a device is told that its code has expired, and not that it was never there (section 3.5)."""
_DRAWS = 5
"""How often a user code that is in use is drawn anew: once is rare."""


class DeviceRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a device asks for, and from where, as its person is shown."""

    client_id: str
    scope: Scope
    audience: tuple[str, ...] = ()
    authorization_details: Details = ()
    """RFC 9396."""
    device: Digest
    """Of the device code."""
    asked_at: Instant
    expires_at: Instant
    address: str | None = None


async def begin(desk: Desk, client: Client, asked: DeviceRequest, device_code: Opaque) -> str:
    """Store a device's request; the answer is the user code.

    Raises:
        StorageError: there was no free user code.
    """
    document = msgspec.msgpack.encode(asked)
    code = await _show(desk, asked, document)
    await desk.store.artifacts.put(
        Artifact(
            kind="device_code",
            digest=device_code.digest,
            client_id=client.client_id,
            document=document,
            created_at=asked.asked_at,
            expires_at=asked.asked_at + REMEMBERED,
        )
    )
    return code


async def _show(desk: Desk, asked: DeviceRequest, document: bytes) -> str:
    """Store a user code that nobody else has now."""
    for _ in range(_DRAWS):
        code = user_code.fresh(desk.ambient.entropy)
        shown = Artifact(
            kind="user_code",
            digest=_user_digest(desk, code),
            document=document,
            created_at=asked.asked_at,
            expires_at=asked.expires_at,
        )
        with suppress(AlreadyExistsError):
            await desk.store.artifacts.put(shown)
            return code
    raise AlreadyExistsError("No user code is free.")


async def claim(desk: Desk, code: str, session: Session) -> DeviceRequest | None:
    """Bind a user code to the session in which it is entered; None: it is not there, has expired, or is another session's."""
    now = desk.ambient.now()
    found = await desk.store.artifacts.get("user_code", _user_digest(desk, code), at=now)
    if isinstance(found, Artifact):
        asked = msgspec.msgpack.decode(found.document, type=DeviceRequest)
        claimed = Artifact(
            kind="device_claim",
            digest=_claim_digest(desk, code, session),
            subject=session.subject,
            client_id=asked.client_id,
            sid=session.sid,
            document=found.document,
            created_at=now,
            expires_at=found.expires_at,
        )
        outcome = await desk.store.artifacts.spend(found.kind, found.digest, at=now, into=(claimed,))
        if isinstance(outcome, Fresh):
            return asked
    return await claimed_by(desk, code, session)


async def claimed_by(desk: Desk, code: str, session: Session) -> DeviceRequest | None:
    """The request whose code this session has entered, if nothing is decided yet."""
    found = await desk.store.artifacts.get("device_claim", _claim_digest(desk, code, session), at=desk.ambient.now())
    return msgspec.msgpack.decode(found.document, type=DeviceRequest) if isinstance(found, Artifact) else None


async def decide(desk: Desk, code: str, session: Session, *, allowed: bool) -> Artifact | None:
    """Decide, once; the answer is the decision, or None: there is nothing to decide here, or not any more."""
    asked = await claimed_by(desk, code, session)
    if asked is None:
        return None
    made = decision(asked.device, asked, session, allowed=allowed, desk=desk)
    outcome = await desk.store.artifacts.spend(
        "device_claim", _claim_digest(desk, code, session), at=desk.ambient.now(), into=(made,)
    )
    return made if isinstance(outcome, Fresh) else None


def _user_digest(desk: Desk, code: str) -> Digest:
    """Keyed: a code is so short that a plain digest could be turned back by trying."""
    return hmac.digest(derive(desk.secret, "user-code"), code.encode("ascii"), "sha256")


def _claim_digest(desk: Desk, code: str, session: Session) -> Digest:
    return hmac.digest(derive(desk.secret, "device-claim"), f"{code}\0{session.sid}".encode(), "sha256")
