"""What people allowed clients (RFC 6749 section 3.3; RFC 9700 section 4.9: it can be taken back)."""

import msgspec

from carnet.ambient import Instant
from carnet.issuer.storage.families import end_families, name_of
from carnet.issuer.storage.records import Consent, Revocation
from carnet.issuer.storage.revocations import note
from carnet.issuer.storage.statements import Group, Statement, Verb, overhauling, reading, writing

_CONSENT = msgspec.json.Decoder(Consent)


class StoredConsents(Group):
    @reading
    def get(self, subject: str, client_id: str) -> Verb[Consent | None]:
        rows = yield Statement("SELECT document FROM consent WHERE subject = ? AND client_id = ?", (subject, client_id))
        return _CONSENT.decode(rows[0][0]) if rows else None

    @writing
    def grant(self, consent: Consent) -> Verb[None]:
        added = yield Statement(
            "INSERT INTO consent (subject, client_id, document) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1",
            (consent.subject, consent.client_id, msgspec.json.encode(consent)),
        )
        if added:
            return
        rows = yield Statement(
            "SELECT document FROM consent WHERE subject = ? AND client_id = ? FOR UPDATE",
            (consent.subject, consent.client_id),
        )
        before = _CONSENT.decode(rows[0][0])
        both = msgspec.structs.replace(
            consent,
            scope=tuple(dict.fromkeys((*before.scope, *consent.scope))),
            audience=tuple(dict.fromkeys((*before.audience, *consent.audience))),
        )
        yield Statement(
            "UPDATE consent SET document = ? WHERE subject = ? AND client_id = ?",
            (msgspec.json.encode(both), consent.subject, consent.client_id),
        )

    @reading
    def of(self, subject: str) -> Verb[list[Consent]]:
        rows = yield Statement("SELECT document FROM consent WHERE subject = ? ORDER BY client_id", (subject,))
        return [_CONSENT.decode(document) for [document] in rows]

    @overhauling
    def withdraw(self, subject: str, client_id: str, *, at: Instant, lifetime: int) -> Verb[bool]:
        withdrawn = yield Statement(
            "DELETE FROM consent WHERE subject = ? AND client_id = ? RETURNING 1", (subject, client_id)
        )
        ended = yield from end_families(at=at, subject=subject, client_id=client_id)
        yield from note(
            [
                Revocation(kind="family", value=name, epoch=None, expires_at=at + lifetime)
                for name in map(name_of, ended)
                if name is not None
            ]
        )
        return bool(withdrawn or ended)
