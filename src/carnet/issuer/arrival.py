"""RFC 9101, RFC 9126: the ways in which an authorization request arrives: plain, signed (here or at a URL), or pushed before."""

from dataclasses import dataclass, field

from carnet.issuer.desk import Desk
from carnet.issuer.pushed_requests import PREFIX, pushed_request
from carnet.issuer.request_objects import opened
from carnet.issuer.request_uris import fetched
from carnet.issuer.storage.records import Client, Digest
from carnet.oauth.errors import InvalidRequestError, UnauthorizedClientError
from carnet.oauth.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request's own parameters, whichever way they came."""

    parameters: Parameters
    signed: bool = False
    pushed: Digest | None = field(default=None, repr=False)
    """Of the pushed request that its code is to spend."""


async def arrive(parameters: Parameters, desk: Desk, *, address: str = "") -> Arrival:
    """Take the request out of what a browser, or a client that pushes, brings.

    `address`: where the browser is, as far as what is fetched for it is counted.

    Raises:
        OAuthError: there is no request in it.
    """
    request_uri, signed = parameters.get("request_uri"), parameters.get("request")
    if request_uri is not None and signed is not None:
        raise InvalidRequestError("The parameters request and request_uri do not go together.")
    if request_uri is not None and request_uri.startswith(PREFIX):
        pushed = await pushed_request(request_uri, parameters.get("client_id"), desk)
        # What must be signed was held against that when it was pushed.
        return Arrival(pushed.parameters, signed=True, pushed=pushed.digest)
    if request_uri is None and signed is None:
        return Arrival(parameters)
    client = await desk.directory.find(parameters.require("client_id"))
    if client is None:
        raise UnauthorizedClientError("The client is not known.")
    if request_uri is not None:
        signed = await fetched(request_uri, client, desk, address=address)
    return Arrival(await opened(signed or "", client, desk), signed=True)


def check_signed(arrival: Arrival, client: Client) -> None:
    """RFC 9101 section 10.5.

    Raises:
        InvalidRequestError: the client is registered to sign its requests, and this one is not signed.
    """
    if client.require_signed_request_object and not arrival.signed:
        raise InvalidRequestError("The client is registered to sign its requests (RFC 9101).")


def check_pushed(arrival: Arrival, client: Client) -> None:
    """RFC 9126 section 6.

    Raises:
        InvalidRequestError: the client is registered to push its requests, and this one was not pushed.
    """
    if client.require_pushed_authorization_requests and arrival.pushed is None:
        raise InvalidRequestError("The client is registered to push its requests (RFC 9126).")
