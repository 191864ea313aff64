"""RFC 7591, RFC 7592: a client that brings an initial access token registers itself, and manages its registration afterwards."""

from hashlib import sha256
from hmac import compare_digest
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer import clients, registration, software_statements
from carnet.issuer.admission import RegistrationPolicy
from carnet.issuer.answers import NO_STORE, json_answer
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.opaque import Opaque
from carnet.issuer.software_statements import SoftwareStatement
from carnet.issuer.storage.ports import Fresh, StaleError
from carnet.issuer.storage.records import Artifact, Client
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
    token = await _token(request, "registration_token", desk) if "authorization" in request.headers else None
    given = await _metadata(request)
    statement = await software_statements.brought(given, desk)
    if token is None and (statement is None or not statement.issuer.admits):
        raise _no_token()
    policy = _policy(token, statement, desk.config)
    registered = registration.asked_client(given, desk, policy, statement=statement)
    client = registered.client
    await _check_documents(client, desk)
    await _spend(token, statement, desk)
    await clients.keep(desk, client, actor=ACTOR)
    secret, artifact = registration.access_token(desk, client.client_id, policy)
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
    statement = await software_statements.brought(given, desk)
    if statement is None and software_statements.MEMBER in client.metadata:
        raise InvalidClientMetadataError(
            "The client was registered with a software statement: bring it, or a newer one."
        )
    policy = registration.policy_of(artifact)
    asked = registration.asked_client(given, desk, policy, statement=statement, before=client).client
    members = {name: getattr(asked, name) for name in (*registration.OWN, "metadata")}
    try:
        changed = await clients.change(desk, client, msgspec.structs.replace(client, **members), actor=ACTOR)
    except (clients.ClientError, StaleError) as error:
        raise InvalidClientMetadataError(str(error)) from None
    secret, successor = registration.access_token(desk, client.client_id, policy)
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
        raise _no_token()
    return found


def _no_token() -> InvalidTokenError:
    return InvalidTokenError("This needs a token for registration, and there is none, or it is not valid any more.")


def _policy(token: Artifact | None, statement: SoftwareStatement | None, config: Config) -> RegistrationPolicy:
    """That of whoever vouches for the client: of its statement's issuer, or of the administrator who made its token."""
    if statement is not None and statement.issuer.policy is not None:
        return config.registration_policies[statement.issuer.policy]
    return registration.DEFAULT_POLICY if token is None else registration.policy_of(token)


async def _check_documents(client: Client, desk: Desk) -> None:
    try:
        await clients.check_documents(desk, client)
    except clients.ClientError as error:
        raise InvalidClientMetadataError(str(error)) from None


async def _spend(token: Artifact | None, statement: SoftwareStatement | None, desk: Desk) -> None:
    """One registration, or so many; and of whatever is good for more than one, so many in an hour.

    Raises:
        InvalidTokenError: it is used up; TooManyFailuresError: it is for this hour.
    """
    now = desk.ambient.now()
    if token is None:
        issuer = statement.issuer.issuer if statement is not None else ""
        await _count(registration.counted(sha256(issuer.encode()).digest()), desk)
        return
    uses = registration.policy_of(token).uses
    if uses == 1:
        if not isinstance(await desk.store.artifacts.spend(token.kind, token.digest, at=now), Fresh):
            raise InvalidTokenError("The token for registration has been used.")
        return
    await _count(registration.counted(token.digest), desk)
    if uses is not None:
        key = f"{registration.counted(token.digest)}/all"
        used = await desk.store.throttle.hit(key, at=now, window=token.expires_at - now)
        if used >= uses:  # nobody can register with it any more, and no list has it
            await desk.store.artifacts.spend(token.kind, token.digest, at=now)
        if used > uses:
            raise InvalidTokenError("The token for registration has been used up.")


async def _count(key: str, desk: Desk) -> None:
    if await desk.store.throttle.hit(key, at=desk.ambient.now(), window=3_600) > registration.PER_HOUR:
        raise TooManyFailuresError("Too many clients were registered in this way: try again later.")


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
