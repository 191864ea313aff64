"""OpenID CIBA Core section 8: the page on which a person sees what apps ask of them from elsewhere, and decides."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.issuer import backchannel_requests
from carnet.issuer.browser import Visit, check_form, csrf_field, link_parameters, visit
from carnet.issuer.decisions import record
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.endpoints.consent import written_details
from carnet.issuer.http_security import written_address
from carnet.issuer.interaction import Interaction
from carnet.issuer.login.returning import sign_in_url
from carnet.issuer.refusals import RefusalError, SeeOtherError, page
from carnet.issuer.scope_sentences import scope_sentences
from carnet.issuer.storage.records import Account, Session
from carnet.oauth import acr

PURPOSE = "approvals"

NOTICES = ("approved", "denied")
"""What `done` may say; each is a sentence `approvals.<done>`."""


@page
async def show(request: Request, desk: Desk) -> Response:
    seen = await visit(request, desk)
    account, _ = _who(desk, seen)
    done = link_parameters(request).get("done")
    waiting = [
        (
            one,
            client,
            await scope_sentences(request, desk, one.asked.scope),
            written_details(one.asked.authorization_details),
        )
        for one in await backchannel_requests.waiting_for(desk, account.subject)
        if (client := await desk.store.clients.get(one.asked.client_id)) is not None
    ]
    return desk.pages.render(
        request,
        "approvals",
        csrf=csrf_field(desk, seen, PURPOSE),
        account=account,
        waiting=waiting,
        notice=f"approvals.{done}" if done in NOTICES else None,
    )


@page
async def decide(request: Request, desk: Desk) -> Response:
    seen = await visit(request, desk)
    form = await check_form(request, desk, seen, PURPOSE)
    account, session = _who(desk, seen)
    choice = form.get("decision")
    if choice not in {"allow", "deny"}:
        raise RefusalError(400, "no_form", why="no decision")
    allowed = choice == "allow"
    one = await backchannel_requests.find(desk, form.get("request") or "", session.subject)
    if one is not None and allowed:
        _check_proof(desk, seen, account, session, one.asked.acr_values)
    made = None if one is None else await backchannel_requests.decide(desk, one, session, allowed=allowed)
    if made is None:
        raise RefusalError(400, "stale_approval", why="nothing to decide for this person")
    await record(made, desk, of="backchannel_request", address=written_address(request, desk.config))
    return RedirectResponse(f"{desk.config.issuer}/approvals?done={'approved' if allowed else 'denied'}", 303)


def _check_proof(desk: Desk, seen: Visit, account: Account, session: Session, wanted: Sequence[str]) -> None:
    """RFC 9470 section 5: what is allowed is as strong as was asked for.

    Raises:
        SeeOtherError: the person proves more first, and then decides.
    """
    if wanted and acr.met(session.acr, wanted) is None:
        set_up = account.totp is not None
        raise SeeOtherError(
            sign_in_url(desk, seen, "/approvals")
            if set_up
            else f"{desk.config.issuer}/{Interaction.SECOND_FACTOR.value}"
        )


def _who(desk: Desk, seen: Visit) -> tuple[Account, Session]:
    if seen.account is None or seen.session is None:
        raise SeeOtherError(sign_in_url(desk, seen, "/approvals"))
    return seen.account, seen.session


ENDPOINTS = (
    Endpoint("/approvals", ("GET",), show),
    Endpoint("/approvals", ("POST",), decide),
)
