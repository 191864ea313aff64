"""draft-ietf-oauth-client-id-metadata-document: from when on the store knows a client that nobody has registered."""

from contextlib import suppress

from msgspec.structs import replace

from carnet.issuer.client_directory import merged
from carnet.issuer.clients import ClientError, keep
from carnet.issuer.desk import Desk
from carnet.issuer.storage.ports import StaleError
from carnet.issuer.storage.records import Client

ACTOR = "client document"


async def adopt(client: Client, desk: Desk) -> bool:
    """Have the store know a client that nobody registered, as its document describes it, before something hangs on it.

    False: it was deleted a moment ago, and its tokens are still refused.
    """
    if not client.from_document:
        return True
    stored = await desk.store.clients.get(client.client_id)
    if stored is None:
        try:
            await keep(desk, client, actor=ACTOR)
        except ClientError:  # or another request was first
            return await desk.store.clients.get(client.client_id) is not None
    elif merged(client, stored) != stored:
        with suppress(StaleError):  # another request has just done it
            await desk.store.clients.replace(stored, replace(merged(client, stored), updated_at=desk.ambient.now()))
    return True
