"""draft-ietf-oauth-client-id-metadata-document section 3: client identifiers that are the URL of a document about the client."""

import re
from urllib.parse import urlsplit

from carnet.oauth import redirect_uri

_DOTS = re.compile(r"/(?:\.|%2e){1,2}(?=/|$)", re.IGNORECASE)


class ClientIdError(ValueError):
    """A URL that cannot be a client_id; the message is a sentence that says why."""


def names_document(client_id: str) -> bool:
    """Whether a client_id is a URL: none that is made here is (section 6.9)."""
    return client_id.startswith("https://")


def host_of(client_id: str) -> str:
    """Section 6.4: what people are shown, and what settings admit: the host, with its port where there is one."""
    return urlsplit(client_id).netloc.lower()


def check(client_id: str) -> None:
    """Refuse all but an https URL with a path, without dot segments, a fragment, a user, or what would have to be encoded.

    Raises:
        ClientIdError
    """
    try:
        parts = urlsplit(redirect_uri.check(client_id, native=False))
    except redirect_uri.RedirectUriError as error:
        raise ClientIdError(str(error)) from None
    if not names_document(client_id) or parts.path in {"", "/"}:
        raise ClientIdError(f"{client_id!r} is not the https URL of a document: it needs a path.")
    if "@" in parts.netloc or _DOTS.search(parts.path):
        raise ClientIdError(f"{client_id!r} has a user or dot segments.")
