"""RFC 6238, rule O10: the page on which a person sets up a second factor, gets new recovery codes, or takes it away."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec
import segno
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.ambient import Instant, lapsed
from carnet.issuer import totp
from carnet.issuer.accounts import factors
from carnet.issuer.accounts.errors import NotEnrolledError, PersonError, WrongCodeError
from carnet.issuer.accounts.people import Actor
from carnet.issuer.authorization_request import return_address
from carnet.issuer.browser import Visit, check_form, csrf_field, link_parameters, sign_in, visit
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.freshness import fresh
from carnet.issuer.http_security import written_address
from carnet.issuer.login.device import remember
from carnet.issuer.login.errand import Errand, errand_of
from carnet.issuer.login.returning import sign_in_url
from carnet.issuer.refusals import RefusalError, SeeOtherError, page
from carnet.issuer.storage.records import Account, Session
from carnet.jose import JoseError, base64url
from carnet.oauth import acr
from carnet.oauth.errors import UnmetAuthenticationRequirementsError
from carnet.oauth.parameters import Parameters
from carnet.sealing import SealBrokenError, Sealer

PURPOSE = "second_factor"
PATH = "/account/second-factor"

LIFETIME = 1_800
"""Seconds that somebody may take to set an app up."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Somebody who has just proved who they are, and what they came for."""

    visit: Visit
    account: Account
    session: Session
    errand: Errand
    actor: Actor


class Enrolment(msgspec.Struct, frozen=True):
    """A key that an app is to take over. It waits in the page, sealed, and nothing is stored before its first code."""

    key: bytes
    began_at: Instant

    def __repr__(self) -> str:
        return f"Enrolment(began_at={self.began_at})"


@page
async def show(request: Request, desk: Desk) -> Response:
    who = await _fresh(request, desk, await visit(request, desk), link_parameters(request))
    if who.account.totp is not None:
        return desk.pages.render(
            request,
            "second_factor",
            csrf=csrf_field(desk, who.visit, PURPOSE),
            account=who.account,
            since=who.account.totp.enrolled_at,
            left=len(who.account.recovery_codes),
        )
    return _enrolment_page(request, desk, who, Enrolment(factors.new_key(desk), desk.ambient.now()))


@page
async def confirm(request: Request, desk: Desk) -> Response:
    """The first code: it enrols, and is the second proof of the session that goes on from here."""
    who, form = await _asked(request, desk)
    enrolment = _opened(desk, who, form.get("enrolment") or "")
    try:
        enrolled = await factors.enrol(desk, who.account, enrolment.key, form.get("code") or "", by=who.actor)
    except WrongCodeError:
        return _enrolment_page(request, desk, who, enrolment, error="second_factor.wrong_code")
    except PersonError:  # in another tab, or signed out everywhere meanwhile
        raise SeeOtherError(desk.config.issuer + PATH) from None
    amr = acr.with_second(who.session.amr, ("otp",))
    now_in = await sign_in(request, desk, who.visit, enrolled.account, amr=amr)
    remember(request, desk, who.account.subject)
    return _codes_page(request, desk, who, enrolled, onward=who.errand.onward(desk, now_in))


@page
async def renew(request: Request, desk: Desk) -> Response:
    who, _ = await _asked(request, desk)
    try:
        enrolled = await factors.renew_recovery_codes(desk, who.account.subject, by=who.actor)
    except NotEnrolledError:
        raise SeeOtherError(desk.config.issuer + PATH) from None
    return _codes_page(request, desk, who, enrolled, onward=who.errand.onward(desk, who.visit))


@page
async def remove(request: Request, desk: Desk) -> Response:
    who, _ = await _asked(request, desk)
    await factors.remove(desk, who.account.subject, by=who.actor)
    return RedirectResponse(f"{desk.config.issuer}/account?done=second_factor_removed", 303)


@page
async def decline(request: Request, desk: Desk) -> Response:
    """Back to the app without it."""
    seen = await visit(request, desk)
    errand = await errand_of(request, desk, seen, await check_form(request, desk, seen, PURPOSE))
    if errand.flow is None:
        raise RefusalError(400, "no_form", why="no request waits")
    back = await return_address(errand.flow.parameters, desk)
    return back.refuse(UnmetAuthenticationRequirementsError("The person has not set up a second factor."))


async def _fresh(request: Request, desk: Desk, seen: Visit, given: Parameters) -> Asking:
    """Whoever is signed in, and has just proved it.

    Raises:
        SeeOtherError: the proof is to be given (again) first; then it goes on here.
    """
    errand = await errand_of(request, desk, seen, given)
    account, session = seen.account, seen.session
    if account is None or session is None or not fresh(account, session, at=desk.ambient.now()):
        if errand.flow is not None:  # which leads here again
            raise SeeOtherError(f"{desk.config.issuer}/login{errand.query}")
        raise SeeOtherError(sign_in_url(desk, seen, PATH))
    if account.totp is not None and errand.flow is not None:
        raise SeeOtherError(errand.onward(desk, seen))
    return Asking(seen, account, session, errand, Actor(account.subject, written_address(request, desk.config)))


async def _asked(request: Request, desk: Desk) -> tuple[Asking, Parameters]:
    seen = await visit(request, desk)
    form = await check_form(request, desk, seen, PURPOSE)
    return await _fresh(request, desk, seen, form), form


def _enrolment_page(
    request: Request, desk: Desk, who: Asking, enrolment: Enrolment, *, error: str | None = None
) -> Response:
    host = urlsplit(desk.config.issuer).hostname or ""
    uri = totp.key_uri(enrolment.key, issuer=host, account=who.account.email)
    drawn = segno.make(uri, error="m", micro=False)
    key = totp.written(enrolment.key)
    sealed = _sealer(desk).seal(msgspec.msgpack.encode(enrolment), context=_context(who))
    return desk.pages.render(
        request,
        "second_factor_enrolment",
        status=200 if error is None else 422,
        form_targets=who.errand.form_targets,
        csrf=csrf_field(desk, who.visit, PURPOSE),
        carried=who.errand.fields,
        client_name=who.errand.client_name,
        enrolment=base64url.text(sealed),
        uri=uri,
        picture=drawn.svg_data_uri(scale=4, border=3, dark="#1b232c", light="#ffffff"),
        key=" ".join(key[place : place + 4] for place in range(0, len(key), 4)),
        error=error,
    )


def _codes_page(request: Request, desk: Desk, who: Asking, enrolled: factors.Enrolled, *, onward: str) -> Response:
    """Show them in the answer itself, this once: a redirect would have to carry them."""
    return desk.pages.render(
        request,
        "second_factor_codes",
        codes=enrolled.recovery_codes,
        client_name=who.errand.client_name,
        onward=onward,
    )


def _opened(desk: Desk, who: Asking, sealed: str) -> Enrolment:
    try:
        raw = _sealer(desk).open(base64url.decode_text(sealed), context=_context(who))
        enrolment = msgspec.msgpack.decode(raw, type=Enrolment)
    except (JoseError, SealBrokenError):
        raise RefusalError(403, "stale_form", why="the enrolment is not this browser's") from None
    if lapsed(enrolment.began_at + LIFETIME, at=desk.ambient.now()):
        raise RefusalError(403, "stale_form", why="the enrolment is too old")
    return enrolment


def _context(who: Asking) -> bytes:
    """An enrolment is good for one account in one browser, and for the session that it began in."""
    return b"\0".join((who.account.subject.encode(), who.session.sid.encode(), who.visit.browser_digest))


def _sealer(desk: Desk) -> Sealer:
    return Sealer(desk.secret, "enrolment", ambient=desk.ambient)


ENDPOINTS = (
    Endpoint(PATH, ("GET",), show),
    Endpoint(PATH, ("POST",), confirm),
    Endpoint(f"{PATH}/codes", ("POST",), renew),
    Endpoint(f"{PATH}/remove", ("POST",), remove),
    Endpoint(f"{PATH}/decline", ("POST",), decline),
)
