"""OpenID Shared Signals Framework section 8: streams of security events, and what waits on them.

A change is told in its own transaction: one row for each stream that asked for such events and has not excluded the person.
Streams are locked last, after all that `families.py` names, and only against their removal.
"""

from collections.abc import Sequence

import msgspec

from carnet.ambient import Instant
from carnet.issuer.storage.ports import StaleError
from carnet.issuer.storage.records import Happening, Signal, SignalStream
from carnet.issuer.storage.statements import Batch, Group, Row, Statement, Verb, overhauling, reading, scanning, writing
from carnet.oauth.security_events import STREAM_UPDATED

_STREAM = msgspec.json.Decoder(SignalStream)
_HAPPENING = msgspec.json.Decoder(Happening)


def tell(subject: str, happenings: Sequence[Happening], *, at: Instant) -> Verb[None]:
    """Have the streams told of what has happened to a person, in the transaction of what happened."""
    if not happenings:
        return
    interested = yield Statement(
        "SELECT signal_stream.stream_id, signal_interest.event FROM signal_stream"
        " JOIN signal_interest ON signal_interest.stream_id = signal_stream.stream_id"
        " WHERE signal_stream.status <> 'disabled' AND NOT EXISTS (SELECT 1 FROM signal_exclusion"
        " WHERE signal_exclusion.stream_id = signal_stream.stream_id AND signal_exclusion.subject = ?)"
        " ORDER BY signal_stream.stream_id FOR KEY SHARE OF signal_stream",
        (subject,),
    )
    rows = [
        (stream_id, event, subject, at, msgspec.json.encode(happening))
        for happening in happenings
        for stream_id, event in interested
        if event == happening.event
    ]
    if not rows:
        return
    # The first row's number names the cause of them all.
    [[cause]] = yield Statement(
        "INSERT INTO signal (stream_id, event, subject, at, document) VALUES (?, ?, ?, ?, ?) RETURNING number", rows[0]
    )
    if rows[1:]:
        yield Batch(
            "INSERT INTO signal (stream_id, event, subject, at, document, cause) VALUES (?, ?, ?, ?, ?, ?)",
            [(*row, cause) for row in rows[1:]],
        )


def forget(subject: str) -> Verb[None]:
    """Nobody is excluded who is not there any more."""
    yield Statement("DELETE FROM signal_exclusion WHERE subject = ?", (subject,))


def _say(stream_id: str, happening: Happening, at: Instant) -> Verb[None]:
    """Tell a stream of itself."""
    yield Statement(
        "INSERT INTO signal (stream_id, event, at, document) VALUES (?, ?, ?, ?)",
        (stream_id, happening.event, at, msgspec.json.encode(happening)),
    )


def _updated(stream: SignalStream) -> Happening:
    """Section 8.1.5."""
    claims = {"status": stream.status}
    return Happening(
        event=STREAM_UPDATED, claims=claims if stream.reason is None else {**claims, "reason": stream.reason}
    )


def _interests(stream: SignalStream) -> Verb[None]:
    yield Batch(
        "INSERT INTO signal_interest (stream_id, event) VALUES (?, ?)",
        [(stream.stream_id, event) for event in dict.fromkeys(stream.events_requested or ())],
    )


def _write(stream: SignalStream) -> Verb[None]:
    yield Statement(
        "UPDATE signal_stream SET status = ?, pushed = ?, tries = 0, next_try_at = 0, document = ? WHERE stream_id = ?",
        (stream.status, int(stream.endpoint_url is not None), msgspec.json.encode(stream), stream.stream_id),
    )


def _signal(row: Row) -> Signal:
    number, stream_id, subject, document, at, cause = row
    return Signal(
        number=number,
        stream_id=stream_id,
        subject=subject,
        happening=_HAPPENING.decode(document),
        at=at,
        cause=number if cause is None else cause,
    )


class StoredSignals(Group):
    @writing
    def add(self, stream: SignalStream, *, most: int) -> Verb[bool]:
        there = yield Statement("SELECT 1 FROM client WHERE client_id = ? FOR NO KEY UPDATE", (stream.client_id,))
        if not there:
            return False
        [[count]] = yield Statement("SELECT count(*) FROM signal_stream WHERE client_id = ?", (stream.client_id,))
        if count >= most:
            return False
        yield Statement(
            "INSERT INTO signal_stream (stream_id, client_id, status, pushed, tries, next_try_at, document)"
            " VALUES (?, ?, ?, ?, 0, 0, ?)",
            (
                stream.stream_id,
                stream.client_id,
                stream.status,
                int(stream.endpoint_url is not None),
                msgspec.json.encode(stream),
            ),
        )
        yield from _interests(stream)
        return True

    @reading
    def get(self, stream_id: str) -> Verb[SignalStream | None]:
        rows = yield Statement("SELECT document FROM signal_stream WHERE stream_id = ?", (stream_id,))
        return _STREAM.decode(rows[0][0]) if rows else None

    @reading
    def of(self, client_id: str) -> Verb[list[SignalStream]]:
        rows = yield Statement(
            "SELECT document FROM signal_stream WHERE client_id = ? ORDER BY stream_id", (client_id,)
        )
        return [_STREAM.decode(document) for [document] in rows]

    @writing
    def replace(self, before: SignalStream, after: SignalStream, *, telling: bool = False) -> Verb[None]:
        rows = yield Statement(
            "SELECT document FROM signal_stream WHERE stream_id = ? FOR NO KEY UPDATE", (before.stream_id,)
        )
        same = (before.stream_id, before.client_id) == (after.stream_id, after.client_id)
        if not same or not rows or _STREAM.decode(rows[0][0]) != before:
            raise StaleError("The stream was changed since it was read: read it again.")
        yield from _write(after)
        yield Statement("DELETE FROM signal_interest WHERE stream_id = ?", (after.stream_id,))
        yield from _interests(after)
        if "disabled" in {before.status, after.status}:  # it holds nothing: what comes now was told before it began
            yield Statement("DELETE FROM signal WHERE stream_id = ?", (after.stream_id,))
        if telling:
            yield from _say(after.stream_id, _updated(after), after.updated_at)

    @writing
    def remove(self, stream_id: str, *, seen: SignalStream | None = None) -> Verb[bool]:
        rows = yield Statement("SELECT document FROM signal_stream WHERE stream_id = ? FOR UPDATE", (stream_id,))
        if seen is not None and rows and _STREAM.decode(rows[0][0]) != seen:
            raise StaleError("The stream was changed since it was read: read it again.")
        removed = yield Statement("DELETE FROM signal_stream WHERE stream_id = ? RETURNING 1", (stream_id,))
        return bool(removed)

    @writing
    def exclude(self, stream_id: str, subject: str) -> Verb[None]:
        there = yield Statement("SELECT 1 FROM signal_stream WHERE stream_id = ? FOR KEY SHARE", (stream_id,))
        if there:
            yield Statement(
                "INSERT INTO signal_exclusion (stream_id, subject) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (stream_id, subject),
            )

    @writing
    def include(self, stream_id: str, subject: str) -> Verb[None]:
        yield Statement("DELETE FROM signal_exclusion WHERE stream_id = ? AND subject = ?", (stream_id, subject))

    @writing
    def put(self, stream_id: str, happening: Happening, *, at: Instant) -> Verb[bool]:
        there = yield Statement(
            "SELECT 1 FROM signal_stream WHERE stream_id = ? AND status <> 'disabled' FOR KEY SHARE", (stream_id,)
        )
        if there:
            yield from _say(stream_id, happening, at)
        return bool(there)

    @reading
    def waiting(self, stream_id: str, *, limit: int) -> Verb[tuple[list[Signal], bool]]:
        # While a stream is paused nothing goes out but the word that it is.
        rows = yield Statement(
            "SELECT number, stream_id, subject, document, at, cause FROM signal WHERE stream_id = ? AND (event = ? OR"
            " EXISTS (SELECT 1 FROM signal_stream WHERE signal_stream.stream_id = signal.stream_id"
            " AND signal_stream.status = 'enabled')) ORDER BY number LIMIT ?",
            (stream_id, STREAM_UPDATED, limit + 1),
        )
        return [_signal(row) for row in rows[:limit]], len(rows) > limit

    @writing
    def delivered(self, stream_id: str, marks: Sequence[tuple[int, Instant]]) -> Verb[None]:
        yield Batch(
            "DELETE FROM signal WHERE stream_id = ? AND number = ? AND at = ?",
            [(stream_id, *mark) for mark in sorted(marks)],
        )

    @writing
    def due(self, *, at: Instant, lease: int, limit: int = 20) -> Verb[list[tuple[SignalStream, int]]]:
        rows = yield Statement(
            "SELECT stream_id, document, tries FROM signal_stream WHERE pushed = 1 AND status <> 'disabled'"
            " AND next_try_at <= ? AND EXISTS (SELECT 1 FROM signal WHERE signal.stream_id = signal_stream.stream_id"
            " AND (signal_stream.status = 'enabled' OR signal.event = ?))"
            " ORDER BY next_try_at LIMIT ? FOR NO KEY UPDATE SKIP LOCKED",
            (at, STREAM_UPDATED, limit),
        )
        yield Batch(
            "UPDATE signal_stream SET next_try_at = ? WHERE stream_id = ?",
            [(at + lease, stream_id) for stream_id, _, _ in rows],
        )
        return [(_STREAM.decode(document), tries) for _, document, tries in rows]

    @writing
    def rest(self, stream_id: str, *, until: Instant, tries: int) -> Verb[None]:
        yield Statement(
            "UPDATE signal_stream SET next_try_at = ?, tries = ? WHERE stream_id = ?", (until, tries, stream_id)
        )

    @overhauling
    def restrain(self, *, at: Instant, most: int, age: int) -> Verb[list[SignalStream]]:
        rows = yield Statement(
            "SELECT document FROM signal_stream WHERE status <> 'disabled' AND ("
            " (SELECT min(signal.at) FROM signal WHERE signal.stream_id = signal_stream.stream_id) <= ?"
            " OR (SELECT count(*) FROM signal WHERE signal.stream_id = signal_stream.stream_id) > ?)"
            " FOR NO KEY UPDATE SKIP LOCKED",
            (at - age, most),
        )
        paused: list[SignalStream] = []
        for [document] in rows:
            stream = _STREAM.decode(document)
            if stream.status == "enabled":
                stream = msgspec.structs.replace(
                    stream,
                    status="paused",
                    reason="Events were not taken in time, and the oldest of them are dropped.",
                    updated_at=at,
                )
                yield from _write(stream)
                yield from _say(stream.stream_id, _updated(stream), at)
                paused.append(stream)
            yield Statement("DELETE FROM signal WHERE stream_id = ? AND at <= ?", (stream.stream_id, at - age))
            yield Statement(
                "DELETE FROM signal WHERE stream_id = ? AND number < (SELECT min(number) FROM"
                " (SELECT number FROM signal WHERE stream_id = ? ORDER BY number DESC LIMIT ?) AS newest)",
                (stream.stream_id, stream.stream_id, most),
            )
        return paused

    @scanning
    def list(self, *, after: str | None = None, limit: int = 100) -> Verb[list[tuple[SignalStream, int]]]:
        rows = yield Statement(
            "SELECT document, (SELECT count(*) FROM signal WHERE signal.stream_id = signal_stream.stream_id)"
            " FROM signal_stream WHERE stream_id > ? ORDER BY stream_id LIMIT ?",
            (after or "", limit),
        )
        return [(_STREAM.decode(document), count) for document, count in rows]
