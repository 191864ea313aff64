"""OpenID CIBA Core: an app asks somebody who is elsewhere; the request waits on that person's own page until they decide."""

from dataclasses import dataclass

import msgspec

from carnet.ambient import Instant, lapsed
from carnet.issuer.decisions import decision
from carnet.issuer.desk import Desk
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.ports import Fresh
from carnet.issuer.storage.records import Artifact, Digest, Session
from carnet.oauth.authorization_details import Details
from carnet.oauth.scope import Scope

LIFETIME = 300
"""Seconds in which somebody has to decide, unless less is asked for."""
LONGEST = 600
"""Seconds that may be asked for."""
REMEMBERED = 600
"""Seconds for which an app is told that its request has expired, and not that it was never there."""

MOST_WAITING = 5
"""Requests of one app that wait for one person at the same time: nobody is worn down."""


class BackchannelRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked of whom."""

    client_id: str
    subject: str
    scope: Scope
    audience: tuple[str, ...] = ()
    authorization_details: Details = ()
    """RFC 9396."""
    binding_message: str | None = None
    acr_values: tuple[str, ...] = ()
    """One of these is asked of the person's proof; none: any will do."""
    asked_at: Instant
    expires_at: Instant


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for its person."""

    digest: Digest
    asked: BackchannelRequest

    @property
    def name(self) -> str:
        """As the page has it: no secret, since nothing can be fetched with it."""
        return self.digest.hex()


async def begin(desk: Desk, asked: BackchannelRequest) -> Opaque | None:
    """Have a request wait for its person; the answer is the `auth_req_id`.

    None: the account is disabled, or too many requests of this app wait for this person.
    """
    waiting = [one for one in await waiting_for(desk, asked.subject) if one.asked.client_id == asked.client_id]
    if len(waiting) >= MOST_WAITING:
        return None
    secret = Opaque.fresh(desk.ambient)
    stored = await desk.store.artifacts.put(
        Artifact(
            kind="backchannel_request",
            digest=secret.digest,
            subject=asked.subject,
            client_id=asked.client_id,
            document=msgspec.json.encode(asked),
            created_at=asked.asked_at,
            expires_at=asked.expires_at + REMEMBERED,
        )
    )
    return secret if stored else None


def read(artifact: Artifact) -> BackchannelRequest:
    return msgspec.json.decode(artifact.document, type=BackchannelRequest)


async def waiting_for(desk: Desk, subject: str) -> list[Waiting]:
    """All that somebody is asked, newest first."""
    now = desk.ambient.now()
    found = await desk.store.artifacts.families(subject, at=now, kind="backchannel_request")
    waiting = [Waiting(artifact.digest, read(artifact)) for artifact in found]
    return [one for one in waiting if not lapsed(one.asked.expires_at, at=now)]


async def find(desk: Desk, name: str, subject: str) -> Waiting | None:
    """The request of that name that waits for somebody; None: there is none, or not any more."""
    return next((one for one in await waiting_for(desk, subject) if one.name == name), None)


async def decide(desk: Desk, one: Waiting, session: Session, *, allowed: bool) -> Artifact | None:
    """Decide, once; the answer is the decision, or None: it does not wait any more."""
    made = decision(one.digest, one.asked, session, allowed=allowed, desk=desk)
    outcome = await desk.store.artifacts.spend("backchannel_request", one.digest, at=desk.ambient.now(), into=(made,))
    return made if isinstance(outcome, Fresh) else None
