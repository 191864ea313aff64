"""OpenID Connect Core section 3.1.2.3: the sign-in page."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.issuer.accounts.details import MAX_EMAIL
from carnet.issuer.browser import Visit, check_form, link_parameters, visit
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.endpoints import second_proof
from carnet.issuer.login import LoginMethod, NotProvedError
from carnet.issuer.login.errand import Errand, complete, errand_of, proof_page
from carnet.issuer.login.password import Password
from carnet.issuer.login.ticket import issue
from carnet.issuer.refusals import RefusalError, page

METHODS: dict[str, LoginMethod] = {"password": Password()}
"""By the value of the form's field `method`; each has its template `login_<method>.html`."""

PURPOSE = "login"


@page
async def show(request: Request, desk: Desk) -> Response:
    seen = await visit(request, desk)
    errand = await errand_of(request, desk, seen, link_parameters(request))
    if seen.account is not None and errand.flow is None and errand.back is None:
        return RedirectResponse(f"{desk.config.issuer}/account", 303)
    return _form(request, desk, seen, errand, email=_likely_email(seen, errand))


def _likely_email(seen: Visit, errand: Errand) -> str:
    """Who the client expects, or is signed in."""
    hint = errand.flow.parameters.get("login_hint") if errand.flow else None
    if hint is not None:
        return hint[:MAX_EMAIL]
    return seen.account.email if seen.account is not None and not _chooses(errand) else ""


def _chooses(errand: Errand) -> bool:
    """Whether it is asked which account it is to be: then nobody is expected."""
    prompt = errand.flow.parameters.get("prompt") if errand.flow else None
    return "select_account" in (prompt or "").split()


@page
async def enter(request: Request, desk: Desk) -> Response:
    seen = await visit(request, desk)
    form = await check_form(request, desk, seen, PURPOSE)
    errand = await errand_of(request, desk, seen, form)
    method = METHODS.get(form.get("method") or "")
    if method is None:
        raise RefusalError(400, "no_form", why="no such method")
    try:
        account = await method.prove(request, desk, seen, form)
    except NotProvedError as error:
        return _form(request, desk, seen, errand, email=form.get("email") or "", error=error)
    if account.totp is not None:
        ticket = await issue(desk, seen, account, method.amr)
        return second_proof.form(request, desk, seen, errand, ticket=ticket)
    return await complete(request, desk, seen, account, method.amr, errand)


def _form(
    request: Request, desk: Desk, seen: Visit, errand: Errand, *, email: str, error: NotProvedError | None = None
) -> Response:
    return proof_page(
        request,
        desk,
        seen,
        errand,
        PURPOSE,
        error=error,
        methods=tuple(METHODS),
        again=seen.account is not None and not _chooses(errand),
        email=email,
    )


ENDPOINTS = (
    Endpoint("/login", ("GET",), show),
    Endpoint("/login", ("POST",), enter),
)
