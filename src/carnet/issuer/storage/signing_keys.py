"""The issuer's keys (RFC 7517): sealed before they come here."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from carnet.ambient import Instant
from carnet.issuer.storage.ports import AlreadyExistsError
from carnet.issuer.storage.records import Revocation, SigningKeyRecord
from carnet.issuer.storage.revocations import note
from carnet.issuer.storage.statements import Group, Statement, Verb, reading, writing

_KEY = msgspec.json.Decoder(SigningKeyRecord)
# Whoever changes the set of keys takes its turn here: two nodes that start at once make one key.
_TURN = Statement("UPDATE counter SET value = value + 1 WHERE name = 'signing_keys'")


def _find(kid: str) -> Verb[SigningKeyRecord | None]:
    rows = yield Statement("SELECT document FROM signing_key WHERE kid = ?", (kid,))
    return _KEY.decode(rows[0][0]) if rows else None


def _write(key: SigningKeyRecord) -> Verb[None]:
    yield Statement("UPDATE signing_key SET document = ? WHERE kid = ?", (msgspec.json.encode(key), key.kid))


def _does_the_same(known: SigningKeyRecord, key: SigningKeyRecord) -> bool:
    if key.purpose == "tokens":
        return known.purpose == "tokens"
    return (known.purpose, known.alg, known.retires_at) == (key.purpose, key.alg, None)


class StoredSigningKeys(Group):
    @reading
    def list(self) -> Verb[list[SigningKeyRecord]]:
        rows = yield Statement("SELECT document FROM signing_key ORDER BY created_at, kid")
        return [_KEY.decode(document) for [document] in rows]

    @writing
    def add(
        self, key: SigningKeyRecord, *, only_if_none: bool = False, retiring: str | None = None, retires_at: Instant = 0
    ) -> Verb[bool]:
        yield _TURN
        if only_if_none:
            rows = yield Statement("SELECT document FROM signing_key")
            if any(_does_the_same(_KEY.decode(document), key) for [document] in rows):
                return False
        if retiring is not None:
            before = yield from _find(retiring)
            if before is None or before.retires_at is not None:
                return False
            yield from _write(replace(before, retires_at=retires_at))
        added = yield Statement(
            "INSERT INTO signing_key (kid, created_at, document) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1",
            (key.kid, key.created_at, msgspec.json.encode(key)),
        )
        if not added:
            raise AlreadyExistsError("There is a signing key with this kid already.")
        return True

    @writing
    def bring_forward(self, kid: str, *, signs_from: Instant, retires_at: Instant) -> Verb[bool]:
        yield _TURN
        key = yield from _find(kid)
        if key is None or key.ready_from is None or key.signs_from <= signs_from:
            return False
        yield from _write(replace(key, signs_from=signs_from, ready_from=None))
        before = None if key.follows is None else (yield from _find(key.follows))
        if before is not None and before.retires_at is not None:
            yield from _write(replace(before, retires_at=min(before.retires_at, retires_at)))
        return True

    @writing
    def retire(
        self, kid: str, *, at: Instant, compromised: bool = False, revocations: Sequence[Revocation] = ()
    ) -> Verb[bool]:
        yield _TURN
        key = yield from _find(kid)
        if key is None:
            return False
        end = at if key.retires_at is None else min(at, key.retires_at)
        since = at if compromised and key.compromised_at is None else key.compromised_at
        yield from _write(replace(key, retires_at=end, compromised_at=since))
        yield from note(revocations)
        return True
