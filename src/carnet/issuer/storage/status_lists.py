"""Token Status List (draft-ietf-oauth-status-list): which access tokens have a place in a list, and which were taken back.

Nothing is written here when something is taken back: the entries of the epoch map say it, as they say it to guards.
"""

from carnet.ambient import Instant
from carnet.issuer.storage.records import ListedToken
from carnet.issuer.storage.statements import Group, Statement, Verb, reading, scanning, writing

_TAKEN_BACK = """SELECT place FROM listed_token WHERE list_id = ? AND expires_at > ? AND EXISTS (
 SELECT 1 FROM revocation WHERE revocation.expires_at > ? AND (
 (kind = 'token' AND value = listed_token.jti) OR (kind = 'family' AND value = listed_token.family)
 OR (kind = 'session' AND value = listed_token.sid) OR (kind = 'client' AND value = listed_token.client_id)
 OR (kind = 'key' AND value = listed_token.kid)
 OR (kind = 'subject' AND value = listed_token.subject
 AND (revocation.epoch IS NULL OR listed_token.epoch < revocation.epoch)))) ORDER BY place"""

# From one list to the next by the key: DISTINCT would look at all places that there are.
_LISTS = """WITH RECURSIVE list (list_id) AS (SELECT min(list_id) FROM listed_token
 UNION ALL SELECT (SELECT min(listed_token.list_id) FROM listed_token WHERE listed_token.list_id > list.list_id)
 FROM list WHERE list.list_id IS NOT NULL)
 SELECT list_id FROM list WHERE list_id IS NOT NULL AND EXISTS (SELECT 1 FROM listed_token
 WHERE listed_token.list_id = list.list_id AND kept_until > ?) ORDER BY list_id"""


def _there(list_id: str, at: Instant) -> Verb[bool]:
    rows = yield Statement("SELECT 1 FROM listed_token WHERE list_id = ? AND kept_until > ? LIMIT 1", (list_id, at))
    return bool(rows)


class StoredStatusLists(Group):
    @writing
    def place(self, token: ListedToken) -> Verb[bool]:
        family, dot, _ = token.token_id.partition(".")
        placed = yield Statement(
            "INSERT INTO listed_token (list_id, place, jti, family, sid, subject, epoch, client_id, kid, expires_at,"
            " kept_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1",
            (
                token.list_id,
                token.index,
                token.token_id,
                family if dot else None,
                token.sid,
                token.subject,
                token.epoch,
                token.client_id,
                token.kid,
                token.expires_at,
                token.kept_until,
            ),
        )
        return bool(placed)

    @reading
    def there(self, list_id: str, *, at: Instant) -> Verb[bool]:
        return (yield from _there(list_id, at))

    @scanning
    def taken_back(self, list_id: str, *, at: Instant) -> Verb[list[int] | None]:
        if not (yield from _there(list_id, at)):
            return None
        rows = yield Statement(_TAKEN_BACK, (list_id, at, at))
        return [place for [place] in rows]

    @scanning
    def published(self, *, at: Instant) -> Verb[list[str]]:
        rows = yield Statement(_LISTS, (at,))
        return [list_id for [list_id] in rows]
