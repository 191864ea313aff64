"""The publisher: numbers what has been taken back in the order of commits, and signs it once for all who listen.

The time that it signs is read before the database is: whatever was committed before that time is in that message or before it.
"""

import asyncio
import logging
from dataclasses import dataclass

from carnet.ambient import Ambient, Instant
from carnet.feed.channel import Channel, Signed
from carnet.feed.entries import HASH_KEY_LENGTH, OUTRIGHT, Entry, mark, pack
from carnet.feed.epoch_map import EpochMap
from carnet.feed.follower import OVERLAY_LIMIT
from carnet.feed.messages import SNAPSHOT_LIMIT, Snapshot, sign_message, sign_snapshot, split
from carnet.issuer.acknowledgement import LIVE
from carnet.issuer.keyring import Keyring
from carnet.issuer.opaque import fresh_name
from carnet.issuer.revocation.listeners import report_of
from carnet.issuer.storage.ports import Store
from carnet.issuer.storage.records import FeedReport, Revocation, Stream

HEARTBEAT = 5.0
"""Seconds after which listeners are told the time even where nothing has been taken back."""
TURN = 0.2
"""Seconds after which the database is asked again: another process or node may have taken something back."""
SNAPSHOT_AGE = 5.0
"""Seconds for which a snapshot serves whoever asks, as long as the channel joins on to it."""

_PAGE = 10_000
_HEAD = 4_096
"""Bytes that a snapshot may have before its entries."""

log = logging.getLogger("carnet.revocations")


class SnapshotTooLargeError(Exception):
    """More has been taken back than guards hold: take back what is common to it, a client or a key."""


@dataclass(frozen=True, slots=True)
class _Packed:
    stream: str
    sequence: int
    issued_at: Instant
    made: float
    """The monotonic clock when it was begun."""
    kid: str | None
    """Of the key that signed it."""
    body: bytes


class Publisher:
    """One node's publisher. All nodes on a database write the same stream; each signs what it sends itself."""

    def __init__(self, store: Store, keyring: Keyring, *, issuer: str, ambient: Ambient) -> None:
        self._store = store
        self._keyring = keyring
        self._issuer = issuer
        self._ambient = ambient
        self.channel = Channel()
        self._stream: Stream | None = None
        self._sequence = 0
        self._sent: float | None = None
        self._kids: tuple[str, ...] | None = None
        """The published keys, as listeners were last told."""
        self._kids_told = 0.0
        self._node: str | None = None
        """As it names itself to other nodes."""
        self._told_others: float | None = None
        self._has_listeners = False
        self._turning = asyncio.Lock()
        self._read_at: Instant = 0
        """The wall clock before the database was last read: whatever was committed before it has come to `_sequence`."""
        self._map: EpochMap | None = None
        """All that counts up to `_sequence`, so that only the first snapshot is read from the database."""
        self._news: list[Entry] = []
        """What has come since the newest snapshot was begun."""
        self._packed: _Packed | None = None
        self._packing: asyncio.Task[_Packed] | None = None

    async def run(self) -> None:
        """Publish until cancelled. What fails is tried again at the next turn; listeners see meanwhile that time stands still."""
        while True:
            try:
                await self.turn()
                await self._tell_others()
            except Exception:
                log.exception("The revocation feed could not be published; it is tried again.")
            await asyncio.sleep(TURN)

    async def report(self) -> FeedReport:
        """What this node sees of those who listen to it, at this moment."""
        self._node = self._node or fresh_name(self._ambient)[:8]
        kids = await self._keyring.token_kids()
        return report_of(self.channel, kids, node=self._node, at=self._ambient.now())

    async def reports(self) -> list[FeedReport]:
        """What all nodes see of those who listen to them, this one first; of the others as of some seconds ago."""
        own = await self.report()
        told = await self._store.feed_reports.list(since=own.told_at - LIVE)
        return [own, *(report for report in told if report.node != own.node)]

    async def _tell_others(self) -> None:
        """Leave a report for other nodes and for the command, as long as there is something to be said."""
        now = self._ambient.monotonic()
        if self._told_others is not None and now - self._told_others < HEARTBEAT:
            return
        report = await self.report()
        if report.listeners or self._has_listeners:
            await self._store.feed_reports.put(report)
        self._told_others, self._has_listeners = now, bool(report.listeners)

    async def turn(self) -> None:
        """Number and send what is new; the time alone, if it is time for that."""
        async with self._turning:
            issued_at, monotonic = self._ambient.now(), self._ambient.monotonic()
            stream = await self._join_stream()
            while await self._store.revocations.publish():
                pass
            head = await self._store.revocations.head()
            kids = await self._keyring.token_kids()
            beaten = self._sent is not None and monotonic - self._sent < HEARTBEAT
            if head == self._sequence and beaten and kids == self._kids:
                self._read_at = issued_at
                return
            telling = kids != self._kids or monotonic - self._kids_told >= HEARTBEAT
            numbered = await self._numbered(stream, after=self._sequence, at=issued_at)
            if numbered:
                head = max(head, numbered[-1][0])
            if self._map is not None:
                entries = [entry for _, entry in numbered]
                self._map.apply(entries)
                self._news += entries
            key = await self._keyring.signing_key()
            for message in split(
                numbered,
                stream=stream.name,
                after=self._sequence,
                sequence=head,
                issued_at=issued_at,
                kids=kids if telling else None,
            ):
                self.channel.put(Signed(message, sign_message(message, issuer=self._issuer, key=key)))
                self._sequence = message.sequence
            self._sent, self._read_at = monotonic, issued_at
            if telling:
                self._kids, self._kids_told = kids, monotonic
        if len(self._news) > OVERLAY_LIMIT:  # so that memory does not grow where nobody asks for a snapshot
            self._begin_packing()

    async def snapshot(self) -> bytes:
        """All entries that count, signed; those who ask at the same time, or soon after, share the work.

        Anybody may ask: what it costs is bounded by time, whatever they do, and not by their number.

        Raises:
            SnapshotTooLargeError: no guard would take it.
        """
        packed = self._packed
        if packed is None or not self._serves(packed) or packed.kid != (await self._keyring.signing_key()).kid:
            packed = await asyncio.shield(self._begin_packing())
        return packed.body

    def _begin_packing(self) -> "asyncio.Task[_Packed]":
        """Make a snapshot, unless that is under way."""
        if self._packing is None or self._packing.done():
            self._packing = asyncio.create_task(self._pack(), name="carnet-snapshot")
        return self._packing

    def _serves(self, packed: _Packed) -> bool:
        age = self._ambient.monotonic() - packed.made
        return age < SNAPSHOT_AGE and self.channel.joins(stream=packed.stream, after=packed.sequence)

    async def _pack(self) -> _Packed:
        made = self._ambient.monotonic()
        await self.turn()
        while True:
            async with self._turning:
                stream, known, sequence, issued_at = self._stream, self._map, self._sequence, self._read_at
                if stream is not None and known is not None:
                    frozen, self._news = known.copy(), []
                    break
            await self._fill()
        packed = await asyncio.to_thread(lambda: pack(frozen.live(at=issued_at)))
        fresh = await asyncio.to_thread(EpochMap, packed, key=stream.key)
        if len(packed) > SNAPSHOT_LIMIT - _HEAD:
            raise SnapshotTooLargeError(f"The snapshot has {len(packed)} bytes: guards take at most {SNAPSHOT_LIMIT}.")
        snapshot = Snapshot(stream.name, stream.key, sequence, issued_at, packed)
        key = await self._keyring.signing_key()
        body = await asyncio.to_thread(sign_snapshot, snapshot, issuer=self._issuer, key=key)
        made_of = _Packed(stream.name, sequence, issued_at, made, key.kid, body)
        if self._map is known:  # else another stream began meanwhile
            fresh.apply(self._news)
            self._map, self._packed = fresh, made_of
        return made_of

    async def _fill(self) -> None:
        """Read all that counts from the database; the feed goes on meanwhile."""
        await self.turn()
        stream, at = self._stream, self._ambient.now()
        if stream is None:
            return
        last = await self._store.revocations.head()
        numbered = await self._numbered(stream, after=0, at=at)
        known = await asyncio.to_thread(lambda: EpochMap(pack([entry for _, entry in numbered]), key=stream.key))
        async with self._turning:
            if self._stream is stream:
                later = await self._numbered(stream, after=max(last, numbered[-1][0] if numbered else 0), at=at)
                known.apply(entry for _, entry in later)
                self._map = known

    async def _join_stream(self) -> Stream:
        """The stream that the database has now: another one after a database was put back."""
        stream = await self._store.revocations.stream(fresh_stream(self._ambient))
        if self._stream is None or stream.name != self._stream.name:
            self._stream, self._packed, self._map, self._sent = stream, None, None, None
            self._sequence = await self._store.revocations.head()
        return stream

    async def _numbered(self, stream: Stream, *, after: int, at: int) -> list[tuple[int, Entry]]:
        numbered: list[tuple[int, Entry]] = []
        while True:
            page = await self._store.revocations.since(after, at=at, limit=_PAGE)
            numbered += [(revocation.sequence or 0, _entry(revocation, stream)) for revocation in page]
            if len(page) < _PAGE:
                return numbered
            after = numbered[-1][0]


def fresh_stream(ambient: Ambient) -> Stream:
    """The stream to begin where the database has none."""
    return Stream(name=fresh_name(ambient), key=ambient.entropy(HASH_KEY_LENGTH))


def _entry(revocation: Revocation, stream: Stream) -> Entry:
    epoch = OUTRIGHT if revocation.epoch is None else revocation.epoch
    return Entry(mark(revocation.kind, revocation.value, key=stream.key), epoch, revocation.expires_at)
