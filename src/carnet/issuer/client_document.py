"""draft-ietf-oauth-client-id-metadata-document sections 3 and 4: what a client says of itself at the URL that is its client_id.

Pure rules. A document is written for many authorization servers at once: what it asks for beyond what is given here is left
out, and only what would make the client fail later is refused.
"""

from typing import Any
from urllib.parse import urlsplit

import msgspec

from carnet.ambient import Instant
from carnet.issuer.admission import ClientDocuments
from carnet.issuer.client_directory import ClientDocumentError
from carnet.issuer.client_names import tagged
from carnet.issuer.clients import PUBLIC, ClientError, Registration, validated
from carnet.issuer.config import Config, loopback
from carnet.issuer.envelope import ENVELOPE_MEMBERS
from carnet.issuer.registration import About
from carnet.issuer.storage.records import Client
from carnet.oauth import redirect_uri, scope
from carnet.oauth.client_id import host_of
from carnet.oauth.errors import InvalidScopeError

METHODS = (PUBLIC, "private_key_jwt")
"""Section 4.1: no secret can be shared with whom nobody knows."""

GRANT_TYPES = ("authorization_code", "refresh_token")

_TAKEN = (
    "client_name",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "jwks",
    "jwks_uri",
    "request_object_signing_alg",
    *ENVELOPE_MEMBERS,
    "require_signed_request_object",
    "require_pushed_authorization_requests",
    "dpop_bound_access_tokens",
    "default_max_age",
    "default_acr_values",
    "redirect_uris",
    "scope",
)
"""Members that are read. The URIs of logout are none of them: they lead browsers where nobody has registered anything."""

_FORBIDDEN = ("client_secret", "client_secret_expires_at")


def described(
    document: dict[str, Any], client_id: str, setting: ClientDocuments, config: Config, *, at: Instant
) -> Client:
    """The client that a document describes.

    Raises:
        ClientDocumentError: it cannot be one.
    """
    if document.get("client_id") != client_id:
        raise ClientDocumentError("Its client_id is not the URL that it stands at (section 4.1).")
    given = {name: value for name, value in document.items() if value is not None}
    for name in _FORBIDDEN:
        if name in given:
            raise ClientDocumentError(f"It has the member {name}: everybody can read it.")
    own: dict[str, Any] = {"client_name": host_of(client_id), "token_endpoint_auth_method": PUBLIC} | {
        name: given[name] for name in _TAKEN if name in given
    }
    try:
        about = msgspec.convert(given, About)
        asked = msgspec.convert(own | {"grant_types": _grant_types(given)}, Registration)
    except msgspec.ValidationError as error:
        raise ClientDocumentError(f"It does not have the form of RFC 7591: {error}") from None
    if asked.token_endpoint_auth_method not in METHODS:
        raise ClientDocumentError(f"Its token_endpoint_auth_method is none of {', '.join(METHODS)}.")
    for uri in asked.redirect_uris:
        _check_redirect_uri(uri, client_id)
    members: dict[str, Any] = {name: getattr(asked, name) for name in asked.__struct_fields__} | {
        "client_id": client_id,
        "scope": _clamped(asked.scope, setting.scopes if setting.scopes is not None else config.scopes),
        "audiences": setting.audiences,
        "require_resource": True,
        "from_document": True,
        "created_at": at,
        "updated_at": at,
        "metadata": _told(about, given, client_id),
    }
    try:
        return validated(Client(**members), config)
    except ClientError as error:
        raise ClientDocumentError(str(error)) from None


def only_here(uris: tuple[str, ...]) -> bool:
    """Section 6, and of the Model Context Protocol's authorization: whether all lead to the very machine that people sit at.

    Anybody who runs a program there can take the answer, in the name of whichever client has published such a document.
    """
    return all(urlsplit(uri).scheme != "https" for uri in uris)


def _told(about: About, given: dict[str, Any], client_id: str) -> dict[str, Any]:
    """What it says besides; of addresses, which people may be shown, those at the client_id's own host."""
    said = {name: value for name, value in msgspec.to_builtins(about).items() if name in given} | tagged(given)
    return {
        name: value
        for name, value in said.items()
        if not name.endswith("_uri") or value.startswith(f"https://{host_of(client_id)}/")
    }


def _grant_types(given: dict[str, Any]) -> tuple[str, ...]:
    asked = given.get("grant_types", ("authorization_code",))
    known = tuple(name for name in GRANT_TYPES if isinstance(asked, tuple) and name in asked)
    response_types = given.get("response_types", ("code",))
    if "authorization_code" not in known or not isinstance(response_types, tuple) or "code" not in response_types:
        raise ClientDocumentError("It does not use the grant authorization_code with the response type code.")
    return known


def _check_redirect_uri(uri: str, client_id: str) -> None:
    """Section 6.1: an https address is of the client_id's own host, which is all that people have to judge the client by."""
    parts = urlsplit(uri)
    try:
        redirect_uri.check(uri, native=True)
    except redirect_uri.RedirectUriError as error:
        raise ClientDocumentError(f"redirect_uris: {error}") from None
    if parts.scheme == "https" and parts.netloc.lower() != host_of(client_id):
        raise ClientDocumentError(f"redirect_uris: {uri!r} is not at {host_of(client_id)}, as the client_id is.")
    if parts.scheme == "http" and not loopback(parts.hostname):
        raise ClientDocumentError(f"redirect_uris: {uri!r} is neither https nor on this machine.")


def _clamped(asked: str | None, allowed: tuple[str, ...]) -> str:
    try:
        values = allowed if asked is None else scope.parse(asked)
    except InvalidScopeError as error:
        raise ClientDocumentError(f"scope: {error.description}") from None
    return scope.join(value for value in values if value in allowed)
