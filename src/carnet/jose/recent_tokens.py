"""A bounded memory of verified tokens, so that one that comes again costs a look-up and not a signature."""

from carnet.jose.keys import VerifyingKey
from carnet.jose.verified import Verified


class Entry:
    """What must still hold when the token comes again."""

    __slots__ = ("begin", "end", "key", "kid", "verified")

    def __init__(self, verified: Verified, kid: str | None, key: VerifyingKey, begin: float, end: float) -> None:
        self.verified = verified
        self.kid = kid
        self.key = key
        self.begin = begin
        self.end = end


class RecentTokens:
    """Two generations: a full young one becomes the old one, and what is asked for again moves to the young.

    There is nothing in it but tokens that were verified. Threads may share it: each step is one operation of a dict.
    """

    __slots__ = ("_old", "_size", "_young")

    def __init__(self, size: int) -> None:
        """`size` tokens at most; 0 remembers none."""
        self._size = (size + 1) // 2
        self._young: dict[str, Entry] = {}
        self._old: dict[str, Entry] = {}

    def get(self, token: str) -> Entry | None:
        entry = self._young.get(token)
        if entry is None:
            entry = self._old.get(token)
            if entry is not None:
                self.put(token, entry)
        return entry

    def put(self, token: str, entry: Entry) -> None:
        if not self._size:
            return
        young = self._young
        if len(young) >= self._size:
            self._old = young
            self._young = young = {}
        young[token] = entry

    def discard(self, token: str) -> None:
        self._young.pop(token, None)
        self._old.pop(token, None)

    def clear(self) -> None:
        self._young = {}
        self._old = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
