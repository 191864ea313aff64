"""OpenID Connect Core section 8: what pairwise clients know people and sessions as."""

from collections.abc import Sequence

from msgspec.structs import replace

from carnet.issuer.storage.records import Pseudonym, Revocation
from carnet.issuer.storage.statements import Group, Statement, Verb, reading, writing


def with_pseudonyms(revocations: Sequence[Revocation]) -> Verb[list[Revocation]]:
    """The entries, and the same for what pairwise clients know their subjects and sessions as: their tokens say nothing else."""
    entries = list(revocations)
    for entry in revocations:
        if entry.kind == "subject":
            rows = yield Statement("SELECT value FROM pseudonym WHERE subject = ? AND sid IS NULL", (entry.value,))
        elif entry.kind == "session":
            rows = yield Statement("SELECT value FROM pseudonym WHERE sid = ?", (entry.value,))
        else:
            continue
        entries += [replace(entry, value=value) for [value] in rows]
    return entries


class StoredPseudonyms(Group):
    @writing
    def keep(self, pseudonyms: Sequence[Pseudonym]) -> Verb[None]:
        for subject in sorted({pseudonym.subject for pseudonym in pseudonyms}):
            # It waits for whoever changes the account: their revocations did not name what is kept here.
            yield Statement("SELECT 1 FROM account WHERE subject = ? FOR SHARE", (subject,))
        for pseudonym in pseudonyms:
            yield Statement(
                "INSERT INTO pseudonym (value, sector, subject, sid)"
                " SELECT ?, ?, account.subject, session.sid FROM account LEFT JOIN session ON session.sid = ?"
                " WHERE account.subject = ? AND (session.sid = ? OR ? = 0) ON CONFLICT (value) DO NOTHING",
                (
                    pseudonym.value,
                    pseudonym.sector,
                    pseudonym.sid,
                    pseudonym.subject,
                    pseudonym.sid,
                    int(pseudonym.sid is not None),
                ),
            )

    @reading
    def find(self, value: str) -> Verb[Pseudonym | None]:
        rows = yield Statement("SELECT value, sector, subject, sid FROM pseudonym WHERE value = ?", (value,))
        if not rows:
            return None
        found, sector, subject, sid = rows[0]
        return Pseudonym(value=found, sector=sector, subject=subject, sid=sid)
