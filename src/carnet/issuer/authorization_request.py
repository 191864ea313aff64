"""RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1: the authorization request, in two stages.

Until the client and the redirect URI are known to belong together nothing is sent there: whatever is wrong gets a page. Only
then is there a `ReturnAddress`, and whatever is wrong with the rest goes back to the client.
"""

import re
from dataclasses import dataclass, field

from starlette.responses import Response

from carnet.ambient import Instant
from carnet.issuer.catalogue import Catalogue
from carnet.issuer.code_challenge import asked_challenge
from carnet.issuer.desk import Desk
from carnet.issuer.envelope import Envelope, envelope
from carnet.issuer.fapi import wants_signed_responses
from carnet.issuer.pairwise import subject_behind
from carnet.issuer.presented_tokens import hinted_subject
from carnet.issuer.refusals import RefusalError
from carnet.issuer.resource_indicators import asked_audience
from carnet.issuer.response_modes import RESPONSE_MODES
from carnet.issuer.response_modes.jwt import sign_response
from carnet.issuer.response_modes.mode import ResponseMode
from carnet.issuer.storage.records import Client
from carnet.oauth import acr, authorization_details, claims_request, redirect_uri, scope
from carnet.oauth.authorization_details import Details
from carnet.oauth.claims_request import ClaimsRequest
from carnet.oauth.errors import (
    InvalidRequestError,
    InvalidScopeError,
    OAuthError,
    RegistrationNotSupportedError,
    UnauthorizedClientError,
    UnmetAuthenticationRequirementsError,
    UnsupportedResponseTypeError,
)
from carnet.oauth.parameters import Parameters
from carnet.oauth.scope import Scope

_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")

PROMPTS = ("none", "login", "consent", "select_account")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnAddress:
    """A client and its own redirect URI: where an answer may be sent. Only `return_address` makes one."""

    client: Client
    redirect_uri: str
    state: str | None
    mode: ResponseMode
    issuer: str
    envelope: Envelope | None
    """Of a response that the mode signs."""
    arrived_at: Instant

    def answer(self, **fields: str) -> Response:
        """RFC 6749 section 4.1.2, RFC 9207 section 2: with the request's `state` and our `iss`, signed where the mode says so."""
        state = {} if self.state is None else {"state": self.state}
        fields = {**fields, **state, "iss": self.issuer}
        if self.envelope is not None:
            fields = sign_response(fields, client_id=self.client.client_id, envelope=self.envelope, at=self.arrived_at)
        return self.mode.answer(self.redirect_uri, fields)

    def refuse(self, error: OAuthError) -> Response:
        """RFC 6749 section 4.1.2.1."""
        return self.answer(**error.to_json())


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A request that is right in itself: what is left is who signs in and what they allow."""

    back: ReturnAddress
    scope: Scope
    audience: tuple[str, ...]
    code_challenge: str | None
    nonce: str | None = field(repr=False)
    prompt: frozenset[str]
    max_age: int | None
    acr_values: tuple[str, ...]
    """RFC 9470: one of them is wanted; empty: any strength will do."""
    authorization_details: Details
    """RFC 9396."""
    dpop_jkt: str | None
    """RFC 9449 section 10: the key that the code is bound to."""
    subject: str | None
    """Of the `id_token_hint`, or of the `claims`: nobody else will do."""
    claims: ClaimsRequest


async def return_address(parameters: Parameters, desk: Desk) -> ReturnAddress:
    """First stage.

    Raises:
        RefusalError: the client is not known, or the redirect URI is not one of its own (rule O1): a page, no redirect.
    """
    client_id = parameters.get("client_id")
    client = await desk.directory.find(client_id) if client_id is not None else None
    if client is None:
        raise RefusalError(400, "unknown_client", why=f"client_id {client_id!r}")
    asked = parameters.get("redirect_uri") or _only_redirect_uri(parameters, client)
    if asked is None or not any(
        redirect_uri.matches(asked, registered, named=client.from_document) for registered in client.redirect_uris
    ):
        raise RefusalError(400, "foreign_redirect_uri", why=f"{client_id} asks for {asked!r}")
    named = parameters.get("response_mode")
    mode = next((mode for mode in RESPONSE_MODES if mode.name == named), RESPONSE_MODES[0])
    return ReturnAddress(
        client=client,
        redirect_uri=asked,
        state=parameters.get("state"),
        mode=mode,
        issuer=desk.config.issuer,
        envelope=await _envelope(client, desk) if mode.signed else None,
        arrived_at=desk.ambient.now(),
    )


def _only_redirect_uri(parameters: Parameters, client: Client) -> str | None:
    """OAuth 2.1 section 4.1.1: it need not be said where only one is registered; OpenID Connect and FAPI want it said always."""
    said = scope.OPENID in (parameters.get("scope") or "").split(" ") or client.profile is not None
    return client.redirect_uris[0] if len(client.redirect_uris) == 1 and not said else None


async def _envelope(client: Client, desk: Desk) -> Envelope:
    try:
        return await envelope("authorization", client, desk)
    except OAuthError as error:  # without it nothing can be sent back
        raise RefusalError(400, "bad_request", why=str(error)) from None


async def authorization_request(parameters: Parameters, back: ReturnAddress, desk: Desk) -> AuthorizationRequest:
    """Second stage.

    Raises:
        OAuthError: goes back to the client.
    """
    if "registration" in parameters:
        raise RegistrationNotSupportedError("The parameter registration is not supported.")
    if parameters.require("response_type") != "code":
        raise UnsupportedResponseTypeError("The only response_type is code.")
    if "authorization_code" not in back.client.grant_types:
        raise UnauthorizedClientError("The client is not registered for the grant authorization_code.")
    if parameters.get("response_mode") not in {None, back.mode.name}:
        raise InvalidRequestError("The response_mode is not supported.")
    if wants_signed_responses(back.client) and not back.mode.signed:
        raise InvalidRequestError("The client is registered for signed responses: ask for the response_mode jwt.")
    asked = asked_scope(parameters, back.client)
    claims = claims_request.parse(parameters.get("claims")) if scope.OPENID in asked else claims_request.NOTHING
    return AuthorizationRequest(
        back=back,
        scope=_with_claims(asked, claims, back.client, await desk.definitions.current()),
        audience=asked_audience(parameters, back.client, asked, desk.config),
        code_challenge=asked_challenge(parameters, asked, back.client),
        nonce=parameters.get("nonce"),
        prompt=_prompt(parameters),
        max_age=_max_age(parameters, back.client),
        acr_values=_acr_values(parameters, claims, back.client),
        authorization_details=authorization_details.parse(
            parameters.get("authorization_details"), types=back.client.authorization_details_types
        ),
        dpop_jkt=_dpop_jkt(parameters),
        subject=await _subject(parameters, claims, back.client, desk),
        claims=claims,
    )


def asked_scope(parameters: Parameters, client: Client) -> Scope:
    """RFC 6749 section 3.3; without one, all that the client may have short of an identity and of offline access.

    OpenID Connect Core section 11: `offline_access` is ignored for a client that gets no refresh token, or none that outlives
    its session.
    """
    allowed = scope.parse(client.scope)
    asked = scope.parse(parameters.get("scope"))
    if not asked:
        return scope.excess(allowed, (scope.OPENID, scope.OFFLINE_ACCESS))
    if "refresh_token" not in client.grant_types or scope.OFFLINE_ACCESS not in allowed:
        asked = scope.excess(asked, (scope.OFFLINE_ACCESS,))
    if not asked:
        raise InvalidScopeError("The scope asks for offline_access alone, and the client gets no refresh token.")
    return scope.narrow(asked, allowed)


def _with_claims(asked: Scope, claims: ClaimsRequest, client: Client, catalogue: Catalogue) -> Scope:
    """OpenID Connect Core section 5.5: a single claim is asked for, allowed and shown as the scope value that it belongs to.

    One that the client may not have is left out: no claim is worth an error.
    """
    allowed = scope.parse(client.scope)
    wanted = catalogue.scope_for((*claims.id_token, *claims.userinfo))
    return tuple(dict.fromkeys((*asked, *(value for value in wanted if value in allowed))))


def _prompt(parameters: Parameters) -> frozenset[str]:
    prompt = frozenset((parameters.get("prompt") or "").split())
    if not prompt <= frozenset(PROMPTS):
        raise InvalidRequestError(f"The prompt has a value other than {', '.join(PROMPTS)}.")
    if "none" in prompt and len(prompt) > 1:
        raise InvalidRequestError("The prompt none stands alone.")
    return prompt


def _acr_values(parameters: Parameters, claims: ClaimsRequest, client: Client) -> tuple[str, ...]:
    """OpenID Connect Core section 5.5.1.1: the essential ones before those wished for, or an error if nobody can reach them.

    Registration section 2: those that the client is registered with where the request says nothing of them.
    """
    if not claims.acr:
        said = "acr_values" in parameters or "acr" in claims.id_token
        return acr.asked(parameters.get("acr_values")) if said else client.default_acr_values
    reachable = tuple(value for value in claims.acr if value in acr.VALUES)
    if not reachable:
        raise UnmetAuthenticationRequirementsError("Nobody can sign in here in a way that is asked for as essential.")
    return reachable


def _dpop_jkt(parameters: Parameters) -> str | None:
    thumbprint = parameters.get("dpop_jkt")
    if thumbprint is not None and not _THUMBPRINT.fullmatch(thumbprint):
        raise InvalidRequestError("The dpop_jkt is not a thumbprint of SHA-256: 43 characters of base64url.")
    return thumbprint


def _max_age(parameters: Parameters, client: Client) -> int | None:
    text = parameters.get("max_age")
    if text is None:
        return client.default_max_age
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise InvalidRequestError("The max_age is not a number of seconds.")
    return int(text)


async def _subject(parameters: Parameters, asked: ClaimsRequest, client: Client, desk: Desk) -> str | None:
    """The one person who will do."""
    named = None if asked.subject is None else await subject_behind(asked.subject, client, desk)
    hint = parameters.get("id_token_hint")
    if hint is None:
        return named
    subject = await hinted_subject(hint, client, desk)
    if subject is None:
        raise InvalidRequestError("The id_token_hint is not an ID token of this issuer for this client.")
    if named not in {None, subject}:
        raise InvalidRequestError("The id_token_hint and the parameter claims name two people.")
    return subject
