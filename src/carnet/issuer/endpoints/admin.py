"""Rule O17: the administrators' pages: people, apps, keys, what was taken back, and what has happened."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.ambient import Instant, lapsed
from carnet.issuer.accounts import factors, invitations, people
from carnet.issuer.accounts.apps import apps_of
from carnet.issuer.accounts.errors import PersonError, UnknownPersonError
from carnet.issuer.accounts.people import Actor
from carnet.issuer.admin import Administrator, acting_administrator, administrator
from carnet.issuer.browser import alive, check_form, csrf_field, link_parameters
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Answer, Endpoint
from carnet.issuer.login.returning import sign_in_url
from carnet.issuer.refusals import RefusalError, page
from carnet.issuer.storage.records import Account, SigningKeyRecord
from carnet.oauth.parameters import Parameters

PURPOSE = "admin"
PEOPLE = "/admin/people"

PAGE = 25
"""Lines of a list."""

Change: TypeAlias = Callable[[Desk, str, Parameters, Actor], Awaitable[None]]
"""Changes the person with that subject as the form asks."""

NOTICES = ("roles_set", "disabled", "enabled", "signed_out", "factors_reset")
"""What `done` may say; each is a sentence `notice.<done>`."""


@page
async def start(request: Request, desk: Desk) -> Response:
    await administrator(request, desk, back="/admin")
    return RedirectResponse(desk.config.issuer + PEOPLE, 303)


@page
async def list_people(request: Request, desk: Desk) -> Response:
    who = await administrator(request, desk, back=PEOPLE)
    asked = link_parameters(request)
    search = asked.get("search")
    found = await desk.store.accounts.list(after=asked.get("after"), limit=PAGE + 1, search=search)
    return _render(
        request,
        desk,
        who,
        "admin_people",
        people=found[:PAGE],
        search=search or "",
        first=asked.get("after") is None,
        after=found[PAGE - 1].email if len(found) > PAGE else None,
    )


@page
async def show_invite(request: Request, desk: Desk) -> Response:
    who = await acting_administrator(request, desk, back=f"{PEOPLE}/invite")
    return _render(request, desk, who, "admin_invite", given=Parameters([]), error=None, field=None)


@page
async def invite(request: Request, desk: Desk) -> Response:
    """Make an account without a password, and show the link that sets one: this once."""
    who, form = await _asked(request, desk, back=f"{PEOPLE}/invite")
    try:
        account = await people.create(
            desk,
            email=form.get("email") or "",
            name=form.get("name"),
            roles=(form.get("roles") or "").split(),
            by=who.actor,
        )
        link = await invitations.invite(desk, account.subject, by=who.actor)
    except PersonError as error:
        return _render(
            request, desk, who, "admin_invite", status=422, given=form, error=f"person.{error.key}", field=error.field
        )
    return _link(request, desk, who, account, link)


@page
async def show_person(request: Request, desk: Desk) -> Response:
    who = await administrator(request, desk, back=_place(request))
    done = link_parameters(request).get("done")
    return await _person(request, desk, who, notice=f"notice.{done}" if done in NOTICES else None)


def changing(done: str, change: Change) -> Answer:
    """What answers a form that changes a person: back to their page, which says that it is done, or why it is not."""

    @page
    async def answer(request: Request, desk: Desk) -> Response:
        who, form = await _asked(request, desk, back=_place(request))
        try:
            await change(desk, _subject(request), form, who.actor)
        except PersonError as error:
            return await _refused(request, desk, who, error)
        return RedirectResponse(f"{desk.config.issuer}{_place(request)}?done={done}", 303)

    return answer


async def _set_roles(desk: Desk, subject: str, form: Parameters, by: Actor) -> None:
    await people.set_roles(desk, subject, (form.get("roles") or "").split(), by=by)


async def _disable(desk: Desk, subject: str, _form: Parameters, by: Actor) -> None:
    await people.disable(desk, subject, by=by)


async def _enable(desk: Desk, subject: str, _form: Parameters, by: Actor) -> None:
    await people.enable(desk, subject, by=by)


async def _sign_out_everywhere(desk: Desk, subject: str, _form: Parameters, by: Actor) -> None:
    await people.sign_out_everywhere(desk, subject, by=by)


async def _reset_factors(desk: Desk, subject: str, _form: Parameters, by: Actor) -> None:
    await factors.reset(desk, subject, by=by)


@page
async def send_link(request: Request, desk: Desk) -> Response:
    """A new one-time link that sets a password, shown this once."""
    who, _ = await _asked(request, desk, back=_place(request))
    account = await _account(request, desk)
    try:
        link = await invitations.invite(desk, account.subject, by=who.actor)
    except PersonError as error:
        return await _refused(request, desk, who, error)
    return _link(request, desk, who, account, link)


@page
async def list_clients(request: Request, desk: Desk) -> Response:
    who = await administrator(request, desk, back="/admin/clients")
    after = link_parameters(request).get("after")
    found = await desk.store.clients.list(after=after, limit=PAGE + 1)
    more = found[PAGE - 1].client_id if len(found) > PAGE else None
    return _render(request, desk, who, "admin_clients", clients=found[:PAGE], first=after is None, after=more)


@page
async def list_keys(request: Request, desk: Desk) -> Response:
    who = await administrator(request, desk, back="/admin/keys")
    now = desk.ambient.now()
    signing = await desk.keyring.in_use()
    keys = [(key, _key_state(key, signing, at=now)) for key in reversed(await desk.keyring.list())]
    return _render(request, desk, who, "admin_keys", keys=keys)


@page
async def list_events(request: Request, desk: Desk) -> Response:
    who = await administrator(request, desk, back="/admin/events")
    asked = link_parameters(request)
    number = _number(asked.get("before"))
    subject = asked.get("subject")
    found = await desk.store.events.list(before=number, limit=PAGE + 1, subject=subject)
    return _render(
        request,
        desk,
        who,
        "admin_events",
        events=found[:PAGE],
        emails=await _emails(desk, {subject, *(s for _, event in found for s in (event.subject, event.actor))}),
        subject=subject,
        first=number is None,
        before=found[PAGE - 1][0] if len(found) > PAGE else None,
    )


@page
async def list_revocations(request: Request, desk: Desk) -> Response:
    """What guards have been told, newest first, and which guards listen to which node, and how far they have come."""
    who = await administrator(request, desk, back="/admin/revocations")
    now = desk.ambient.now()
    head = await desk.store.revocations.head()
    before = _number(link_parameters(request).get("before"))
    last = head if before is None else min(head, before - 1)
    begin = max(0, last - PAGE)
    found = await desk.store.revocations.since(begin, at=now, limit=PAGE)
    return _render(
        request,
        desk,
        who,
        "admin_revocations",
        head=head,
        entries=[entry for entry in reversed(found) if entry.sequence is not None and entry.sequence <= last],
        emails=await _emails(desk, {entry.value for entry in found if entry.kind == "subject"}),
        reports=await desk.publisher.reports(),
        streams=await desk.store.signals.list(limit=PAGE),
        now=now,
        first=before is None,
        before=begin + 1 if begin else None,
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else None


async def _asked(request: Request, desk: Desk, *, back: str) -> tuple[Administrator, Parameters]:
    """An administrator who has just proved who they are, with a form of ours."""
    who = await acting_administrator(request, desk, back=back)
    return who, await check_form(request, desk, who.visit, PURPOSE)


async def _account(request: Request, desk: Desk) -> Account:
    account = await desk.store.accounts.get(_subject(request))
    if account is None:
        raise RefusalError(404, UnknownPersonError.key)
    return account


async def _emails(desk: Desk, subjects: set[str | None]) -> dict[str | None, str | None]:
    """Who they are, as people know them; None for who is no account, or none any more."""
    accounts = {subject: await desk.store.accounts.get(subject) for subject in subjects if subject}
    return {subject: account.email if account else None for subject, account in accounts.items()}


def _link(request: Request, desk: Desk, who: Administrator, account: Account, link: str) -> Response:
    """Show it in the answer itself: a redirect would have to carry it."""
    until = desk.ambient.now() + desk.config.lifetimes.invitation
    return _render(request, desk, who, "admin_link", person=account, link=link, until=until)


def _key_state(key: SigningKeyRecord, signing: frozenset[str], *, at: Instant) -> str:
    """The word after `admin.key_` in the catalogue."""
    if key.compromised_at is not None:
        return "compromised"
    if key.retires_at is not None and lapsed(key.retires_at, at=at):
        return "retired"
    if key.kid in signing:
        return "signing"
    return "published" if key.signs_from > at else "retiring"


def _subject(request: Request) -> str:
    return str(request.path_params["subject"])


def _place(request: Request) -> str:
    return f"{PEOPLE}/{quote(_subject(request), safe='')}"


async def _refused(request: Request, desk: Desk, who: Administrator, error: PersonError) -> Response:
    return await _person(request, desk, who, error=f"person.{error.key}", status=409)


async def _person(
    request: Request,
    desk: Desk,
    who: Administrator,
    *,
    notice: str | None = None,
    error: str | None = None,
    status: int = 200,
) -> Response:
    now = desk.ambient.now()
    account = await _account(request, desk)
    sessions = await desk.store.sessions.of(account.subject, at=now)
    return _render(
        request,
        desk,
        who,
        "admin_person",
        status=status,
        person=account,
        sessions=[session for session in sessions if alive(session, desk.config, at=now)],
        apps=await apps_of(desk, account.subject),
        events=await desk.store.events.list(limit=8, subject=account.subject),
        prove_again=sign_in_url(desk, who.visit, _place(request)),
        notice=notice,
        error=error,
    )


def _render(
    request: Request, desk: Desk, who: Administrator, name: str, *, status: int = 200, **context: Any
) -> Response:
    return desk.pages.render(
        request,
        name,
        status=status,
        english=True,
        account=who.account,
        fresh=who.fresh,
        csrf=csrf_field(desk, who.visit, PURPOSE),
        **context,
    )


ENDPOINTS = (
    Endpoint("/admin", ("GET",), start),
    Endpoint(PEOPLE, ("GET",), list_people),
    Endpoint(f"{PEOPLE}/invite", ("GET",), show_invite),
    Endpoint(f"{PEOPLE}/invite", ("POST",), invite),
    Endpoint(f"{PEOPLE}/{{subject}}", ("GET",), show_person),
    Endpoint(f"{PEOPLE}/{{subject}}/roles", ("POST",), changing("roles_set", _set_roles)),
    Endpoint(f"{PEOPLE}/{{subject}}/disable", ("POST",), changing("disabled", _disable)),
    Endpoint(f"{PEOPLE}/{{subject}}/enable", ("POST",), changing("enabled", _enable)),
    Endpoint(f"{PEOPLE}/{{subject}}/sign-out", ("POST",), changing("signed_out", _sign_out_everywhere)),
    Endpoint(f"{PEOPLE}/{{subject}}/reset-factors", ("POST",), changing("factors_reset", _reset_factors)),
    Endpoint(f"{PEOPLE}/{{subject}}/link", ("POST",), send_link),
    Endpoint("/admin/clients", ("GET",), list_clients),
    Endpoint("/admin/keys", ("GET",), list_keys),
    Endpoint("/admin/revocations", ("GET",), list_revocations),
    Endpoint("/admin/events", ("GET",), list_events),
)
