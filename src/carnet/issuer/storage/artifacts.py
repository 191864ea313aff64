"""Codes, refresh tokens, invitations, replay ids: RFC 6749 section 4.1.2, RFC 9700 section 4.14 (rules O3 and O4)."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from carnet.ambient import Instant, lapsed
from carnet.issuer.storage.families import Owner, enter, hold, key_of, name_of
from carnet.issuer.storage.ports import AlreadyExistsError, Fresh, Spent
from carnet.issuer.storage.records import Artifact, ArtifactKind, Digest, Revocation
from carnet.issuer.storage.revocations import note
from carnet.issuer.storage.statements import Group, Row, Statement, Undo, Verb, reading, scanning, writing

_HOUR = 3_600
_DIGESTS = msgspec.json.Decoder(tuple[bytes, ...])
_FIND = (
    "SELECT artifact.kind, artifact.digest, artifact.family, family.subject, family.client_id, family.sid,"
    " artifact.document, artifact.created_at, artifact.expires_at,"
    " artifact.spent_at, artifact.receipt, artifact.successors, family.revoked_at, session.ended_at"
    " FROM artifact LEFT JOIN family ON family.family = artifact.family LEFT JOIN session ON session.sid = family.sid"
    " WHERE artifact.digest = ? AND artifact.kind = ?"
)


@dataclass(frozen=True, slots=True)
class _Found:
    artifact: Artifact
    key: str | None
    """Of its family; None for one without an owner."""
    spent_at: Instant | None
    receipt: bytes | None
    successors: tuple[Digest, ...]
    ended: bool

    @property
    def replay_key(self) -> str:
        return self.key or self.artifact.digest.hex()


def _artifact(row: Row) -> Artifact:
    kind, digest, key, subject, client_id, sid, document, created_at, expires_at = row
    return Artifact(
        kind=kind,
        digest=digest,
        family=name_of(key),
        subject=subject,
        client_id=client_id,
        sid=sid,
        document=document,
        created_at=created_at,
        expires_at=expires_at,
    )


def _find(kind: ArtifactKind, digest: Digest) -> Verb[_Found | None]:
    rows = yield Statement(_FIND, (digest, kind))
    if not rows:
        return None
    *columns, spent_at, receipt, successors, revoked_at, ended_at = rows[0]
    return _Found(
        artifact=_artifact(columns),
        key=columns[2],
        spent_at=spent_at,
        receipt=receipt,
        successors=() if successors is None else _DIGESTS.decode(successors),
        ended=revoked_at is not None or ended_at is not None,
    )


def _look(kind: ArtifactKind, digest: Digest, at: Instant) -> Verb[Artifact | Spent | None]:
    found = yield from _find(kind, digest)
    if found is None or found.ended:
        return None
    if found.spent_at is None:
        return None if lapsed(found.artifact.expires_at, at=at) else found.artifact
    return (yield from _spent(found, found.spent_at, at))


def _spent(found: _Found, spent_at: Instant, at: Instant) -> Verb[Spent | None]:
    """A spent one is known for as long as anything of its family lives, so that its reuse is always recognised."""
    if lapsed(found.artifact.expires_at, at=at):
        living = yield Statement(
            "SELECT 1 FROM artifact WHERE family = ? AND spent_at IS NULL AND expires_at > ? LIMIT 1", (found.key, at)
        )
        if not living:
            return None
    unused = True
    for digest in found.successors:
        rows = yield Statement(
            "SELECT artifact.spent_at, family.revoked_at FROM artifact"
            " LEFT JOIN family ON family.family = artifact.family WHERE artifact.digest = ?",
            (digest,),
        )
        unused = unused and bool(rows) and tuple(rows[0]) == (None, None)
    [[replays]] = yield Statement(
        "SELECT count(*) FROM replay WHERE family = ? AND at > ?", (found.replay_key, at - _HOUR)
    )
    return Spent(
        artifact=found.artifact,
        spent_at=spent_at,
        receipt=found.receipt,
        successor_unused=unused,
        replays=replays,
    )


def _hold(key: str | None, artifact: Artifact) -> Verb[bool]:
    if key is None:
        return True
    return (yield from hold(key, Owner(artifact.subject, artifact.client_id, artifact.sid)))


def _store(artifact: Artifact, *, held: str | None = None) -> Verb[bool]:
    """Store it in its family, which the caller holds already if it is `held`; False as for `put`."""
    key = key_of(artifact)
    if key is not None and key != held and not (yield from enter(key, artifact)):
        return False
    stored = yield Statement(
        "INSERT INTO artifact (digest, kind, family, created_at, expires_at, document) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING RETURNING 1",
        (artifact.digest, artifact.kind, key, artifact.created_at, artifact.expires_at, artifact.document),
    )
    if not stored:
        raise AlreadyExistsError("There is an artifact with this digest already.")
    return True


class StoredArtifacts(Group):
    @writing
    def put(self, artifact: Artifact) -> Verb[bool]:
        return (yield from _store(artifact))

    @reading
    def get(self, kind: ArtifactKind, digest: Digest, *, at: Instant) -> Verb[Artifact | Spent | None]:
        return (yield from _look(kind, digest, at))

    @writing
    def spend(
        self,
        kind: ArtifactKind,
        digest: Digest,
        *,
        at: Instant,
        into: Sequence[Artifact] = (),
        receipt: bytes | None = None,
        found: Artifact | None = None,
    ) -> Verb[Fresh | Spent | None]:
        if found is None:
            seen = yield from _find(kind, digest)
            if seen is None:
                return None
            found = seen.artifact
        key = key_of(found)
        if not (yield from _hold(key, found)):
            return None
        successors = msgspec.json.encode([successor.digest for successor in into])
        won = yield Statement(
            "UPDATE artifact SET spent_at = ?, receipt = ?, successors = ?"
            " WHERE digest = ? AND kind = ? AND spent_at IS NULL AND expires_at > ? RETURNING 1",
            (at, receipt, successors, digest, kind, at),
        )
        if not won:
            spent = yield from _look(kind, digest, at)
            return spent if isinstance(spent, Spent) else None
        for successor in into:
            if not (yield from _store(successor, held=key)):
                raise Undo(None)
        return Fresh(found)

    @writing
    def renew(self, found: Artifact, *, at: Instant, until: Instant) -> Verb[bool]:
        if not (yield from _hold(key_of(found), found)):
            return False
        renewed = yield Statement(
            "UPDATE artifact SET created_at = ?, expires_at = ?"
            " WHERE digest = ? AND kind = ? AND spent_at IS NULL AND expires_at > ? RETURNING 1",
            (at, until, found.digest, found.kind, at),
        )
        return bool(renewed)

    @writing
    def replay(
        self, kind: ArtifactKind, digest: Digest, *, at: Instant, window: int, per_hour: int
    ) -> Verb[bytes | None]:
        found = yield from _find(kind, digest)
        if found is None or not (yield from _hold(found.key, found.artifact)):
            return None
        seen = yield from _look(kind, digest, at)
        # A clock that was set back does not make the window longer.
        if not isinstance(seen, Spent) or abs(at - seen.spent_at) >= window:
            return None
        if seen.receipt is None or not seen.successor_unused or seen.replays >= per_hour:
            return None
        yield Statement("INSERT INTO replay (family, at) VALUES (?, ?)", (found.replay_key, at))
        return seen.receipt

    @writing
    def revoke_family(self, family: str, *, at: Instant, revocations: Sequence[Revocation] = ()) -> Verb[int]:
        yield from note(revocations)
        ended = yield Statement(
            "UPDATE family SET revoked_at = ? WHERE family = ? AND revoked_at IS NULL RETURNING sid", (at, family)
        )
        if not ended:
            return 0
        [[lived]] = yield Statement(
            "SELECT count(*) FROM artifact LEFT JOIN session ON session.sid = ?"
            " WHERE artifact.family = ? AND artifact.spent_at IS NULL AND artifact.expires_at > ?"
            " AND session.ended_at IS NULL",
            (ended[0][0], family, at),
        )
        return int(lived)

    @reading
    def families(self, subject: str, *, at: Instant, kind: ArtifactKind = "refresh_token") -> Verb[list[Artifact]]:
        rows = yield Statement(
            "SELECT artifact.kind, artifact.digest, artifact.family, family.subject, family.client_id, family.sid,"
            " artifact.document, artifact.created_at, artifact.expires_at"
            " FROM family JOIN artifact ON artifact.family = family.family"
            " LEFT JOIN session ON session.sid = family.sid"
            " WHERE family.subject = ? AND family.revoked_at IS NULL AND session.ended_at IS NULL"
            " AND artifact.kind = ? AND artifact.spent_at IS NULL AND artifact.expires_at > ?"
            " ORDER BY artifact.created_at DESC, artifact.digest",
            (subject, kind, at),
        )
        return [_artifact(row) for row in rows]

    @scanning
    def ownerless(
        self, kind: ArtifactKind, *, at: Instant, after: tuple[Instant, Digest] | None = None, limit: int = 100
    ) -> Verb[list[Artifact]]:
        ends_after, beyond = after or (at, b"")
        rows = yield Statement(
            "SELECT kind, digest, family, NULL, NULL, NULL, document, created_at, expires_at FROM artifact"
            " WHERE family IS NULL AND kind = ? AND spent_at IS NULL AND expires_at > ?"
            " AND (expires_at > ? OR (expires_at = ? AND digest > ?)) ORDER BY expires_at, digest LIMIT ?",
            (kind, at, ends_after, ends_after, beyond, limit),
        )
        return [_artifact(row) for row in rows]
