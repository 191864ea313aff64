"""RFC 8417, OpenID Shared Signals Framework section 4: the security event tokens (SETs) in which a stream is told."""

from collections.abc import Sequence
from typing import Any

from carnet.ambient import Instant
from carnet.issuer.desk import Desk
from carnet.issuer.pairwise import sid_for, subject_for
from carnet.issuer.storage.records import Client, Signal
from carnet.jose import sign_jwt
from carnet.oauth.security_events import TYP, opaque, person, session_of


def token_id(signal: Signal) -> str:
    """RFC 8417 section 2.2, `jti`: the number alone could come again, after an old database was put back."""
    return f"{signal.number}-{signal.at}"


def marks(token_ids: Sequence[str]) -> list[tuple[int, Instant]]:
    """The numbers and times of those that are ours, at most 15 digits each; others are passed over."""
    found = []
    for name in token_ids:
        number, _, at = name.partition("-")
        if all(part.isascii() and part.isdigit() and len(part) <= 15 for part in (number, at)):
            found.append((int(number), int(at)))
    return found


async def signed(signals: Sequence[Signal], client: Client, desk: Desk) -> dict[str, str]:
    """Each in a SET of its own for the client whose stream it is on, by its `jti`; one that is made again says the same."""
    key = await desk.keyring.signing_key()
    return {token_id(signal): sign_jwt(_claims(signal, client, desk), key, typ=TYP) for signal in signals}


def _claims(signal: Signal, client: Client, desk: Desk) -> dict[str, Any]:
    """Neither `sub` nor `exp` (sections 4.1.2 and 4.1.7), and one event alone (Interoperability Profile section 2.8.1)."""
    return {
        "iss": desk.config.issuer,
        "aud": client.client_id,
        "iat": signal.at,
        "jti": token_id(signal),
        "txn": f"{signal.cause}-{signal.at}",
        "sub_id": _subject(signal, client, desk),
        "events": {signal.happening.event: signal.happening.claims},
    }


def _subject(signal: Signal, client: Client, desk: Desk) -> dict[str, Any]:
    """RFC 9493, section 3: the stream itself, a person, or one session of a person, under the names that the client knows."""
    if signal.subject is None:
        return opaque(signal.stream_id)
    subject = subject_for(client, signal.subject, desk)
    if signal.happening.sid is None:
        return person(desk.config.issuer, subject)
    return session_of(desk.config.issuer, subject, sid_for(client, signal.happening.sid, desk))
