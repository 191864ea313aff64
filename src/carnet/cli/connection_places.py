"""Rule R18: who is connected: so many in all, and so many from one address; whoever does nothing makes room for whoever comes."""

from asyncio import Task
from collections import Counter

Connection = Task[None]


class ConnectionPlaces:
    """A connection waits, for its peer to say something, or works, on what has come; only those that wait make room."""

    def __init__(self, *, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._addresses: dict[Connection, str] = {}
        self._from: Counter[str] = Counter()
        self._waiting: dict[Connection, None] = {}
        """Who has waited longest stands first."""

    def take(self, connection: Connection, address: str) -> bool:
        """Give a new connection a place, in which it waits; another one may be cancelled for it. False: there is no place."""
        if self._from[address] >= self._most_of_one and not self._make_room(address):
            return False
        if len(self._addresses) >= self._most and not self._make_room():
            return False
        self._addresses[connection] = address
        self._from[address] += 1
        self._waiting[connection] = None
        return True

    def works(self, connection: Connection) -> None:
        self._waiting.pop(connection, None)

    def waits(self, connection: Connection) -> None:
        if connection in self._addresses and connection not in self._waiting:
            self._waiting[connection] = None

    def leave(self, connection: Connection) -> None:
        """Give up its place, if it has one."""
        self._waiting.pop(connection, None)
        address = self._addresses.pop(connection, None)
        if address is None:
            return
        self._from[address] -= 1
        if not self._from[address]:
            del self._from[address]

    def _make_room(self, address: str | None = None) -> bool:
        """End the one that has waited longest, of all or of this address."""
        for connection in self._waiting:
            if address is None or self._addresses[connection] == address:
                self.leave(connection)
                connection.cancel()
                return True
        return False
