"""RFC 6749 section 3.1, OpenID Connect Core section 3.1.2, RFC 9207: the authorization endpoint."""

from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from carnet.issuer.answers import read_form
from carnet.issuer.approval import Approval
from carnet.issuer.authorization_request import AuthorizationRequest, authorization_request, return_address
from carnet.issuer.browser import Visit, visit
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.flow import Flow, open_flow, seal_flow
from carnet.issuer.grants.authorization_code import CodeDocument
from carnet.issuer.interaction import Interaction, needed
from carnet.issuer.opaque import Opaque, fresh_name
from carnet.issuer.refusals import RefusalError, page
from carnet.issuer.storage.records import Account, Artifact, Session
from carnet.oauth.errors import InvalidRequestError, LoginRequiredError, OAuthError
from carnet.oauth.parameters import Parameters, parse
from carnet.oauth.scope import OFFLINE_ACCESS

LONGEST = 8_192
"""Characters of a request: it travels in URLs of our own."""


@page
async def answer(request: Request, desk: Desk) -> Response:
    parameters = _parameters(request.scope["query_string"])
    seen = await visit(request, desk)
    resumed = parameters.get("flow")
    flow = open_flow(desk, resumed, browser=seen.browser_digest) if resumed is not None else None
    if flow is not None:
        parameters = flow.parameters
    back = await return_address(parameters, desk)
    try:
        asked = await authorization_request(parameters, back, desk)
        consent = (
            await desk.store.consents.get(seen.account.subject, back.client.client_id)
            if seen.account is not None
            else None
        )
        step = needed(asked, seen.session, consent, flow=flow, at=desk.ambient.now())
        if step is not None or seen.session is None or seen.account is None:
            waiting = flow or Flow(pairs=tuple(parameters.pairs()), began_at=desk.ambient.now())
            return _to_page(step or Interaction.LOGIN, waiting, seen, desk)
        return back.answer(code=await _code(asked, seen.session, seen.account, desk))
    except OAuthError as error:
        return back.refuse(error)


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


def _to_page(step: Interaction, flow: Flow, seen: Visit, desk: Desk) -> Response:
    sealed = seal_flow(desk, flow, browser=seen.browser_digest)
    return RedirectResponse(f"{desk.config.issuer}/{step.value}?{urlencode({'flow': sealed})}", 303)


async def _code(asked: AuthorizationRequest, session: Session, account: Account, desk: Desk) -> str:
    """RFC 6749 section 4.1.2: a code, bound to the client, the redirect URI and the challenge."""
    now = desk.ambient.now()
    approval = Approval(
        scope=asked.scope,
        audience=asked.audience,
        auth_time=session.auth_time,
        amr=session.amr,
        acr=session.acr,
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
    stored = await desk.store.artifacts.put(
        Artifact(
            kind="code",
            digest=code.digest,
            family=fresh_name(desk.ambient),
            subject=account.subject,
            client_id=asked.back.client.client_id,
            sid=None if OFFLINE_ACCESS in asked.scope else session.sid,
            document=msgspec.json.encode(document),
            created_at=now,
            expires_at=now + desk.config.lifetimes.code,
        )
    )
    if not stored:
        raise LoginRequiredError("The session has ended meanwhile.")
    return code.value


ENDPOINTS = (
    Endpoint("/authorize", ("GET",), answer, metadata="authorization_endpoint"),
    Endpoint("/authorize", ("POST",), by_post),
)
