"""RFC 7517: the issuer's keys as administrators see and change them, for the command and the API alike."""

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Struct

from carnet.ambient import Instant, lapsed
from carnet.issuer.desk import Desk
from carnet.issuer.storage.records import Event, SigningKeyRecord


class Key(Struct, frozen=True, kw_only=True):
    """One of the issuer's keys; never its private part."""

    kid: str
    alg: str
    use: Literal["sig", "enc"]
    """RFC 7517 section 4.2."""
    state: Literal["signs", "next", "published", "retired", "compromised"]
    created_at: Instant
    signs_from: Instant
    """Sooner, but not before `ready_from`, if all guards that listen to the revocation feed hold it."""
    ready_from: Instant | None
    retires_at: Instant | None
    compromised_at: Instant | None


def key_of(record: SigningKeyRecord, in_use: frozenset[str], *, at: Instant) -> Key:
    """`in_use`: the kids of those that sign now."""
    state: Literal["signs", "next", "published", "retired", "compromised"]
    if record.compromised_at is not None:
        state = "compromised"
    elif record.retires_at is not None and lapsed(record.retires_at, at=at):
        state = "retired"
    elif record.kid in in_use:
        state = "signs"
    else:
        state = "next" if record.signs_from > at else "published"
    return Key(
        kid=record.kid,
        alg=record.alg,
        use="enc" if record.purpose == "encryption" else "sig",
        state=state,
        created_at=record.created_at,
        signs_from=record.signs_from,
        ready_from=record.ready_from,
        retires_at=record.retires_at,
        compromised_at=record.compromised_at,
    )


async def described(desk: Desk, records: Iterable[SigningKeyRecord]) -> list[Key]:
    """As they are now."""
    in_use, now = await desk.keyring.in_use(), desk.ambient.now()
    return [key_of(record, in_use, at=now) for record in records]


async def rotate(desk: Desk, *, actor: str, after: int | None = None) -> tuple[SigningKeyRecord, ...]:
    """Make a new key for each that is in use, the one for access tokens first; `after`: so many seconds it waits at most.

    Raises:
        KeyringError: another process rotates at the same moment.
    """
    made = (await desk.keyring.rotate(after=after), *await desk.keyring.rotate_others())
    await _note(desk, "keys.rotated", actor, kids=[record.kid for record in made])
    return made


async def retire(desk: Desk, kid: str, *, compromised: bool, actor: str) -> None:
    """Stop publishing a key now; `compromised`: guards refuse what it has signed at once.

    Raises:
        KeyringError: there is no such key.
    """
    await desk.keyring.retire(kid, compromised=compromised)
    await _note(desk, "key.retired", actor, kid=kid, compromised=compromised)


async def _note(desk: Desk, name: str, actor: str, **detail: Any) -> None:
    await desk.store.events.add(Event(at=desk.ambient.now(), name=name, actor=actor, detail=detail))
