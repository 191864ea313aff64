"""RFC 7009: a client gives a token back."""

from starlette.requests import Request
from starlette.responses import Response

from carnet.issuer.answers import NO_STORE, read_form
from carnet.issuer.client_auth import authenticate
from carnet.issuer.desk import Desk
from carnet.issuer.endpoint import Endpoint
from carnet.issuer.opaque import Opaque
from carnet.issuer.pairwise import subject_behind
from carnet.issuer.presented_tokens import live_access_token
from carnet.issuer.revoking import entry
from carnet.issuer.rotation import revoke_family
from carnet.issuer.storage.ports import Spent
from carnet.issuer.storage.records import Client, Event
from carnet.oauth.errors import InvalidRequestError


async def answer(request: Request, desk: Desk) -> Response:
    """Section 2.2: 200 also for a token that is not known, or not any more: it is worth nothing, as was wished."""
    parameters = await read_form(request)
    client = await authenticate(request, parameters, desk)
    token = parameters.require("token")
    if not await _revoke_refresh_token(Opaque(token), client, desk):
        await _revoke_access_token(token, client, desk)
    return Response(status_code=200, headers=NO_STORE)


async def _revoke_refresh_token(token: Opaque, client: Client, desk: Desk) -> bool:
    """Section 2.1: with a refresh token the whole family ends, its access tokens included. A spent one ends it too."""
    found = await desk.store.artifacts.get("refresh_token", token.digest, at=desk.ambient.now())
    if found is None:
        return False
    artifact = found.artifact if isinstance(found, Spent) else found
    if artifact.client_id != client.client_id:
        raise _foreign()
    await revoke_family(artifact, desk, name="refresh_token.revoked")
    return True


async def _revoke_access_token(token: str, client: Client, desk: Desk) -> None:
    claims = await live_access_token(token, desk)
    if claims is None:
        return
    if claims["client_id"] != client.client_id:
        raise _foreign()
    now = desk.ambient.now()
    await desk.store.revocations.add((entry("token", claims["jti"], desk.config, at=now),))
    subject = await subject_behind(claims["sub"], client, desk)
    await desk.store.events.add(Event(at=now, name="access_token.revoked", subject=subject, client_id=client.client_id))


def _foreign() -> InvalidRequestError:
    return InvalidRequestError("The token was not issued to this client.")


ENDPOINTS = (Endpoint("/revoke", ("POST",), answer, metadata="revocation_endpoint", cors="clients", mtls=True),)
