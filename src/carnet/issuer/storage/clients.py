"""RFC 7591 section 2: the registered clients."""

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from carnet.ambient import Instant
from carnet.issuer.storage.ports import AlreadyExistsError, StaleError
from carnet.issuer.storage.records import Client, Revocation
from carnet.issuer.storage.revocations import note
from carnet.issuer.storage.statements import Group, Statement, Verb, overhauling, reading, scanning, writing

LOOK_AGAIN = 86_400
"""Seconds after which a client that nobody has registered is looked at: whether anything hangs on it (`sweeping.py`)."""

_CLIENT = msgspec.json.Decoder(Client)
_KEPT = 4_096
"""Bytes of the longest document of a client that is kept in memory: whoever registers many fills it with short ones alone."""


def _read(document: bytes) -> Client:
    return _remembered(document) if len(document) <= _KEPT else _CLIENT.decode(document)


@lru_cache(maxsize=1024)
def _remembered(document: bytes) -> Client:
    """Requests name the same few clients again and again: what has not changed is not decoded again."""
    return _CLIENT.decode(document)


class StoredClients(Group):
    @writing
    def add(self, client: Client) -> Verb[None]:
        added = yield Statement(
            "INSERT INTO client (client_id, document) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING 1",
            (client.client_id, msgspec.json.encode(client)),
        )
        if not added:
            raise AlreadyExistsError("There is a client with this client_id already.")
        if client.from_document:  # nobody will ever remove it
            yield Statement(
                "UPDATE client SET kept_until = ? WHERE client_id = ?",
                (client.created_at + LOOK_AGAIN, client.client_id),
            )

    @reading
    def get(self, client_id: str) -> Verb[Client | None]:
        rows = yield Statement("SELECT document FROM client WHERE client_id = ?", (client_id,))
        return _read(rows[0][0]) if rows else None

    @scanning
    def list(self, *, after: str | None = None, limit: int = 100) -> Verb[list[Client]]:
        rows = yield Statement(
            "SELECT document FROM client WHERE client_id > ? ORDER BY client_id LIMIT ?", (after or "", limit)
        )
        return [_CLIENT.decode(document) for [document] in rows]

    @writing
    def replace(self, before: Client, after: Client, *, revocations: Sequence[Revocation] = ()) -> Verb[None]:
        rows = yield Statement("SELECT document FROM client WHERE client_id = ? FOR NO KEY UPDATE", (before.client_id,))
        if before.client_id != after.client_id or not rows or _CLIENT.decode(rows[0][0]) != before:
            raise StaleError("The client was changed since it was read: read it again.")
        yield Statement(
            "UPDATE client SET document = ? WHERE client_id = ?", (msgspec.json.encode(after), after.client_id)
        )
        yield from note(revocations)

    @overhauling
    def remove(
        self, client_id: str, *, at: Instant, revocations: Sequence[Revocation] = (), seen: Client | None = None
    ) -> Verb[bool]:
        rows = yield Statement("SELECT document FROM client WHERE client_id = ? FOR UPDATE", (client_id,))
        if seen is not None and rows and _CLIENT.decode(rows[0][0]) != seen:
            raise StaleError("The client was changed since it was read: read it again.")
        # Its consents, families and their artifacts go with it: the schema says so.
        removed = yield Statement("DELETE FROM client WHERE client_id = ? RETURNING 1", (client_id,))
        if removed:
            yield from note(revocations)
        return bool(removed)
