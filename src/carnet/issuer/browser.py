"""RFC 6265bis, OpenID Connect Core section 3.1.2.3: who sits at the browser: its cookies, its session, its forms."""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from hashlib import sha256
from urllib.parse import urlsplit

from starlette.requests import Request

from carnet.ambient import Instant, lapsed
from carnet.issuer.config import Config
from carnet.issuer.cookies import LONGEST_LIFETIME, cookie, cookie_name, leave
from carnet.issuer.desk import Desk
from carnet.issuer.http_security import written_address
from carnet.issuer.opaque import Opaque, fresh_name
from carnet.issuer.pages import prefer
from carnet.issuer.refusals import RefusalError
from carnet.issuer.revoking import entry
from carnet.issuer.session_state import STATE_COOKIE, browser_state, leave_state, offered
from carnet.issuer.storage.records import Account, Digest, Session
from carnet.oauth import acr
from carnet.oauth.errors import InvalidRequestError
from carnet.oauth.parameters import Parameters, parse
from carnet.sealing import derive

SESSION_COOKIE = "carnet_session"
BROWSER_COOKIE = "carnet_browser"

TOUCH_INTERVAL = 60
"""Seconds: a session's `seen_at` is written at most so often."""

_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Visit:
    """A request from a browser, and who is signed in there."""

    browser: str = field(repr=False)
    """The value of the browser's own cookie."""
    session: Session | None = None
    account: Account | None = None
    """Both or neither, and never a disabled account."""

    @property
    def browser_digest(self) -> Digest:
        """What a sealed flow is tied to."""
        return sha256(self.browser.encode()).digest()


async def visit(request: Request, desk: Desk) -> Visit:
    """Say who is there. A browser without a well-formed cookie of its own gets one with the answer."""
    browser = cookie(request, desk.config, BROWSER_COOKIE)
    if len(browser) != 22:
        browser = fresh_name(desk.ambient)
        leave(request, desk.config, BROWSER_COOKIE, browser, lifetime=LONGEST_LIFETIME)
    seen = await _seen(request, desk, Visit(browser))
    if offered(desk.config) and cookie(request, desk.config, STATE_COOKIE) != browser_state(seen.session, desk):
        _leave_state(request, desk, seen.session)
    return seen


async def _seen(request: Request, desk: Desk, nobody: Visit) -> Visit:
    value = cookie(request, desk.config, SESSION_COOKIE)
    session = await desk.store.sessions.by_digest(Opaque(value).digest) if len(value) == 43 else None
    now = desk.ambient.now()
    if session is None or not alive(session, desk.config, at=now):
        return nobody
    account = await desk.store.accounts.get(session.subject)
    if account is None or account.disabled_at is not None:
        return nobody
    if now - session.seen_at >= TOUCH_INTERVAL:
        await desk.store.sessions.touch(session.sid, at=now)
    return replace(nobody, session=session, account=account)


def _leave_state(request: Request, desk: Desk, session: Session | None) -> None:
    """Session Management section 3.2: who is signed in, as frames of ours in clients' pages see it."""
    if offered(desk.config):
        leave_state(request, desk, cookie_name(desk.config, STATE_COOKIE), session)


def alive(session: Session, config: Config, *, at: Instant) -> bool:
    """Whether a session has neither been ended, nor reached its end, nor been left alone for too long."""
    return (
        session.ended_at is None
        and not lapsed(session.expires_at, at=at)
        and not lapsed(session.seen_at + config.lifetimes.session_idle, at=at)
    )


async def sign_in(request: Request, desk: Desk, visit: Visit, account: Account, *, amr: tuple[str, ...]) -> Visit:
    """Start a session, once every proof has been given (rule O9).

    Rule O15: it is always a new one with a new cookie. The one that it takes the place of ends; what that one's apps hold
    passes to the new one if it is the same person's, and ends with it if it is another's.

    Raises:
        RefusalError: the account was disabled or signed out everywhere since `account` was read.
    """
    now = desk.ambient.now()
    secret = Opaque.fresh(desk.ambient)
    session = Session(
        sid=fresh_name(desk.ambient),
        digest=secret.digest,
        subject=account.subject,
        auth_time=now,
        amr=amr,
        acr=acr.reached(amr),
        created_at=now,
        seen_at=now,
        expires_at=now + desk.config.lifetimes.session,
        user_agent=request.headers.get("user-agent", "")[:255] or None,
        address=written_address(request, desk.config),
    )
    before = visit.session
    ending = before.sid if before and before.subject == account.subject else None
    if before and ending is None:
        await end_session(desk, before)
    if not await desk.store.sessions.start(session, ending=ending):
        raise RefusalError(403, "disabled")
    current = await desk.store.accounts.get(account.subject)
    if current is None or current.epoch != account.epoch:
        # The proof is older than a sign-out everywhere, of a changed password say, which could not end this session.
        await end_session(desk, session)
        raise RefusalError(403, "stale_form", why="signed out everywhere since the proof")
    leave(request, desk.config, SESSION_COOKIE, secret.value, lifetime=desk.config.lifetimes.session)
    _leave_state(request, desk, session)
    return replace(visit, session=session, account=account)


async def sign_out(request: Request, desk: Desk, visit: Visit) -> Visit:
    """End the session that is signed in here, with all that its apps hold, and forget its cookie."""
    if visit.session is not None:
        await end_session(desk, visit.session)
    leave(request, desk.config, SESSION_COOKIE, "", lifetime=0)
    _leave_state(request, desk, None)
    return Visit(visit.browser)


async def end_session(desk: Desk, session: Session) -> bool:
    """End one session, with all that its apps hold; False if it had ended before."""
    now = desk.ambient.now()
    revocation = entry("session", session.sid, desk.config, at=now)
    return await desk.store.sessions.end(session.sid, at=now, revocations=(revocation,))


def csrf_field(desk: Desk, visit: Visit, purpose: str) -> str:
    """The value of a form's `csrf` field: it serves one purpose, in this browser, for this session."""
    key = derive(desk.secret, "csrf")
    bound = "\0".join((purpose, visit.browser, visit.session.sid if visit.session else ""))
    return urlsafe_b64encode(hmac.digest(key, bound.encode(), "sha256")).decode().rstrip("=")


async def check_form(request: Request, desk: Desk, visit: Visit, purpose: str) -> Parameters:
    """The fields of a form that this browser got from us for this purpose.

    Raises:
        RefusalError: it comes from elsewhere, is no form, or repeats a field.
    """
    if not _own_origin(request, desk.config):
        raise RefusalError(403, "foreign_form", why="the Origin is not the issuer's")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise RefusalError(415, "no_form")
    try:
        fields = parse(await request.body())
    except InvalidRequestError as error:
        raise RefusalError(400, "no_form", why=str(error)) from None
    prefer(request, fields.get("ui_locales"))
    if not hmac.compare_digest((fields.get("csrf") or "").encode(), csrf_field(desk, visit, purpose).encode()):
        raise RefusalError(403, "stale_form", why="the csrf field is not this browser's")
    return fields


def link_parameters(request: Request) -> Parameters:
    """The parameters of one of our own links.

    Raises:
        RefusalError: it was damaged on its way.
    """
    try:
        return parse(request.scope["query_string"])
    except InvalidRequestError as error:
        raise RefusalError(400, "bad_link", why=str(error)) from None


def _own_origin(request: Request, config: Config) -> bool:
    """Fetch, section "Origin header": every browser sends it with a POST; where it is missing, Fetch Metadata must speak."""
    origins = request.headers.getlist("origin")
    if origins:
        url = urlsplit(config.issuer)
        return origins == [f"{url.scheme}://{url.netloc}".lower()]
    return request.headers.getlist("sec-fetch-site") == ["same-origin"]
