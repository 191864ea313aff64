"""RFC 7591, RFC 7592: a client that brings an initial access token registers itself, and manages its registration afterwards."""

from hmac import compare_digest
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer import clients, registration
from carnet.issuer.answers import NO_STORE, json_answer
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.opaque import Opaque
from carnet.issuer.storage.ports import Fresh, StaleError
from carnet.issuer.storage.records import Artifact, Client
from carnet.oauth import scope
from carnet.oauth.challenge import bearer_token
from carnet.oauth.errors import (
    InvalidClientMetadataError,
    InvalidTokenError,
    TooManyFailuresError,
    UnsupportedMediaTypeError,
)

ACTOR = "registration"


async def register(request: Request, desk: Desk) -> Response:
    """RFC 7591 section 3. The token is spent last: a request that is refused does not cost it."""
    token = await _token(request, "registration_token", desk)
    given = await _metadata(request)
    registered = registration.asked_client(given, desk, allowed=desk.config.scopes)
    terms = msgspec.json.decode(token.document, type=registration.Initial)
    client = _on_terms(registered.client, terms, desk.config)
    await _check_documents(client, desk)
    await _spend(token, terms, desk)
    await clients.keep(desk, client, actor=ACTOR)
    secret, artifact = registration.access_token(desk, client.client_id)
    await desk.store.artifacts.put(artifact)
    return json_answer(_information(client, desk, secret, registered.secret), status=201)


async def show(request: Request, desk: Desk) -> Response:
    """RFC 7592 section 2.1. Its secret is not told again: only its digest is kept."""
    client, token, _ = await _managed(request, desk)
    return json_answer(_information(client, desk, token))


async def replace(request: Request, desk: Desk) -> Response:
    """RFC 7592 section 2.2: what is left out is taken away; the token that was used is spent into another one."""
    client, token, artifact = await _managed(request, desk)
    given = await _metadata(request)
    _check_request(given, client)
    allowed = tuple(dict.fromkeys((*desk.config.scopes, *scope.parse(client.scope))))
    asked = registration.asked_client(given, desk, allowed=allowed).client
    members = {name: getattr(asked, name) for name in (*registration.OWN, "metadata")}
    try:
        changed = await clients.change(desk, client, msgspec.structs.replace(client, **members), actor=ACTOR)
    except (clients.ClientError, StaleError) as error:
        raise InvalidClientMetadataError(str(error)) from None
    secret, successor = registration.access_token(desk, client.client_id)
    spent = await desk.store.artifacts.spend(artifact.kind, artifact.digest, at=desk.ambient.now(), into=(successor,))
    return json_answer(_information(changed, desk, secret if isinstance(spent, Fresh) else token))


async def remove(request: Request, desk: Desk) -> Response:
    """RFC 7592 section 2.3: with the client goes all that it holds, this token included."""
    client, _, _ = await _managed(request, desk)
    await clients.remove(desk, client.client_id, actor=ACTOR)
    return Response(status_code=204, headers=NO_STORE)


async def _token(request: Request, kind: registration.TokenKind, desk: Desk) -> Artifact:
    """The token of the request, found.

    Raises:
        InvalidTokenError: there is none, or it is not good here.
    """
    headers = request.headers.getlist("authorization")
    token = bearer_token(headers[0]) if len(headers) == 1 else None
    found = await desk.store.artifacts.get(kind, Opaque(token).digest, at=desk.ambient.now()) if token else None
    if not isinstance(found, Artifact):
        raise InvalidTokenError("This needs a token for registration, and there is none, or it is not valid any more.")
    return found


def _on_terms(client: Client, terms: registration.Initial, config: Config) -> Client:
    """What the administrator who made the token gave with it."""
    try:
        return clients.validated(msgspec.structs.replace(client, pkce=terms.pkce), config)
    except clients.ClientError as error:
        raise InvalidClientMetadataError(str(error)) from None


async def _check_documents(client: Client, desk: Desk) -> None:
    try:
        await clients.check_documents(desk, client)
    except clients.ClientError as error:
        raise InvalidClientMetadataError(str(error)) from None


async def _spend(token: Artifact, terms: registration.Initial, desk: Desk) -> None:
    """One registration, or so many in an hour."""
    now = desk.ambient.now()
    if terms.reusable:
        key = registration.counted(token.digest)
        if await desk.store.throttle.hit(key, at=now, window=3_600) > registration.PER_HOUR:
            raise TooManyFailuresError("Too many clients were registered with this token: try again later.")
    elif not isinstance(await desk.store.artifacts.spend(token.kind, token.digest, at=now), Fresh):
        raise InvalidTokenError("The token for registration has been used.")


async def _managed(request: Request, desk: Desk) -> tuple[Client, Opaque, Artifact]:
    """RFC 7592 section 2: the client whose token is brought; of another client, or of one that is gone, it is none."""
    artifact = await _token(request, "registration_access_token", desk)
    client_id = request.path_params["client_id"]
    client = await desk.store.clients.get(client_id) if artifact.client_id == client_id else None
    if client is None:
        raise InvalidTokenError("The token is not this client's.")
    return client, Opaque(bearer_token(request.headers["authorization"]) or ""), artifact


async def _metadata(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaTypeError("The request's Content-Type is not application/json.")
    return registration.read(await request.body())


def _check_request(given: dict[str, Any], client: Client) -> None:
    """RFC 7592 section 2.2."""
    if given.get("client_id") != client.client_id:
        raise InvalidClientMetadataError("The metadata names this client as client_id.")
    for name in (
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    ):
        if name in given:
            raise InvalidClientMetadataError(f"{name} is not the client's to set: leave it out.")
    secret = given.get("client_secret")
    if secret is not None and not (
        isinstance(secret, str)
        and client.secret_digest is not None
        and compare_digest(Opaque(secret).digest, client.secret_digest)
    ):
        raise InvalidClientMetadataError("The client_secret is not the client's: it cannot choose one.")


def _information(client: Client, desk: Desk, token: Opaque, secret: Opaque | None = None) -> dict[str, Any]:
    """RFC 7591 section 3.2.1, RFC 7592 section 3."""
    shown = registration.document(client, desk.config)
    if secret is not None:
        shown |= {"client_secret": secret.value, "client_secret_expires_at": 0}
    return shown | {
        "registration_access_token": token.value,
        "registration_client_uri": f"{desk.config.issuer}/register/{client.client_id}",
    }


def _served(config: Config) -> bool:
    return config.client_registration


ENDPOINTS = (
    Endpoint("/register", ("POST",), register, metadata="registration_endpoint", served=_served),
    Endpoint("/register/{client_id}", ("GET",), show, served=_served),
    Endpoint("/register/{client_id}", ("PUT",), replace, served=_served),
    Endpoint("/register/{client_id}", ("DELETE",), remove, served=_served),
)
