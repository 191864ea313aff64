"""OpenID Connect Back-Channel Logout section 2.2, Front-Channel Logout section 2: where clients hear of the end of a session."""

from carnet.issuer.egress import Egress, EgressError
from carnet.issuer.storage.records import Client
from carnet.oauth import redirect_uri


class LogoutUriError(ValueError):
    """A URI that must not be registered; the message is a sentence that says why."""


def wants_to_know(client: Client) -> bool:
    """Whether anybody has to remember that it takes part in a session."""
    return client.backchannel_logout_uri is not None or client.frontchannel_logout_uri is not None


def check_logout_uris(client: Client, egress: Egress) -> None:
    """Refuse what could not be called, and frames of sites that are not the client's own.

    Raises:
        LogoutUriError: says why.
    """
    if client.backchannel_logout_uri is not None:
        try:
            egress.check_url(client.backchannel_logout_uri)
        except EgressError as error:
            raise LogoutUriError(f"backchannel_logout_uri: {error}") from None
    if client.frontchannel_logout_uri is not None:
        try:
            redirect_uri.check(client.frontchannel_logout_uri, native=False)
        except redirect_uri.RedirectUriError as error:
            raise LogoutUriError(f"frontchannel_logout_uri: {error}") from None
        own = {redirect_uri.origin(uri) for uri in client.redirect_uris}
        if redirect_uri.origin(client.frontchannel_logout_uri) not in own:
            raise LogoutUriError(
                "frontchannel_logout_uri has the scheme, host and port of a redirect URI (Front-Channel Logout section 2)."
            )
