"""OpenID CIBA Core section 7.1.1, FAPI CIBA section 5.2.2: backchannel authentication requests that their client has signed."""

from carnet.issuer import fapi
from carnet.issuer.desk import Desk
from carnet.issuer.replay import seen_before
from carnet.issuer.request_objects import LEEWAY, LONGEST_LIFE, as_parameters, claims_of
from carnet.issuer.storage.records import Client
from carnet.jose.profiles import BACKCHANNEL_REQUEST
from carnet.oauth.errors import InvalidRequestError, InvalidRequestObjectError
from carnet.oauth.parameters import Parameters

PARAMETERS = (
    "scope",
    "client_notification_token",
    "acr_values",
    "login_hint_token",
    "id_token_hint",
    "login_hint",
    "binding_message",
    "user_code",
    "requested_expiry",
    "request_context",
    "resource",
    "authorization_details",
)
"""Of a request; beside a signed one there is none of them, and only what authenticates the client."""


async def own_parameters(parameters: Parameters, client: Client, desk: Desk) -> Parameters:
    """The request's own parameters, signed or not.

    Raises:
        InvalidRequestError: the client is registered to sign and has not, or what it has signed is not a request of now for
            this issuer; CIBA has this one error for both (section 13).
    """
    signed = parameters.get("request")
    if signed is None:
        if client.require_signed_request_object or client.backchannel_authentication_request_signing_alg is not None:
            raise InvalidRequestError("The client is registered to sign its requests (OpenID CIBA Core section 7.1.1).")
        return parameters
    if any(name in parameters for name in PARAMETERS):
        raise InvalidRequestError("Nothing of a signed request stands outside of it (OpenID CIBA Core section 7.1.1).")
    try:
        claims = await claims_of(signed, BACKCHANNEL_REQUEST, client, signing_algorithms(client), desk)
        own = as_parameters(claims)
    except InvalidRequestObjectError as error:
        raise _refusal(error.why) from None
    if claims["exp"] - claims["nbf"] > LONGEST_LIFE:
        raise _refusal(f"it is good for more than {LONGEST_LIFE} s")
    if claims.get("client_id", client.client_id) != client.client_id:
        raise _refusal("it is another client's")
    until = int(claims["exp"]) + LEEWAY + 1
    if await seen_before("backchannel_request", client.client_id, claims["jti"], desk, until=until):
        raise InvalidRequestError("The signed request has come before: sign a new one.", why="its jti was seen")
    return own


def signing_algorithms(client: Client) -> tuple[str, ...]:
    """CIBA section 4: the registered one alone, where one is registered."""
    registered = client.backchannel_authentication_request_signing_alg
    return fapi.signing_algorithms(client) if registered is None else (registered,)


def _refusal(why: str) -> InvalidRequestError:
    return InvalidRequestError("The signed request is not valid.", why=why)
