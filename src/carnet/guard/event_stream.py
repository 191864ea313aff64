"""HTML section 9.2.6: server-sent events, read from bytes as they come. No I/O."""

from dataclasses import dataclass

MAX_EVENT = 128 * 1024
"""Bytes of one event: longer than any message of the feed."""


class EventTooLongError(Exception):
    """The other side sends an event without end."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; its `id` is left out, as what the feed's messages say of their place is signed."""

    kind: str
    data: str


class EventStream:
    """Collects lines into events. Comments and unknown fields are passed over."""

    def __init__(self) -> None:
        self._rest = b""
        self._kind = "message"
        self._data: list[str] = []
        self._length = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are complete with this chunk; raises EventTooLongError."""
        *lines, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        self._refuse_excess(len(self._rest))
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> Event | None:
        if not line:
            event = Event(self._kind, "\n".join(self._data)) if self._data else None
            self._kind, self._data, self._length = "message", [], 0
            return event
        self._length += len(line)
        self._refuse_excess(self._length)
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        return None

    def _refuse_excess(self, length: int) -> None:
        if length > MAX_EVENT:
            raise EventTooLongError(f"An event is longer than {MAX_EVENT} bytes.")
