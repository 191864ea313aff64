"""NIST SP 800-63B-4 section 4.1, rule O3: a one-time link makes the first administrator, or lets a person choose a password."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.issuer.accounts import invitations
from carnet.issuer.accounts.errors import LinkSpentError, PersonError
from carnet.issuer.accounts.password_rule import MIN_LENGTH, WeakPasswordError
from carnet.issuer.accounts.people import ADMIN
from carnet.issuer.browser import Visit, check_form, csrf_field, link_parameters, sign_in, visit
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.http_security import written_address
from carnet.issuer.login.device import remember
from carnet.issuer.refusals import RefusalError, page
from carnet.oauth.parameters import Parameters

PURPOSE = "welcome"


@page
async def show(request: Request, desk: Desk) -> Response:
    """Only show: programs that look at links in messages spend nothing."""
    seen = await visit(request, desk)
    return await _form(request, desk, seen, link_parameters(request))


@page
async def enter(request: Request, desk: Desk) -> Response:
    seen = await visit(request, desk)
    form = await check_form(request, desk, seen, PURPOSE)
    password = form.get("password") or ""
    if password != (form.get("repeated") or ""):
        return await _form(request, desk, seen, form, error="password.differ", field="repeated")
    try:
        account = await invitations.accept(
            desk,
            form.get("invitation") or "",
            email=form.get("email") or "",
            name=form.get("name"),
            password=password,
            address=written_address(request, desk.config),
        )
    except LinkSpentError:
        raise RefusalError(410, "link_spent") from None
    except WeakPasswordError as error:
        return await _form(request, desk, seen, form, error=f"password.{error.key}", field="password")
    except PersonError as error:
        return await _form(request, desk, seen, form, error=f"person.{error.key}", field=error.field)
    if account.totp is not None:  # rule O9: the new password is one proof of two
        return RedirectResponse(f"{desk.config.issuer}/login", 303)
    await sign_in(request, desk, seen, account, amr=("pwd",))
    remember(request, desk, account.subject)
    place = "/admin" if ADMIN in account.roles else "/account"
    return RedirectResponse(desk.config.issuer + place, 303)


async def _form(
    request: Request, desk: Desk, seen: Visit, given: Parameters, *, error: str | None = None, field: str | None = None
) -> Response:
    token = given.get("invitation") or ""
    try:
        invited = (await invitations.invitation(desk, token)).account
    except LinkSpentError:
        raise RefusalError(410, "link_spent") from None
    return desk.pages.render(
        request,
        "welcome",
        status=200 if error is None else 422,
        csrf=csrf_field(desk, seen, PURPOSE),
        invitation=token,
        account=invited,
        email=given.get("email") or "",
        name=given.get("name") or (invited.name if invited else None) or "",
        min_length=MIN_LENGTH,
        error=error,
        field=field,
    )


ENDPOINTS = (
    Endpoint("/welcome", ("GET",), show),
    Endpoint("/welcome", ("POST",), enter),
)
