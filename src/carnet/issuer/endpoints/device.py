"""RFC 8628 sections 3.3 and 5: the page on which a person enters a device's code and decides (rule O14)."""

from io import BytesIO
from urllib.parse import urlencode

import segno
from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer import device_codes
from carnet.issuer.browser import Visit, check_form, csrf_field, link_parameters, visit
from carnet.issuer.decisions import record
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.endpoints.consent import written_details
from carnet.issuer.http_security import asking_block, written_address
from carnet.issuer.login.returning import sign_in_url
from carnet.issuer.refusals import RefusalError, SeeOtherError, page
from carnet.issuer.scope_sentences import scope_sentences
from carnet.issuer.storage.records import Account, Session
from carnet.oauth import user_code
from carnet.oauth.parameters import Parameters

PURPOSE = "device"

TRIES = 5
"""Codes that one person may enter within `WINDOW` (rule O14)."""
TRIES_FROM_ADDRESS = 25
"""And all people behind one address."""
WINDOW = 600
"""Seconds."""


@page
async def show(request: Request, desk: Desk) -> Response:
    """Section 3.3.1: a code that comes with the link is still shown, to be compared with the one on the device."""
    seen = await visit(request, desk)
    given = link_parameters(request)
    _who(desk, seen, given)
    return _form(request, desk, seen, code=given.get("user_code") or "")


@page
async def enter(request: Request, desk: Desk) -> Response:
    seen = await visit(request, desk)
    form = await check_form(request, desk, seen, PURPOSE)
    account, session = _who(desk, seen, form)
    if "decision" in form:
        return await _decide(request, desk, session, form)
    await _admit(request, desk, account)
    typed = form.get("user_code") or ""
    code = user_code.read(typed)
    asked = await device_codes.claim(desk, code, session) if code is not None else None
    client = await desk.store.clients.get(asked.client_id) if asked is not None else None
    if code is None or asked is None or client is None:
        return _form(request, desk, seen, code=typed, error="device.not_valid")
    return desk.pages.render(
        request,
        "device_confirm",
        csrf=csrf_field(desk, seen, PURPOSE),
        code=user_code.written(code),
        client=client,
        account=account,
        scopes=await scope_sentences(request, desk, asked.scope),
        details=written_details(asked.authorization_details),
        asked=asked,
    )


@page
async def picture(request: Request, desk: Desk) -> Response:
    """The page's address as a QR code, for going on with a phone; with no code but one that could be one."""
    code = user_code.read(link_parameters(request).get("user_code") or "")
    address = desk.config.issuer + _path(code)
    drawn = BytesIO()
    segno.make(address, error="m", micro=False).save(
        drawn, kind="svg", scale=5, border=3, dark="#1b232c", light="#ffffff", xmldecl=False
    )
    return Response(drawn.getvalue(), headers={"Content-Type": "image/svg+xml"})


def _who(desk: Desk, seen: Visit, given: Parameters) -> tuple[Account, Session]:
    """Whoever is signed in.

    Raises:
        SeeOtherError: nobody is: sign in first, and come back with the code.
    """
    if seen.account is None or seen.session is None:
        raise SeeOtherError(sign_in_url(desk, seen, _path(user_code.read(given.get("user_code") or ""))))
    return seen.account, seen.session


def _path(code: str | None) -> str:
    return "/device" if code is None else f"/device?{urlencode({'user_code': user_code.written(code)})}"


async def _admit(request: Request, desk: Desk, account: Account) -> None:
    """Section 5.1: count one try, before the code is looked at.

    Raises:
        RefusalError: there were too many.
    """
    now = desk.ambient.now()
    for tries, key in (
        (TRIES, f"device/account/{account.subject}"),
        (TRIES_FROM_ADDRESS, f"device/address/{asking_block(request, desk.config)}"),
    ):
        if await desk.store.throttle.hit(key, at=now, window=WINDOW) > tries:
            raise RefusalError(429, "too_many_codes", retry_after=WINDOW)


async def _decide(request: Request, desk: Desk, session: Session, form: Parameters) -> Response:
    code, decision = user_code.read(form.get("user_code") or ""), form.get("decision")
    if code is None or decision not in {"allow", "deny"}:
        raise RefusalError(400, "no_form", why="no code or no decision")
    allowed = decision == "allow"
    made = await device_codes.decide(desk, code, session, allowed=allowed)
    client = await desk.store.clients.get(made.client_id or "") if made is not None else None
    if made is None or client is None:
        raise RefusalError(400, "stale_device", why="nothing to decide for this session")
    await record(made, desk, of="device", address=written_address(request, desk.config))
    return desk.pages.render(request, "device_done", client=client, allowed=allowed)


def _form(request: Request, desk: Desk, seen: Visit, *, code: str, error: str | None = None) -> Response:
    known = user_code.read(code)
    return desk.pages.render(
        request,
        "device",
        status=200 if error is None else 422,
        csrf=csrf_field(desk, seen, PURPOSE),
        code=user_code.written(known) if known else code[:20],
        picture="/device/qr" + _path(known).removeprefix("/device"),
        error=error,
    )


ENDPOINTS = (
    Endpoint("/device", ("GET",), show),
    Endpoint("/device", ("POST",), enter),
    Endpoint("/device/qr", ("GET",), picture),
)
