"""RFC 6749 section 3.1, OpenID Connect Core section 3.1.2, RFC 9207: the authorization endpoint."""

from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.issuer.adoption import adopt
from carnet.issuer.answers import read_form
from carnet.issuer.approval import Approval
from carnet.issuer.arrival import Arrival, arrive, check_pushed, check_signed
from carnet.issuer.authorization_request import (
    AuthorizationRequest,
    ReturnAddress,
    authorization_request,
    return_address,
)
from carnet.issuer.browser import Visit, visit
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.fapi import code_lifetime
from carnet.issuer.flow import LONGEST, Flow, open_flow, seal_flow
from carnet.issuer.grants.authorization_code import CodeDocument
from carnet.issuer.http_security import asking_block
from carnet.issuer.interaction import Interaction, needed
from carnet.issuer.opaque import Opaque, fresh_name
from carnet.issuer.pages import prefer
from carnet.issuer.pushed_requests import PREFIX
from carnet.issuer.refusals import RefusalError, page
from carnet.issuer.session_state import offered, session_state
from carnet.issuer.storage.ports import Spent
from carnet.issuer.storage.records import Account, Artifact, Digest, Session
from carnet.oauth import acr
from carnet.oauth.errors import InvalidRequestError, InvalidRequestUriError, LoginRequiredError, OAuthError
from carnet.oauth.parameters import Parameters, parse
from carnet.oauth.scope import OFFLINE_ACCESS, OPENID


@page
async def answer(request: Request, desk: Desk) -> Response:
    parameters = _parameters(request.scope["query_string"])
    prefer(request, parameters.get("ui_locales"))
    seen = await visit(request, desk)
    resumed = parameters.get("flow")
    flow = open_flow(request, desk, resumed, browser=seen.browser_digest) if resumed is not None else None
    arrival = (
        await _arrival(request, parameters, seen, desk)
        if flow is None
        else Arrival(flow.parameters, pushed=flow.pushed)
    )
    if isinstance(arrival, Response):
        return arrival
    prefer(request, arrival.parameters.get("ui_locales"))
    back = await return_address(arrival.parameters, desk)
    try:
        if flow is None:  # a request that has been to our pages was held against it when it came
            check_signed(arrival, back.client)
            check_pushed(arrival, back.client)
        asked = await authorization_request(arrival.parameters, back, desk)
        consent = (
            await desk.store.consents.get(seen.account.subject, back.client.client_id)
            if seen.account is not None
            else None
        )
        step = needed(
            asked,
            seen.session,
            consent,
            flow=flow,
            at=desk.ambient.now(),
            second_factor=seen.account is not None and seen.account.totp is not None,
        )
        if step is not None or seen.session is None or seen.account is None:
            waiting = flow or Flow(
                pairs=_said(arrival.parameters, back), began_at=desk.ambient.now(), pushed=arrival.pushed
            )
            return _to_page(step or Interaction.LOGIN, waiting, seen, desk)
        if not await adopt(back.client, desk):
            raise RefusalError(400, "unknown_client", why="it was deleted a moment ago")
        code = await _code(asked, seen.session, seen.account, desk, pushed=arrival.pushed)
        return back.answer(code=code, **_session_state(asked, seen.session, desk))
    except OAuthError as error:
        return await _refusal(error, back, seen.account, desk)


@page
async def by_post(request: Request, desk: Desk) -> Response:
    """OpenID Connect Core section 3.1.2.1 wants POST too.

    A POST from another site brings no Lax cookie; the same request by GET does, and changes nothing either.
    """
    try:
        pairs = (await read_form(request)).pairs()
    except InvalidRequestError as error:
        raise RefusalError(400, "bad_request", why=str(error)) from None
    return RedirectResponse(f"{desk.config.issuer}/authorize?{urlencode(pairs)}", 303)


def _parameters(query: bytes) -> Parameters:
    """Repeated or malformed parameters get a page: which redirect URI is meant cannot be told."""
    try:
        parameters = parse(query)
    except InvalidRequestError as error:
        raise RefusalError(400, "bad_request", why=str(error)) from None
    if len(query) > LONGEST and "flow" not in parameters:
        raise RefusalError(400, "bad_request", why="the request is too long")
    return parameters


async def _refusal(error: OAuthError, back: ReturnAddress, account: Account | None, desk: Desk) -> Response:
    """RFC 9700 section 4.11.2: nobody is sent to an address that only a stranger's document names, unless they know its client.

    Raises:
        RefusalError: they do not; the page says what is wrong instead.
    """
    client = back.client
    if client.from_document and (
        account is None or await desk.store.consents.get(account.subject, client.client_id) is None
    ):
        raise RefusalError(400, "stranger_refused", why=f"{client.client_id}: {error}")
    return back.refuse(error)


async def _arrival(request: Request, parameters: Parameters, seen: Visit, desk: Desk) -> Arrival | Response:
    """What was asked; where nothing can be made out, a refusal that goes to the client only if its address stands outside."""
    try:
        return await arrive(parameters, desk, address=asking_block(request, desk.config))
    except OAuthError as error:
        if "redirect_uri" in parameters:
            return await _refusal(error, await return_address(parameters, desk), seen.account, desk)
        pushed = (parameters.get("request_uri") or "").startswith(PREFIX)
        key = "stale_flow" if pushed and isinstance(error, InvalidRequestUriError) else "bad_request"
        raise RefusalError(400, key, why=str(error)) from None


def _said(parameters: Parameters, back: ReturnAddress) -> tuple[tuple[str, str], ...]:
    """The request as our pages keep it: with the redirect URI, which says where their forms lead in the end."""
    left_out = () if "redirect_uri" in parameters else (("redirect_uri", back.redirect_uri),)
    return (*parameters.pairs(), *left_out)


def _to_page(step: Interaction, flow: Flow, seen: Visit, desk: Desk) -> Response:
    sealed = seal_flow(desk, flow, browser=seen.browser_digest)
    return RedirectResponse(f"{desk.config.issuer}/{step.value}?{urlencode({'flow': sealed})}", 303)


def _session_state(asked: AuthorizationRequest, session: Session, desk: Desk) -> dict[str, str]:
    """Session Management section 2."""
    if not offered(desk.config) or OPENID not in asked.scope:
        return {}
    state = session_state(asked.back.client.client_id, asked.back.redirect_uri, session, desk)
    return {} if state is None else {"session_state": state}


async def _code(
    asked: AuthorizationRequest, session: Session, account: Account, desk: Desk, *, pushed: Digest | None
) -> str:
    """RFC 6749 section 4.1.2: a code, bound to the client, the redirect URI and the challenge."""
    now = desk.ambient.now()
    approval = Approval(
        scope=asked.scope,
        audience=asked.audience,
        id_token_claims=asked.claims.id_token,
        auth_time=session.auth_time,
        amr=session.amr,
        acr=acr.met(session.acr, asked.acr_values) or session.acr,
        authorization_details=asked.authorization_details,
        confirmation=None if asked.dpop_jkt is None else {"jkt": asked.dpop_jkt},
        approved_at=now,
    )
    document = CodeDocument(
        approval=approval,
        sid=session.sid,
        redirect_uri=asked.back.redirect_uri,
        code_challenge=asked.code_challenge,
        nonce=asked.nonce,
    )
    code = Opaque.fresh(desk.ambient)
    artifact = Artifact(
        kind="code",
        digest=code.digest,
        family=fresh_name(desk.ambient),
        subject=account.subject,
        client_id=asked.back.client.client_id,
        sid=None if OFFLINE_ACCESS in asked.scope else session.sid,
        document=msgspec.json.encode(document),
        created_at=now,
        expires_at=now + code_lifetime(asked.back.client, desk.config),
    )
    if not await _store(artifact, pushed, desk):
        raise LoginRequiredError("The session has ended meanwhile.")
    return code.value


async def _store(code: Artifact, pushed: Digest | None, desk: Desk) -> bool:
    """RFC 9126 section 4: a pushed request is spent into its code, so that it gives one and no more."""
    if pushed is None:
        return await desk.store.artifacts.put(code)
    outcome = await desk.store.artifacts.spend("pushed_request", pushed, at=code.created_at, into=(code,))
    if isinstance(outcome, Spent):
        raise InvalidRequestUriError("The request_uri has been used.")
    return outcome is not None


ENDPOINTS = (
    Endpoint("/authorize", ("GET",), answer, metadata="authorization_endpoint"),
    Endpoint("/authorize", ("POST",), by_post),
)
