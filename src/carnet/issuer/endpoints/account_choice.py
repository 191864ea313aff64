"""OpenID Connect Core section 3.1.2.1, `prompt=select_account`: the page on which a person says with which account they go on."""

from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.issuer.browser import Visit, check_form, csrf_field, link_parameters, visit
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.flow import Flow, resume_url, seal_flow
from carnet.issuer.login.errand import Errand, errand_of
from carnet.issuer.refusals import RefusalError, SeeOtherError, page
from carnet.issuer.storage.records import Account
from carnet.oauth.parameters import Parameters

PURPOSE = "account_choice"


@page
async def show(request: Request, desk: Desk) -> Response:
    seen = await visit(request, desk)
    account, _, errand = await _waiting(request, seen, link_parameters(request), desk)
    return desk.pages.render(
        request,
        "account_choice",
        form_targets=errand.form_targets,
        csrf=csrf_field(desk, seen, PURPOSE),
        carried=errand.fields,
        client_name=errand.client_name,
        account=account,
    )


@page
async def choose(request: Request, desk: Desk) -> Response:
    """Going on as who is signed in counts for this request alone; for anybody else there is the sign-in page."""
    seen = await visit(request, desk)
    form = await check_form(request, desk, seen, PURPOSE)
    account, flow, _ = await _waiting(request, seen, form, desk)
    match form.get("account"):
        case "this":
            chosen = msgspec.structs.replace(flow, chosen=account.subject)
            return RedirectResponse(resume_url(desk, chosen, browser=seen.browser_digest), 303)
        case "another":
            sealed = seal_flow(desk, flow, browser=seen.browser_digest)
            return RedirectResponse(f"{desk.config.issuer}/login?{urlencode({'flow': sealed})}", 303)
    raise RefusalError(400, "no_form", why="no account was chosen")


async def _waiting(request: Request, seen: Visit, given: Parameters, desk: Desk) -> tuple[Account, Flow, Errand]:
    """The account that is signed in, and the request that waits.

    Raises:
        RefusalError: no request waits.
        SeeOtherError: nobody is signed in any more; `/authorize` has to say what is next.
    """
    errand = await errand_of(request, desk, seen, given)
    if errand.flow is None:
        raise RefusalError(400, "stale_flow", why="there is no flow")
    if seen.account is None:
        raise SeeOtherError(resume_url(desk, errand.flow, browser=seen.browser_digest))
    return seen.account, errand.flow, errand


ENDPOINTS = (
    Endpoint("/login/account", ("GET",), show),
    Endpoint("/login/account", ("POST",), choose),
)
