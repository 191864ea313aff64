"""OpenID CIBA Core section 7: an app asks for somebody who is not at its browser. Poll mode."""

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer import backchannel_requests
from carnet.issuer.answers import json_answer, read_form
from carnet.issuer.authorization_request import asked_scope
from carnet.issuer.backchannel_requests import BackchannelRequest
from carnet.issuer.client_auth import authenticate
from carnet.issuer.decisions import INTERVAL
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.grants.ciba import GRANT_TYPE
from carnet.issuer.presented_tokens import hinted_subject
from carnet.issuer.resource_indicators import asked_audience
from carnet.issuer.rotation import authenticates
from carnet.issuer.signed_backchannel_requests import own_parameters
from carnet.issuer.storage.records import Account, Client
from carnet.oauth import acr, authorization_details
from carnet.oauth.errors import (
    InvalidBindingMessageError,
    InvalidRequestError,
    InvalidScopeError,
    TooManyFailuresError,
    UnauthorizedClientError,
    UnknownUserIdError,
)
from carnet.oauth.parameters import Parameters
from carnet.oauth.scope import OPENID

LONGEST_MESSAGE = 100
"""Characters of a binding message: it is compared by eye."""


async def answer(request: Request, desk: Desk) -> Response:
    parameters = await read_form(request)
    client = await authenticate(request, parameters, desk)
    if GRANT_TYPE not in client.grant_types or not authenticates(client):
        raise UnauthorizedClientError("The client is not registered for backchannel authentication.")
    parameters = await own_parameters(parameters, client, desk)
    parameters.require("scope")
    scope = asked_scope(parameters, client)
    if OPENID not in scope:
        raise InvalidScopeError("The scope has openid (OpenID CIBA Core section 7.1).")
    now = desk.ambient.now()
    lifetime = _lifetime(parameters)
    asked = BackchannelRequest(
        client_id=client.client_id,
        subject=(await _hinted_account(parameters, client, desk)).subject,
        scope=scope,
        audience=asked_audience(parameters, client, scope, desk.config),
        authorization_details=authorization_details.parse(
            parameters.get("authorization_details"), types=client.authorization_details_types
        ),
        binding_message=_binding_message(parameters, client),
        acr_values=acr.asked(parameters.get("acr_values")),
        asked_at=now,
        expires_at=now + lifetime,
    )
    auth_req_id = await backchannel_requests.begin(desk, asked)
    if auth_req_id is None:
        raise TooManyFailuresError("Too many requests of this client wait for this person: try again later.")
    return json_answer({"auth_req_id": auth_req_id.value, "expires_in": lifetime, "interval": INTERVAL})


async def _hinted_account(parameters: Parameters, client: Client, desk: Desk) -> Account:
    """Section 7.1: exactly one hint; here the address of an account, or an ID token of ours.

    Raises:
        InvalidRequestError: there is none, several, or one that cannot be read; UnknownUserIdError: it means nobody.
    """
    hints = [name for name in ("login_hint", "id_token_hint", "login_hint_token") if name in parameters]
    if len(hints) != 1 or hints == ["login_hint_token"]:
        raise InvalidRequestError("The request has one hint: login_hint (an email address) or id_token_hint.")
    if hints == ["login_hint"]:
        account = await desk.store.accounts.by_email(parameters.require("login_hint"))
    else:
        subject = await hinted_subject(parameters.require("id_token_hint"), client, desk)
        if subject is None:
            raise InvalidRequestError("The id_token_hint is not an ID token of this issuer for this client.")
        account = await desk.store.accounts.get(subject)
    if account is None or account.disabled_at is not None:
        raise UnknownUserIdError("The hint means nobody here.")
    return account


def _binding_message(parameters: Parameters, client: Client) -> str | None:
    """FAPI CIBA section 5.2.2: what sets one request apart from another for the person who allows it."""
    message = parameters.get("binding_message")
    if message is None and client.profile is not None:
        raise InvalidRequestError(f"The profile {client.profile} wants a binding_message.")
    if message is not None and (len(message) > LONGEST_MESSAGE or not message.isprintable()):
        raise InvalidBindingMessageError(f"A binding_message has at most {LONGEST_MESSAGE} printable characters.")
    return message


def _lifetime(parameters: Parameters) -> int:
    text = parameters.get("requested_expiry")
    if text is None:
        return backchannel_requests.LIFETIME
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) > 0):
        raise InvalidRequestError("The requested_expiry is not a number of seconds.")
    return min(int(text), backchannel_requests.LONGEST)


ENDPOINTS = (
    Endpoint(
        "/backchannel_authentication", ("POST",), answer, metadata="backchannel_authentication_endpoint", mtls=True
    ),
)
