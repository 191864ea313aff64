"""What nobody can need any more goes, in small steps, so that no step keeps others waiting.

Families, sessions and clients that nobody has registered have `kept_until`: not an end, but the time to look again. So a rotation
does not have to move the end of its family along, and a step never looks twice at what it has decided to keep.
"""

from collections.abc import Callable

from carnet.ambient import Instant
from carnet.issuer.storage.clients import LOOK_AGAIN
from carnet.issuer.storage.statements import Statement, Verb

_HOUR = 3_600
_LEEWAY = 60
"""Seconds for which guards accept a token beyond its end."""
_LONGEST = "SELECT value FROM counter WHERE name = 'longest_access_token'"


def _families(at: Instant, limit: int) -> Verb[int]:
    """A family goes, with its spent artifacts, when nothing of it can be spent any more: until then reuse is recognised.

    And not while an access token lives that came of it: until then it can be taken back.
    """
    gone = 0
    [[longest]] = yield Statement(_LONGEST)
    rows = yield Statement(
        "SELECT family, revoked_at FROM family WHERE kept_until <= ? ORDER BY kept_until LIMIT ? FOR UPDATE SKIP LOCKED",
        (at, limit),
    )
    for family, revoked_at in rows:
        [[expires_at, created_at]] = yield Statement(
            "SELECT max(expires_at), max(created_at) FROM artifact WHERE family = ? AND spent_at IS NULL", (family,)
        )
        [[spent_at]] = yield Statement("SELECT max(spent_at) FROM artifact WHERE family = ?", (family,))
        needed = max(expires_at or 0, max(created_at or 0, spent_at or 0) + longest + _LEEWAY)
        if revoked_at is None and needed > at:
            yield Statement("UPDATE family SET kept_until = ? WHERE family = ?", (needed, family))
            continue
        removed = yield Statement(
            "DELETE FROM artifact WHERE digest IN (SELECT digest FROM artifact WHERE family = ? LIMIT ?) RETURNING 1",
            (family, limit - gone),
        )
        gone += len(removed)
        if gone >= limit:
            break
        yield Statement("DELETE FROM family WHERE family = ?", (family,))
        gone += 1
    return gone


def _sessions(at: Instant, limit: int) -> Verb[int]:
    """A session that has expired is kept for as long as a refresh token was handed out for it.

    One that another took the place of, also while an access token of its own lives: the other's end takes that back.
    """
    gone = 0
    [[longest]] = yield Statement(_LONGEST)
    rows = yield Statement(
        "SELECT sid, ended_at FROM session WHERE kept_until <= ? ORDER BY kept_until LIMIT ? FOR UPDATE SKIP LOCKED",
        (at, limit),
    )
    for sid, ended_at in rows:
        [[latest]] = yield Statement("SELECT max(kept_until) FROM family WHERE sid = ?", (sid,))
        needed = 0 if ended_at is None else ended_at + longest + _LEEWAY
        if latest is None and needed <= at:
            yield Statement("DELETE FROM session WHERE sid = ?", (sid,))
            yield Statement("DELETE FROM participant WHERE sid = ? AND due_at IS NULL", (sid,))
            gone += 1
        else:
            yield Statement("UPDATE session SET kept_until = ? WHERE sid = ?", (max(latest or 0, needed, at + 1), sid))
    return gone


def _ownerless(at: Instant, limit: int) -> Verb[int]:
    rows = yield Statement(
        "DELETE FROM artifact WHERE digest IN"
        " (SELECT digest FROM artifact WHERE family IS NULL AND expires_at <= ? LIMIT ?) RETURNING 1",
        (at, limit),
    )
    return len(rows)


def _replays(at: Instant, limit: int) -> Verb[int]:
    del limit  # there are at most a few for each family within an hour
    return len((yield Statement("DELETE FROM replay WHERE at <= ? RETURNING 1", (at - _HOUR,))))


def _throttle(at: Instant, limit: int) -> Verb[int]:
    rows = yield Statement(
        "DELETE FROM throttle WHERE key IN (SELECT key FROM throttle WHERE ends_at <= ? LIMIT ?)"
        " AND ends_at <= ? RETURNING 1",
        (at, limit, at),
    )
    return len(rows)


def _revocations(at: Instant, limit: int) -> Verb[int]:
    # Not while a publisher is at work.
    yield Statement("SELECT value FROM counter WHERE name = 'revocations' FOR UPDATE")
    rows = yield Statement(
        "DELETE FROM revocation WHERE (kind, value) IN"
        " (SELECT kind, value FROM revocation WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)"
        " AND expires_at <= ? RETURNING 1",
        (at, limit, at),
    )
    return len(rows)


def _feed_reports(at: Instant, limit: int) -> Verb[int]:
    del limit  # there is one for each node
    return len((yield Statement("DELETE FROM feed_report WHERE told_at <= ? RETURNING 1", (at - _HOUR,))))


def _listed_tokens(at: Instant, limit: int) -> Verb[int]:
    """Not when a token has expired, but when its list takes no more: no place is given twice."""
    rows = yield Statement(
        "DELETE FROM listed_token WHERE (list_id, place) IN"
        " (SELECT list_id, place FROM listed_token WHERE kept_until <= ? LIMIT ?) RETURNING 1",
        (at, limit),
    )
    return len(rows)


def _unregistered(at: Instant, limit: int) -> Verb[int]:
    """A client that nobody has registered goes when nobody allows it anything any more, and nothing is left that came of it.

    Whoever allows it something at this moment has locked its row, and it is looked at later.
    """
    gone = 0
    rows = yield Statement(
        "SELECT client_id FROM client WHERE kept_until <= ? ORDER BY kept_until LIMIT ? FOR UPDATE SKIP LOCKED",
        (at, limit),
    )
    for [client_id] in rows:
        [needed] = yield Statement(
            "SELECT (SELECT 1 FROM consent WHERE client_id = ? LIMIT 1), (SELECT 1 FROM family WHERE client_id = ? LIMIT 1),"
            " (SELECT 1 FROM participant WHERE client_id = ? LIMIT 1)",
            (client_id, client_id, client_id),
        )
        if any(needed):
            yield Statement("UPDATE client SET kept_until = ? WHERE client_id = ?", (at + LOOK_AGAIN, client_id))
        else:
            yield Statement("DELETE FROM client WHERE client_id = ?", (client_id,))
            gone += 1
    return gone


STEPS: tuple[Callable[[Instant, int], Verb[int]], ...] = (
    _ownerless,
    _families,
    _sessions,
    _replays,
    _throttle,
    _revocations,
    _feed_reports,
    _listed_tokens,
    _unregistered,
)
