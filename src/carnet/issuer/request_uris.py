"""RFC 9101 section 5.2, OpenID Connect Core section 6.2: signed requests at a URL that their client has registered."""

from carnet.issuer.desk import Desk
from carnet.issuer.egress import Egress, EgressError
from carnet.issuer.storage.records import Client
from carnet.oauth.errors import InvalidRequestUriError, RequestUriNotSupportedError, TemporarilyUnavailableError

LONGEST = 512
"""Characters (RFC 9101 section 5.2.1)."""
MOST = 20
"""That a client may register."""
PER_MINUTE = 300
"""So many are fetched for one client: nobody has the issuer flood somebody else's server."""
PER_ADDRESS = 60
"""Of them, for browsers at one address: nobody uses up from one place what the client's people need."""

_ACCEPT = "application/oauth-authz-req+jwt, application/jwt"


class RequestUrisError(ValueError):
    """What a client must not register; the message is a sentence that says why."""


async def fetched(request_uri: str, client: Client, desk: Desk, *, address: str) -> str:
    """The request object that stands there now. Nothing is kept, so that it does not matter what a fragment says of it.

    `address`: where the browser is that brings it, as far as that is counted.

    Raises:
        RequestUriNotSupportedError: the client has registered no such URL; InvalidRequestUriError: not this one, or nothing can
            be had there; TemporarilyUnavailableError: too many were fetched for it.
    """
    if not client.request_uris:
        raise RequestUriNotSupportedError("The client has registered no request_uris, and this is no pushed request.")
    url = place(request_uri)
    if url not in map(place, client.request_uris):
        raise _refusal("it is not registered")
    key = f"request_uri/{client.client_id}"
    for most, counted in ((PER_ADDRESS, f"{key}/{address}"), (PER_MINUTE, key)):
        if await desk.store.throttle.hit(counted, at=desk.ambient.now(), window=60) > most:
            raise TemporarilyUnavailableError("Too many requests were fetched for this client: try again in a minute.")
    try:
        return (await desk.egress.get(url, accept=_ACCEPT)).decode("ascii").strip()
    except (EgressError, UnicodeDecodeError) as error:
        raise _refusal(str(error)) from None


def check_request_uris(client: Client, egress: Egress) -> None:
    """OpenID Connect Registration section 2 (`request_uris`), rule O6.

    Raises:
        RequestUrisError
    """
    if len(client.request_uris) > MOST:
        raise RequestUrisError(f"request_uris: at most {MOST}.")
    for uri in client.request_uris:
        if len(uri) > LONGEST or not (uri.isascii() and uri.isprintable()):
            raise RequestUrisError(f"request_uris: {uri[:100]!r} is not up to {LONGEST} printable characters of ASCII.")
        try:
            egress.check_url(place(uri))
        except EgressError as error:
            raise RequestUrisError(f"request_uris: {error}") from None


def place(uri: str) -> str:
    """Core section 6.2: the fragment, if any, is a hash of what stands there, which changes with it."""
    return uri.partition("#")[0]


def _refusal(why: str) -> InvalidRequestUriError:
    return InvalidRequestUriError("No request can be had at the request_uri.", why=why)
