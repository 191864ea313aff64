"""RFC 6749 section 3.3, RFC 8707, OpenID Connect Core section 5.1.2: scope values, audiences and claims as they were defined."""

import msgspec

from carnet.issuer.definition import KINDS, Definition
from carnet.issuer.storage.ports import AlreadyExistsError, StaleError
from carnet.issuer.storage.statements import Group, Statement, Verb, scanning, writing

_DECODERS: dict[str, msgspec.json.Decoder[Definition]] = {kind.kind: msgspec.json.Decoder(kind) for kind in KINDS}


def _hold(definition: Definition) -> Verb[None]:
    """Raises StaleError: it is not as it was read."""
    rows = yield Statement(
        "SELECT document FROM definition WHERE kind = ? AND name = ? FOR UPDATE", (definition.kind, definition.name)
    )
    if not rows or _DECODERS[definition.kind].decode(rows[0][0]) != definition:
        raise StaleError("The definition was changed since it was read: read it again.")


class StoredDefinitions(Group):
    @scanning
    def list(self) -> Verb[list[Definition]]:
        rows = yield Statement("SELECT kind, document FROM definition ORDER BY kind, name")
        return [_DECODERS[kind].decode(document) for kind, document in rows]

    @writing
    def add(self, definition: Definition) -> Verb[None]:
        added = yield Statement(
            "INSERT INTO definition (kind, name, document) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1",
            (definition.kind, definition.name, msgspec.json.encode(definition)),
        )
        if not added:
            raise AlreadyExistsError(f"There is a {definition.kind} with this name already.")

    @writing
    def replace(self, before: Definition, after: Definition) -> Verb[None]:
        yield from _hold(before)
        if (before.kind, before.name) != (after.kind, after.name):
            raise StaleError("A definition keeps its kind and its name.")
        yield Statement(
            "UPDATE definition SET document = ? WHERE kind = ? AND name = ?",
            (msgspec.json.encode(after), after.kind, after.name),
        )

    @writing
    def remove(self, definition: Definition) -> Verb[None]:
        yield from _hold(definition)
        yield Statement("DELETE FROM definition WHERE kind = ? AND name = ?", (definition.kind, definition.name))
