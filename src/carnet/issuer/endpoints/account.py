"""OpenID Connect Core section 5.1, RFC 7009: what people see and change of their own account."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.issuer.accounts import people, sessions
from carnet.issuer.accounts.apps import apps_of
from carnet.issuer.accounts.password_rule import MIN_LENGTH, WeakPasswordError
from carnet.issuer.accounts.people import ADMIN, Actor
from carnet.issuer.backchannel_requests import waiting_for
from carnet.issuer.browser import (
    Visit,
    check_form,
    csrf_field,
    link_parameters,
    sign_in,
    sign_out,
    visit,
)
from carnet.issuer.cookies import LONGEST_LIFETIME
from carnet.issuer.cookies import leave as leave_cookie
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.http_security import written_address
from carnet.issuer.login import NotProvedError
from carnet.issuer.login.password import check_password
from carnet.issuer.login.returning import sign_in_url
from carnet.issuer.pages import LANGUAGE_COOKIE
from carnet.issuer.pages.catalogues import LANGUAGES, catalogue
from carnet.issuer.refusals import RefusalError, SeeOtherError, page
from carnet.issuer.scope_sentences import scope_sentences
from carnet.issuer.signed_out import frames_of, signed_out
from carnet.issuer.storage.records import Account, Session
from carnet.oauth import acr
from carnet.oauth.parameters import Parameters

PURPOSE = "account"

NOTICES = ("password_changed", "session_ended", "app_revoked", "second_factor_removed", "language_chosen")
"""What `done` may say; each is a sentence `notice.<done>`."""


@page
async def show(request: Request, desk: Desk) -> Response:
    seen, account, session = await _signed_in(request, desk)
    return await _page(request, desk, seen, account, session)


@page
async def change_password(request: Request, desk: Desk) -> Response:
    """The one session that this browser gets anew is all that remains of the old ones, and is as strong as this one."""
    seen, account, session, form = await _asked(request, desk)
    if account.totp is not None and session.acr != acr.TWO_FACTORS:  # rule O9
        raise SeeOtherError(sign_in_url(desk, seen, "/account"))
    new = form.get("new_password") or ""
    if new != (form.get("repeated") or ""):
        return await _page(request, desk, seen, account, session, error="password.differ", field="repeated")
    try:
        await check_password(request, desk, account.email, form.get("password") or "")
        changed = await people.set_password(desk, account.subject, new, by=_actor(request, desk, account))
    except NotProvedError as error:
        key = "login.throttled" if error.retry_after else "password.not_current"
        return await _page(
            request, desk, seen, account, session, error=key, field="password", status=429 if error.retry_after else 403
        )
    except WeakPasswordError as error:
        return await _page(request, desk, seen, account, session, error=f"password.{error.key}", field="new_password")
    await sign_in(request, desk, Visit(seen.browser), changed, amr=session.amr)
    return _back(desk, "password_changed")


@page
async def end_one(request: Request, desk: Desk) -> Response:
    """Only one's own: a session of somebody else is as good as none."""
    seen, account, session, form = await _asked(request, desk)
    chosen = await desk.store.sessions.get(form.get("sid") or "")
    if chosen is None or chosen.subject != account.subject:
        return _back(desk, "session_ended")
    if chosen.sid == session.sid:
        return await _sign_out(request, desk, seen, account, session)
    await sessions.end_one(desk, account, chosen.sid, by=_actor(request, desk, account))
    return _back(desk, "session_ended")


@page
async def end_all(request: Request, desk: Desk) -> Response:
    seen, account, session, _ = await _asked(request, desk)
    frames = await frames_of(session, desk)
    await people.sign_out_everywhere(desk, account.subject, by=_actor(request, desk, account))
    await sign_out(request, desk, Visit(seen.browser))
    return signed_out(request, desk, frames)


@page
async def leave(request: Request, desk: Desk) -> Response:
    seen, account, session, _ = await _asked(request, desk)
    return await _sign_out(request, desk, seen, account, session)


@page
async def revoke_app(request: Request, desk: Desk) -> Response:
    _, account, _, form = await _asked(request, desk)
    client_id = form.get("client_id") or ""
    await people.revoke_app(desk, account.subject, client_id, by=_actor(request, desk, account))
    return _back(desk, "app_revoked")


@page
async def choose_language(request: Request, desk: Desk) -> Response:
    """Of this browser; none: the pages go by what the browser itself asks for."""
    _, _, _, form = await _asked(request, desk)
    chosen = form.get("language")
    if chosen not in {None, *LANGUAGES}:
        raise RefusalError(400, "no_form", why="no such language")
    leave_cookie(request, desk.config, LANGUAGE_COOKIE, chosen or "", lifetime=LONGEST_LIFETIME if chosen else 0)
    return _back(desk, "language_chosen")


async def _signed_in(request: Request, desk: Desk) -> tuple[Visit, Account, Session]:
    seen = await visit(request, desk)
    if seen.account is None or seen.session is None:
        raise SeeOtherError(sign_in_url(desk, seen, "/account"))
    return seen, seen.account, seen.session


async def _asked(request: Request, desk: Desk) -> tuple[Visit, Account, Session, Parameters]:
    seen, account, session = await _signed_in(request, desk)
    return seen, account, session, await check_form(request, desk, seen, PURPOSE)


def _actor(request: Request, desk: Desk, account: Account) -> Actor:
    return Actor(account.subject, written_address(request, desk.config))


def _back(desk: Desk, done: str) -> Response:
    return RedirectResponse(f"{desk.config.issuer}/account?done={done}", 303)


async def _sign_out(request: Request, desk: Desk, seen: Visit, account: Account, session: Session) -> Response:
    frames = await frames_of(session, desk)
    await sign_out(request, desk, seen)
    await people.note(desk, "session.ended", account, _actor(request, desk, account), sid=session.sid)
    return signed_out(request, desk, frames)


async def _page(
    request: Request,
    desk: Desk,
    seen: Visit,
    account: Account,
    session: Session,
    *,
    error: str | None = None,
    field: str | None = None,
    status: int = 422,
) -> Response:
    done = None if error else link_parameters(request).get("done")
    apps = await apps_of(desk, account.subject, languages=desk.pages.wanted(request))
    return desk.pages.render(
        request,
        "account",
        status=200 if error is None else status,
        csrf=csrf_field(desk, seen, PURPOSE),
        account=account,
        session=session,
        sessions=await sessions.sessions_of(desk, account),
        apps=apps,
        sentences={
            sentence.value: sentence
            for sentence in await scope_sentences(request, desk, {value for app in apps for value in app.scope})
        },
        asked=len(await waiting_for(desk, account.subject)),
        administers=ADMIN in account.roles,
        languages=[(tag, catalogue(tag)["language"]) for tag in LANGUAGES],
        chosen=desk.pages.chosen(request),
        notice=f"notice.{done}" if done in NOTICES else None,
        min_length=MIN_LENGTH,
        error=error,
        field=field,
    )


ENDPOINTS = (
    Endpoint("/account", ("GET",), show),
    Endpoint("/account/password", ("POST",), change_password),
    Endpoint("/account/sessions/end", ("POST",), end_one),
    Endpoint("/account/sign-out-everywhere", ("POST",), end_all),
    Endpoint("/account/sign-out", ("POST",), leave),
    Endpoint("/account/apps/revoke", ("POST",), revoke_app),
    Endpoint("/account/language", ("POST",), choose_language),
)
