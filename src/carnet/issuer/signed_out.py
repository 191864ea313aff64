"""OpenID Connect Front-Channel Logout section 3: the page after a sign-out, on which apps sign the person out of themselves."""

from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.issuer.desk import Desk
from carnet.issuer.pairwise import sid_for
from carnet.issuer.storage.records import Client, Session

FRAMES_TAKE = 3
"""Seconds that the apps' pages in frames are given before the browser goes on."""


async def frames_of(session: Session, desk: Desk) -> tuple[str, ...]:
    """The pages of the clients that take part in a session, each with `iss` and `sid`; to be asked before the session ends."""
    urls = []
    for participant in await desk.store.participants.of(session.sid):
        client = await desk.store.clients.get(participant.client_id)
        if client is not None and client.frontchannel_logout_uri is not None:
            joint = "&" if urlsplit(client.frontchannel_logout_uri).query else "?"
            named = urlencode({"iss": desk.config.issuer, "sid": sid_for(client, participant.told, desk)})
            urls.append(f"{client.frontchannel_logout_uri}{joint}{named}")
    return tuple(urls)


def signed_out(
    request: Request,
    desk: Desk,
    frames: tuple[str, ...],
    *,
    client: Client | None = None,
    onward: str | None = None,
) -> Response:
    """Say that it is done, or go on to `onward`: at once, or when the frames have had their time."""
    if onward is not None and not frames:
        return RedirectResponse(onward, 303)
    return desk.pages.render(request, "signed_out", client=client, onward=onward, delay=FRAMES_TAKE, frames=frames)
