"""OpenID Connect Back-Channel Logout 1.0: clients are told when a session ends: outside of any request, and again if need be.

Whatever ends a session makes its participants due in the store; this takes them from there, so that a notice is lost neither
with a process nor with a node.
"""

import asyncio
import logging
from typing import Final
from urllib.parse import urlencode

from carnet.issuer.desk import Desk
from carnet.issuer.egress import EgressError
from carnet.issuer.envelope import envelope
from carnet.issuer.opaque import fresh_name
from carnet.issuer.pairwise import sid_for, subject_for
from carnet.issuer.storage.records import Client, Event, Participant
from carnet.jose.profiles import LOGOUT_TOKEN
from carnet.oauth.errors import OAuthError

PAUSES: Final = (10, 60, 600, 3_600, 21_600)
"""Seconds after which a client that could not be told is tried again; after the last try it is given up."""
INTERVAL = 1.0
"""Seconds between two looks at whom to tell."""
LIFETIME = 120
"""Section 2.4: seconds of a logout token; each try has a token of its own."""

EVENT = "http://schemas.openid.net/event/backchannel-logout"

log = logging.getLogger("carnet.logout")


async def tell_forever(desk: Desk) -> None:
    """Tell until cancelled; what fails is tried again."""
    while True:
        try:
            told = await tell(desk)
        except Exception:
            log.exception("The ends of sessions could not be told; it is tried again.")
            told = 0
        if not told:
            await asyncio.sleep(INTERVAL)


async def tell(desk: Desk) -> int:
    """Tell those who are due now, side by side; the answer is how many those were."""
    due = await desk.store.participants.due(at=desk.ambient.now(), pauses=PAUSES)
    await asyncio.gather(*(_tell(participant, desk) for participant in due))
    return len(due)


async def _tell(participant: Participant, desk: Desk) -> None:
    client = await desk.store.clients.get(participant.client_id)
    if client is None or client.backchannel_logout_uri is None:
        await desk.store.participants.leave(participant)
        return
    try:
        token = await _logout_token(participant, client, desk)
    except OAuthError as error:
        failure: str | None = str(error)
    else:
        failure = await _send(client.backchannel_logout_uri, token, desk)
    if failure is None:
        await desk.store.participants.leave(participant)
        return
    log.warning("%s could not be told that a session has ended: %s", client.client_id, failure)
    if participant.tries >= len(PAUSES):
        await desk.store.events.add(
            Event(
                at=desk.ambient.now(),
                name="logout.not_told",
                subject=participant.subject,
                client_id=client.client_id,
                sid=participant.told,
                detail={"tries": participant.tries + 1},
            )
        )


async def _send(url: str, logout_token: str, desk: Desk) -> str | None:
    """Section 2.5; the answer is what went wrong, None if the client has done it (section 2.8: 200, or 204 as some do)."""
    try:
        fetched = await desk.egress.request(
            "POST",
            url,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            content=urlencode({"logout_token": logout_token}).encode("ascii"),
        )
    except EgressError as error:
        return str(error)
    return None if fetched.status in {200, 204} else f"it answers {fetched.status}"


async def _logout_token(participant: Participant, client: Client, desk: Desk) -> str:
    """Section 2.4: signed, and encrypted where the client wants that, as its ID tokens are.

    Raises:
        OAuthError: there is no key to encrypt it to.
    """
    now = desk.ambient.now()
    claims = {
        "iss": desk.config.issuer,
        "sub": subject_for(client, participant.subject, desk),
        "aud": client.client_id,
        "iat": now,
        "exp": now + LIFETIME,
        "jti": fresh_name(desk.ambient),
        "events": {EVENT: {}},
        "sid": sid_for(client, participant.told, desk),
    }
    return (await envelope("id_token", client, desk)).close(claims, typ=str(LOGOUT_TOKEN.types[0]))
