"""A relay of the revocation feed: follows an issuer as a guard does, and serves the very same signed messages and snapshots.

It holds no key and can forge nothing; what it keeps back shows in the guards' staleness, because the signed time stands in
every message. Relays can follow relays.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from carnet import outlet
from carnet.ambient import SYSTEM, Ambient
from carnet.feed.channel import Channel, Signed
from carnet.feed.messages import RefusedError, Snapshot
from carnet.feed.roster import Introduction
from carnet.guard.checkpoint import jitter, key_set_machine
from carnet.guard.feed_machine import FeedMachine, UnknownFeedKeyError
from carnet.guard.feed_source import AsyncFeedSource
from carnet.guard.key_set import Response as Answer
from carnet.guard.key_source import AsyncKeySource
from carnet.guard.outgoing import FetchError, fetch
from carnet.guard.verifier import ALGORITHMS
from carnet.outlet import Limits

SNAPSHOT_AGE = 5.0
"""Seconds for which a snapshot serves whoever asks; afterwards a newer one is looked for."""
STALE = 30.0
"""Seconds without a newer signed time after which a relay is of no use: what guards take for their bound too."""

_CATCH_UP = 2.0
"""Seconds for which the messages up to a new snapshot are waited for."""

_log = logging.getLogger("carnet.relay")


class UnavailableError(Exception):
    """There is no snapshot that the kept messages join on to."""


@dataclass(frozen=True, slots=True)
class _Whole:
    snapshot: Snapshot
    body: bytes
    fetched: float
    """The monotonic clock when it was asked for."""


class Relay:
    """One relay of one issuer's feed. `start` it in the loop that serves its channel."""

    def __init__(
        self,
        issuer: str,
        *,
        upstream: str | None = None,
        name: str | None = None,
        limits: Limits | None = None,
        algorithms: tuple[str, ...] = ALGORITHMS,
        ambient: Ambient = SYSTEM,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`upstream`: another relay that it follows in the issuer's place. `name`: as it names itself there.

        Raises:
            MetadataError: `issuer` is not an https URL (or http to this machine).
        """
        self.channel = Channel()
        self.limits = limits or Limits()
        self._ambient = ambient
        self._transport = transport
        self._keys = AsyncKeySource(key_set_machine(issuer, algorithms, ambient), ambient=ambient, transport=transport)
        self._machine = FeedMachine(
            issuer,
            algorithms=algorithms,
            jitter=jitter(ambient),
            at=ambient.monotonic(),
            relay=upstream,
            name=name or f"relay {ambient.entropy(2).hex()}",
            tap=self,
        )
        self._source = AsyncFeedSource(self._machine, self._keys, ambient=ambient, transport=transport)
        self._whole: _Whole | None = None
        self._looking: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether guards get anything here that they can use."""
        staleness = self._machine.follower.staleness(monotonic=self._ambient.monotonic())
        return self.channel.newest is not None and staleness is not None and staleness <= STALE

    def start(self) -> None:
        """Begin to follow, in the running loop."""
        self._keys.start()
        self._source.start()

    async def stop(self) -> None:
        """End following and listening."""
        self.channel.close()
        await self._source.stop()
        await self._keys.stop()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def message(self, signed: Signed) -> None:
        """Pass a message on; one that was signed before the newest of its place tells nothing new."""
        newest = self.channel.newest
        if newest is not None and newest.message.stream == signed.message.stream:
            before, now = newest.message, signed.message
            if (now.sequence, now.issued_at) <= (before.sequence, before.issued_at):
                return
        self.channel.put(signed)
        self._moved.set()
        self._moved = asyncio.Event()

    def introduction(self, name: str, kids: tuple[str, ...]) -> Introduction:
        """Itself and all who listen to it: a key is held here when it is held by everybody."""
        return self.channel.roster.spoken_for(name, kids, at=self._ambient.now())

    def snapshot(self, snapshot: Snapshot, body: bytes) -> None:
        """Keep a snapshot that was followed from."""
        self._whole = _Whole(snapshot, body, self._ambient.monotonic())

    async def newest_snapshot(self) -> bytes:
        """A signed snapshot as it came, which the kept messages join on to.

        Those who ask at the same time, or soon after, share the work; where upstream does not answer, an older one serves.

        Raises:
            UnavailableError: there is none.
        """
        if self.channel.newest is None:
            raise UnavailableError
        if not self._joining(fresh=True):
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look(), name="carnet-relay-snapshot")
            await asyncio.shield(self._looking)
        whole = self._joining()
        if whole is None:
            raise UnavailableError
        return whole.body

    def _joining(self, *, fresh: bool = False) -> _Whole | None:
        whole = self._whole
        if whole is None or (fresh and self._ambient.monotonic() - whole.fetched >= SNAPSHOT_AGE):
            return None
        return whole if self._joins(whole.snapshot) else None

    def _joins(self, snapshot: Snapshot) -> bool:
        return self.channel.joins(stream=snapshot.stream, after=snapshot.sequence)

    async def _look(self) -> None:
        """Fetch a newer snapshot, and keep it once the messages have come as far."""
        wanted = self._machine.snapshot_fetch(self._keys.metadata)
        if wanted is None:
            return
        fetched = self._ambient.monotonic()
        try:
            response = await fetch(wanted, transport=self._transport)
            snapshot = await self._believed(response)
        except (FetchError, RefusedError, UnknownFeedKeyError) as error:
            _log.warning("No newer snapshot can be had: %s", error)
            return
        try:
            async with asyncio.timeout(_CATCH_UP):
                while not self._joins(snapshot):
                    await self._moved.wait()
        except TimeoutError:
            return
        self._whole = _Whole(snapshot, response.body, fetched)

    async def _believed(self, response: Answer) -> Snapshot:
        if response.status != 200:
            raise RefusedError(f"the feed answered with status {response.status}.")
        try:
            return self._machine.believed(response.body, self._keys.held(), now=self._ambient.now())
        except UnknownFeedKeyError as error:
            await self._keys.look_for(error.kid)
            return self._machine.believed(response.body, self._keys.held(), now=self._ambient.now())


def create_relay_app(relay: Relay, ambient: Ambient = SYSTEM, *, drain: int | None = None) -> Starlette:
    """The relay as an application: the feed at `/revocations`, and `/health/live`, `/health/ready`.

    `drain` is a signal upon which streams that would never end by themselves are ended: a server sends it before it stops.
    """

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        if drain is not None:
            asyncio.get_running_loop().add_signal_handler(drain, relay.channel.close)
        relay.start()
        try:
            yield
        finally:
            await relay.stop()

    async def follow(request: Request) -> Response:
        address = None if request.client is None else request.client.host
        return await outlet.follow(request, relay.channel, ambient, limits=relay.limits, address=address)

    async def snapshot(_request: Request) -> Response:
        try:
            return outlet.snapshot_answer(await relay.newest_snapshot())
        except UnavailableError:
            return outlet.error_answer(
                503, "temporarily_unavailable", "This relay has no snapshot yet.", {"Retry-After": "2"}
            )

    async def live(_request: Request) -> Response:
        return PlainTextResponse("live\n")

    async def ready(_request: Request) -> Response:
        return PlainTextResponse("ready\n") if relay.ready else PlainTextResponse("not ready\n", 503)

    return Starlette(
        routes=[
            Route("/revocations", follow, methods=["GET"]),
            Route("/revocations/snapshot", snapshot, methods=["GET"]),
            Route("/health/live", live, methods=["GET"]),
            Route("/health/ready", ready, methods=["GET"]),
        ],
        lifespan=lifespan,
    )
