"""OpenID Connect Core section 3.1.2.3: the sign-in page."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.issuer.accounts.details import MAX_EMAIL
from carnet.issuer.accounts.people import Actor, note
from carnet.issuer.browser import Visit, check_form, csrf_field, link_parameters, sign_in, visit
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.flow import Flow, open_flow, resume_url
from carnet.issuer.http_security import written_address
from carnet.issuer.login import LoginMethod, NotProvedError
from carnet.issuer.login.device import remember
from carnet.issuer.login.password import Password
from carnet.issuer.login.returning import way_back
from carnet.issuer.refusals import RefusalError, page
from carnet.oauth.parameters import Parameters

METHODS: dict[str, LoginMethod] = {"password": Password()}
"""By the value of the form's field `method`; each has its template `login_<method>.html`."""

PURPOSE = "login"


@dataclass(frozen=True, slots=True)
class Errand:
    """What the browser came for and goes on with when somebody has signed in."""

    given: Parameters
    """`flow` or `back`, as the link or the form has it."""
    flow: Flow | None
    back: str | None
    client_name: str | None


@page
async def show(request: Request, desk: Desk) -> Response:
    seen = await visit(request, desk)
    errand = await _errand(desk, seen, link_parameters(request))
    if seen.account is not None and errand.flow is None and errand.back is None:
        return RedirectResponse(f"{desk.config.issuer}/account", 303)
    hint = errand.flow.parameters.get("login_hint") if errand.flow else None
    return _form(
        request, desk, seen, errand, email=(hint or "")[:MAX_EMAIL] or (seen.account.email if seen.account else "")
    )


@page
async def enter(request: Request, desk: Desk) -> Response:
    seen = await visit(request, desk)
    form = await check_form(request, desk, seen, PURPOSE)
    errand = await _errand(desk, seen, form)
    method = METHODS.get(form.get("method") or "")
    if method is None:
        raise RefusalError(400, "no_form", why="no such method")
    try:
        account = await method.prove(request, desk, seen, form)
    except NotProvedError as error:
        return _form(request, desk, seen, errand, email=form.get("email") or "", error=error)
    now_in = await sign_in(request, desk, seen, account, amr=method.amr)
    remember(request, desk, account.subject)
    await note(
        desk,
        "sign_in.succeeded",
        account,
        Actor(account.subject, written_address(request, desk.config)),
        sid=now_in.session.sid if now_in.session else None,
        amr=list(method.amr),
    )
    return RedirectResponse(_onward(desk, now_in, errand), 303)


async def _errand(desk: Desk, seen: Visit, given: Parameters) -> Errand:
    sealed_flow, sealed_back = given.get("flow"), given.get("back")
    flow = open_flow(desk, sealed_flow, browser=seen.browser_digest) if sealed_flow else None
    back = way_back(desk, seen, sealed_back) if sealed_back else None
    client_id = flow.parameters.get("client_id") if flow else None
    client = await desk.store.clients.get(client_id) if client_id else None
    return Errand(given, flow, back, client.client_name if client else None)


def _onward(desk: Desk, seen: Visit, errand: Errand) -> str:
    if errand.flow is not None:
        return resume_url(desk, errand.flow, browser=seen.browser_digest)
    return desk.config.issuer + (errand.back or "/account")


def _form(
    request: Request, desk: Desk, seen: Visit, errand: Errand, *, email: str, error: NotProvedError | None = None
) -> Response:
    redirect_uri = errand.flow.parameters.get("redirect_uri") if errand.flow else None
    response = desk.pages.render(
        request,
        "login",
        status=200 if error is None else 429 if error.retry_after else 403,
        form_targets=(redirect_uri,) if redirect_uri else (),
        csrf=csrf_field(desk, seen, PURPOSE),
        methods=tuple(METHODS),
        client_name=errand.client_name,
        again=seen.account is not None,
        email=email,
        flow=errand.given.get("flow"),
        back=errand.given.get("back"),
        error=error,
    )
    if error is not None and error.retry_after:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


ENDPOINTS = (
    Endpoint("/login", ("GET",), show),
    Endpoint("/login", ("POST",), enter),
)
