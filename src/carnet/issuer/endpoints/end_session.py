"""OpenID Connect RP-Initiated Logout 1.0: a client asks that the person be signed out here."""

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.issuer.answers import read_form
from carnet.issuer.browser import Visit, check_form, csrf_field, link_parameters, sign_out, visit
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.http_security import written_address
from carnet.issuer.pages import prefer
from carnet.issuer.pairwise import sid_for
from carnet.issuer.presented_tokens import Claims, hinted
from carnet.issuer.refusals import RefusalError, page
from carnet.issuer.signed_out import frames_of, signed_out
from carnet.issuer.storage.records import Client, Event
from carnet.oauth.errors import InvalidRequestError
from carnet.oauth.parameters import Parameters

PURPOSE = "sign_out"

_CARRIED = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")
"""Section 2: the parameters that the confirmation takes along; all forms of ours take `ui_locales`."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A request that is right in itself."""

    client: Client | None
    hint: Claims | None
    redirect_uri: str | None
    state: str | None

    def speaks_for(self, seen: Visit, desk: Desk) -> bool:
        """Section 2: whether the hint is of the session that is signed in here, so that nobody need be asked."""
        if self.hint is None or self.client is None or seen.session is None:
            return False
        return bool(self.hint.get("sid") == sid_for(self.client, seen.session.sid, desk))


@page
async def show(request: Request, desk: Desk) -> Response:
    return await _begin(link_parameters(request), request, desk)


@page
async def by_post(request: Request, desk: Desk) -> Response:
    """Section 2 allows POST too; with our own `csrf` field it is the confirmation."""
    try:
        given = await read_form(request)
    except InvalidRequestError as error:
        raise RefusalError(400, "bad_request", why=str(error)) from None
    if "csrf" not in given:
        # A POST from another site brings no Lax cookie; the same request by GET does.
        pairs = [(name, value) for name, value in given.pairs() if name in {*_CARRIED, "ui_locales"}]
        return RedirectResponse(f"{desk.config.issuer}/end_session?{urlencode(pairs)}", 303)
    seen = await visit(request, desk)
    given = await check_form(request, desk, seen, PURPOSE)
    return await _end(await _wish(given, desk), seen, request, desk)


async def _begin(given: Parameters, request: Request, desk: Desk) -> Response:
    prefer(request, given.get("ui_locales"))
    wish = await _wish(given, desk)
    seen = await visit(request, desk)
    if seen.session is None or wish.speaks_for(seen, desk):
        return await _end(wish, seen, request, desk)
    return desk.pages.render(
        request,
        "sign_out",
        form_targets=(wish.redirect_uri,) if wish.redirect_uri else (),
        csrf=csrf_field(desk, seen, PURPOSE),
        client=wish.client,
        account=seen.account,
        hidden=[(name, value) for name, value in given.pairs() if name in _CARRIED],
    )


async def _wish(given: Parameters, desk: Desk) -> Wish:
    """Check everything before anything is done.

    Raises:
        RefusalError: the hint is not ours, the client is not known or not the hint's, or the URI is not one of its own (section
            3: then there is no redirect).
    """
    token, client_id, uri = given.get("id_token_hint"), given.get("client_id"), given.get("post_logout_redirect_uri")
    hint = await hinted(token, desk) if token is not None else None
    if token is not None and hint is None:
        raise RefusalError(400, "bad_request", why="the id_token_hint is not ours")
    if hint is not None and client_id not in {None, hint["aud"]}:
        raise RefusalError(400, "bad_request", why="the client_id is not the hint's")
    named = client_id if hint is None else str(hint["aud"])
    client = await desk.store.clients.get(named) if named is not None else None
    if named is not None and client is None:
        raise RefusalError(400, "unknown_client", why=f"client_id {named!r}")
    if uri is not None and (client is None or uri not in client.post_logout_redirect_uris):
        raise RefusalError(400, "foreign_redirect_uri", why=f"{named} asks for {uri!r}")
    return Wish(client, hint, uri, given.get("state"))


async def _end(wish: Wish, seen: Visit, request: Request, desk: Desk) -> Response:
    frames: tuple[str, ...] = ()
    if seen.session is not None:
        frames = await frames_of(seen.session, desk)
        await sign_out(request, desk, seen)
        await desk.store.events.add(
            Event(
                at=desk.ambient.now(),
                name="session.ended",
                subject=seen.session.subject,
                client_id=wish.client.client_id if wish.client else None,
                sid=seen.session.sid,
                address=written_address(request, desk.config),
            )
        )
    return signed_out(request, desk, frames, client=wish.client, onward=_onward(wish))


def _onward(wish: Wish) -> str | None:
    """Section 3: where the client wants the browser afterwards, with its `state`."""
    if wish.redirect_uri is None:
        return None
    state = {} if wish.state is None else {"state": wish.state}
    joint = "" if not state else "&" if "?" in wish.redirect_uri else "?"
    return f"{wish.redirect_uri}{joint}{urlencode(state)}"


ENDPOINTS = (
    Endpoint("/end_session", ("GET",), show, metadata="end_session_endpoint"),
    Endpoint("/end_session", ("POST",), by_post),
)
