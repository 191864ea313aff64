"""RFC 9470, rule O9: the page for the second proof: in the middle of a sign-in, or of a session that is to be stronger."""

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.authorization_request import authorization_request, return_address
from carnet.issuer.browser import Visit, check_form, link_parameters, visit
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.interaction import Interaction, needed
from carnet.issuer.login import NotProvedError, SecondFactor, ticket
from carnet.issuer.login.errand import Errand, complete, errand_of, proof_page
from carnet.issuer.login.recovery_code import RecoveryCode
from carnet.issuer.login.second_factor import check_second
from carnet.issuer.login.totp import TimedCode
from carnet.issuer.refusals import RefusalError, SeeOtherError, page
from carnet.issuer.storage.records import Account
from carnet.oauth import acr
from carnet.oauth.errors import OAuthError

METHODS: dict[str, SecondFactor] = {"totp": TimedCode(), "recovery_code": RecoveryCode()}
"""By the value of the form's field `method`; each has its template `second_<method>.html`."""

PURPOSE = "second_proof"


@page
async def show(request: Request, desk: Desk) -> Response:
    """For a session that is to be stronger. In the middle of a sign-in the page is the answer to the first proof."""
    seen = await visit(request, desk)
    errand = await errand_of(request, desk, seen, link_parameters(request))
    await _stepping_up(desk, seen, errand)
    return form(request, desk, seen, errand)


@page
async def enter(request: Request, desk: Desk) -> Response:
    seen = await visit(request, desk)
    given = await check_form(request, desk, seen, PURPOSE)
    errand = await errand_of(request, desk, seen, given)
    method = METHODS.get(given.get("method") or "")
    if method is None:
        raise RefusalError(400, "no_form", why="no such method")
    half = given.get("ticket")
    if half is None:
        account, first = await _stepping_up(desk, seen, errand)
    else:
        account, read = await ticket.read(desk, seen, half)
        first = read.amr
    try:
        account = await check_second(request, desk, account, method, given)
    except NotProvedError as error:
        return form(request, desk, seen, errand, ticket=half, error=error)
    if half is not None:
        await ticket.spend(desk, half)
    return await complete(request, desk, seen, account, acr.with_second(first, method.amr), errand)


async def _stepping_up(desk: Desk, seen: Visit, errand: Errand) -> tuple[Account, tuple[str, ...]]:
    """Who is signed in, and how: the second proof alone is enough only where the request needs nothing else.

    Raises:
        SeeOtherError: something else is needed: a whole sign-in, say, since the first proof is older than `max_age`.
    """
    if seen.account is None or seen.session is None or errand.flow is None:
        raise SeeOtherError(f"{desk.config.issuer}/login{errand.query}")
    back = await return_address(errand.flow.parameters, desk)
    try:
        asked = await authorization_request(errand.flow.parameters, back, desk)
        step = needed(
            asked,
            seen.session,
            None,
            flow=errand.flow,
            at=desk.ambient.now(),
            second_factor=seen.account.totp is not None,
        )
    except OAuthError:
        step = None
    if step is not Interaction.SECOND_PROOF:
        raise SeeOtherError(errand.onward(desk, seen))
    return seen.account, seen.session.amr


def form(
    request: Request,
    desk: Desk,
    seen: Visit,
    errand: Errand,
    *,
    ticket: str | None = None,
    error: NotProvedError | None = None,
) -> Response:
    """The page; `ticket` is that of a sign-in whose first proof was given just now."""
    return proof_page(
        request,
        desk,
        seen,
        errand,
        PURPOSE,
        error=error,
        methods=tuple(METHODS),
        stepping_up=ticket is None,
        carried=errand.fields if ticket is None else errand.fields | {"ticket": ticket},
    )


ENDPOINTS = (
    Endpoint("/login/second", ("GET",), show),
    Endpoint("/login/second", ("POST",), enter),
)
