"""OpenID Connect Core section 3.1.2.4, OAuth 2.1 section 7.9: the page on which a person allows a client something, or not."""

from collections.abc import Iterator, Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.issuer.adoption import adopt
from carnet.issuer.authorization_request import AuthorizationRequest, authorization_request, return_address
from carnet.issuer.browser import Visit, check_form, csrf_field, link_parameters, visit
from carnet.issuer.client_document import only_here
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.flow import Flow, open_flow, resume_url
from carnet.issuer.http_security import written_address
from carnet.issuer.refusals import RefusalError, SeeOtherError, page
from carnet.issuer.scope_sentences import scope_sentences
from carnet.issuer.storage.records import Account, Client, Consent, Event
from carnet.oauth.authorization_details import Details
from carnet.oauth.client_id import host_of
from carnet.oauth.errors import AccessDeniedError, OAuthError
from carnet.oauth.parameters import Parameters

PURPOSE = "consent"


@page
async def show(request: Request, desk: Desk) -> Response:
    seen = await visit(request, desk)
    given = link_parameters(request)
    account, _, asked = await _waiting(request, seen, given, desk)
    return desk.pages.render(
        request,
        "consent",
        form_targets=(asked.back.redirect_uri,),
        csrf=csrf_field(desk, seen, PURPOSE),
        flow=given.get("flow"),
        client=asked.back.client,
        account=account,
        scopes=await scope_sentences(request, desk, asked.scope),
        details=written_details(asked.authorization_details),
        redirect_uri=asked.back.redirect_uri,
        policies=_policies(asked.back.client),
        stranger=host_of(asked.back.client.client_id) if asked.back.client.from_document else None,
        audience=asked.audience,
        local=only_here((asked.back.redirect_uri,)),
    )


@page
async def decide(request: Request, desk: Desk) -> Response:
    seen = await visit(request, desk)
    form = await check_form(request, desk, seen, PURPOSE)
    account, flow, asked = await _waiting(request, seen, form, desk)
    decision = form.get("decision")
    if decision == "deny":
        await _note("consent.denied", asked, account, request, desk)
        return asked.back.refuse(AccessDeniedError("The person did not allow it."))
    if decision != "allow":
        raise RefusalError(400, "no_form", why="no decision")
    consent = Consent(
        subject=account.subject,
        client_id=asked.back.client.client_id,
        scope=asked.scope,
        audience=asked.audience if asked.back.client.from_document else (),
        granted_at=desk.ambient.now(),
    )
    if not await adopt(asked.back.client, desk):
        raise RefusalError(400, "unknown_client", why="it was deleted a moment ago")
    await desk.store.consents.grant(consent)
    await _note("consent.granted", asked, account, request, desk)
    allowed = msgspec.structs.replace(flow, allowed_by=account.subject)
    return RedirectResponse(resume_url(desk, allowed, browser=seen.browser_digest), 303)


async def _waiting(
    request: Request, seen: Visit, given: Parameters, desk: Desk
) -> tuple[Account, Flow, AuthorizationRequest]:
    """The person, and the request that waits for them, checked once more.

    Raises:
        RefusalError: there is no such request.
        SeeOtherError: `/authorize` has to say what is next.
    """
    flow = open_flow(request, desk, given.get("flow") or "", browser=seen.browser_digest)
    back = await return_address(flow.parameters, desk)
    try:
        asked = await authorization_request(flow.parameters, back, desk)
    except OAuthError:
        raise SeeOtherError(resume_url(desk, flow, browser=seen.browser_digest)) from None
    if seen.account is None or "none" in asked.prompt:
        raise SeeOtherError(resume_url(desk, flow, browser=seen.browser_digest))
    return seen.account, flow, asked


def written_details(details: Details) -> list[tuple[str, list[tuple[str, str]]]]:
    """RFC 9396 section 7.1: all that authorization details ask for, as it is asked for, under their types."""
    return [
        (detail["type"], [row for name, value in detail.items() if name != "type" for row in _rows(name, value)])
        for detail in details
    ]


def _rows(name: str, value: object) -> Iterator[tuple[str, str]]:
    """What stands inside of a member has rows of its own, under the names on the way there."""
    if isinstance(value, Mapping) and value:
        for inner, each in value.items():
            yield from _rows(f"{name} / {inner}", each)
    elif isinstance(value, list | tuple) and any(isinstance(each, Mapping | list | tuple) for each in value):
        for number, each in enumerate(value, 1):
            yield from _rows(f"{name} {number}", each)
    else:
        yield name, _plain(value)


def _policies(client: Client) -> list[tuple[str, str]]:
    """OpenID Connect Registration section 2: what people should be shown before they allow anything: addresses, no pictures."""
    named = [(name, client.metadata.get(name)) for name in ("policy_uri", "tos_uri")]
    return [(name, uri) for name, uri in named if isinstance(uri, str) and uri.startswith("https://")]


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return msgspec.json.encode(value).decode()


async def _note(name: str, asked: AuthorizationRequest, account: Account, request: Request, desk: Desk) -> None:
    await desk.store.events.add(
        Event(
            at=desk.ambient.now(),
            name=name,
            subject=account.subject,
            client_id=asked.back.client.client_id,
            address=written_address(request, desk.config),
            detail={"scope": list(asked.scope)},
        )
    )


ENDPOINTS = (
    Endpoint("/consent", ("GET",), show),
    Endpoint("/consent", ("POST",), decide),
)
