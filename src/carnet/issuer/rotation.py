"""RFC 9700 section 4.14.2, RFC 6749 section 4.1.2: who wins an artifact, and what its second redemption means.

A client with a FAPI profile keeps its refresh token, which is worth nothing without the client's key (`fapi.py`); everybody
else's is rotated.

A client that has lost an answer asks again. For ten seconds, and while nobody has used the successor, a client that
authenticates, or has proved the key that the token is bound to, gets the very same successor again: the row of the spent
token holds it, sealed under the token itself, so that the database alone yields nothing. Unbound public clients do not: a
thief who came within that time after each rotation would stay in step with the honest client unseen. Whoever registers a
client may give it another window (`refresh_retry_window`), or none. Any other second redemption that is valid in all else ends
the family.
"""

from carnet.ambient import Instant
from carnet.issuer import fapi
from carnet.issuer.approval import Redemption
from carnet.issuer.desk import Desk
from carnet.issuer.issuing import Successor
from carnet.issuer.opaque import Opaque
from carnet.issuer.revoking import entry
from carnet.issuer.storage.ports import Fresh, Spent
from carnet.issuer.storage.records import Artifact, Client, Event
from carnet.oauth.errors import InvalidGrantError
from carnet.sealing import Sealer

WINDOW = 10
"""Seconds after the first redemption in which a lost answer may be asked for again, at most."""
PER_HOUR = 3
"""Retries in one family during an hour."""

_REFUSED = "The grant is not valid any more."


async def settle(redemption: Redemption, successor: Successor | None, client: Client, desk: Desk) -> Opaque | None:
    """Spend what is redeemed, into the successor; the answer is the refresh token to give, where there is one.

    Raises:
        InvalidGrantError: somebody else has spent it, or it was ended meanwhile.
    """
    artifact = redemption.artifact
    if successor is not None and redemption.retryable and fapi.keeps_refresh_tokens(client):
        until = successor.artifact.expires_at
        if await desk.store.artifacts.renew(artifact, at=desk.ambient.now(), until=until):
            return redemption.secret
        # It was spent before the client had the profile, or has ended: that is said below.
    window = _window(redemption, client)
    outcome = await desk.store.artifacts.spend(
        artifact.kind,
        artifact.digest,
        at=desk.ambient.now(),
        into=() if successor is None else (successor.artifact,),
        receipt=_seal(successor.secret, redemption, desk) if successor is not None and window else None,
        found=artifact,
    )
    match outcome:
        case Fresh():
            return None if successor is None else successor.secret
        case Spent():
            return await _again(outcome, redemption, desk, window=window)
        case None:
            raise InvalidGrantError(_REFUSED, why="expired, revoked, or its session, account or client is gone")


def authenticates(client: Client) -> bool:
    """Whether a stolen refresh token is worth nothing to whoever is not the client."""
    return not client.public


async def revoke_family(artifact: Artifact, desk: Desk, *, name: str) -> None:
    """End a family: its artifacts in the store, its access tokens by an entry of the epoch map."""
    if artifact.family is None:
        return
    now = desk.ambient.now()
    revocation = entry("family", artifact.family, desk.config, at=now)
    await desk.store.artifacts.revoke_family(artifact.family, at=now, revocations=(revocation,))
    await _note(artifact, desk, name=name)


def _window(redemption: Redemption, client: Client) -> int:
    """Seconds; 0: what is spent is never given out again."""
    if not redemption.retryable:
        return 0
    if client.refresh_retry_window is not None:
        return client.refresh_retry_window
    return WINDOW if authenticates(client) or redemption.bound else 0


async def _again(spent: Spent, redemption: Redemption, desk: Desk, *, window: int) -> Opaque:
    """The successor once more for a lost answer; for anything else the family's end."""
    artifact = redemption.artifact
    now = desk.ambient.now()
    if _lost_answer(spent, window=window, at=now):
        receipt = await desk.store.artifacts.replay(
            artifact.kind, artifact.digest, at=now, window=window, per_hour=PER_HOUR
        )
        if receipt is not None:
            await _note(artifact, desk, name=f"{artifact.kind}.repeated")
            return Opaque(_sealer(redemption, desk).open(receipt, context=artifact.digest).decode("ascii"))
        # Too often, or somebody has used the successor since it was looked at: that is reuse like any other.
        seen = await desk.store.artifacts.get(artifact.kind, artifact.digest, at=now)
        if not isinstance(seen, Spent):
            raise InvalidGrantError(_REFUSED, why="its family ended meanwhile")
        if _lost_answer(seen, window=window, at=now):
            raise InvalidGrantError("The answer was asked for too often.", why=f"retries of {artifact.client_id}")
    await revoke_family(artifact, desk, name=f"{artifact.kind}.reused")
    raise InvalidGrantError(_REFUSED, why="spent before: its family ends")


def _lost_answer(spent: Spent, *, window: int, at: Instant) -> bool:
    return spent.receipt is not None and spent.successor_unused and at - spent.spent_at < window


def _seal(secret: Opaque, redemption: Redemption, desk: Desk) -> bytes:
    return _sealer(redemption, desk).seal(secret.value.encode("ascii"), context=redemption.artifact.digest)


def _sealer(redemption: Redemption, desk: Desk) -> Sealer:
    return Sealer(redemption.secret.value.encode("ascii"), "successor", ambient=desk.ambient)


async def _note(artifact: Artifact, desk: Desk, *, name: str) -> None:
    event = Event(
        at=desk.ambient.now(), name=name, subject=artifact.subject, client_id=artifact.client_id, sid=artifact.sid
    )
    await desk.store.events.add(event)
