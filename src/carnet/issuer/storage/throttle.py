"""Counters that slow guessing down (rule O12). What is counted is kept as a digest: it may name a person or an address."""

from collections.abc import Sequence
from hashlib import sha256

from carnet.ambient import Instant
from carnet.issuer.storage.statements import Batch, Group, Statement, Verb, writing


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()


class StoredThrottle(Group):
    @writing
    def hit(self, key: str, *, at: Instant, window: int) -> Verb[int]:
        # A window that ends further away than it is long was begun before the clock was set back: begin anew.
        [[hits]] = yield Statement(
            "INSERT INTO throttle (key, hits, ends_at) VALUES (?, 1, ?) ON CONFLICT (key) DO UPDATE SET"
            " hits = CASE WHEN throttle.ends_at <= ? OR throttle.ends_at > ? THEN 1 ELSE throttle.hits + 1 END,"
            " ends_at = CASE WHEN throttle.ends_at <= ? OR throttle.ends_at > ? THEN excluded.ends_at"
            " ELSE throttle.ends_at END RETURNING hits",
            (_digest(key), at + window, at, at + window, at, at + window),
        )
        return int(hits)

    @writing
    def take_back(self, keys: Sequence[str]) -> Verb[None]:
        # In one order, so that two that take back the same ones never wait for each other.
        yield Batch(
            "UPDATE throttle SET hits = hits - 1 WHERE key = ? AND hits > 0",
            sorted((_digest(key),) for key in keys),
        )

    @writing
    def clear(self, key: str) -> Verb[None]:
        yield Statement("DELETE FROM throttle WHERE key = ?", (_digest(key),))
