"""Drivers of a feed's machine: one for asyncio, one for threads. Requests never wait for them."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, Literal, TypedDict, TypeVar

import httpx2

from carnet.ambient import Ambient, Instant
from carnet.feed.follower import Follower
from carnet.guard.event_stream import Event, EventStream, EventTooLongError
from carnet.guard.feed_machine import (
    SILENCE,
    FeedMachine,
    Listen,
    Poll,
    TakeSnapshot,
    UnknownFeedKeyError,
)
from carnet.guard.key_set import Wait
from carnet.guard.key_source import AsyncKeySource, ThreadKeySource
from carnet.guard.outgoing import FetchError, client_options, fetch, fetch_blocking

T = TypeVar("T")

_log = logging.getLogger("carnet.guard")

_ENDED = "The feed's stream has ended."
_ACCEPT = {"accept": "text/event-stream"}
_BROKEN = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, EventTooLongError)
_FIRST_WAIT = 10.0
"""Seconds that whoever comes before the first snapshot waits for it."""


class _Clocks(TypedDict):
    now: Instant
    at: float


class FeedSource:
    """What both drivers share: all but the waiting."""

    def __init__(self, machine: FeedMachine, ambient: Ambient) -> None:
        self.machine = machine
        self._ambient = ambient

    @property
    def follower(self) -> Follower:
        """What is known of the feed."""
        return self.machine.follower

    def _clocks(self) -> _Clocks:
        return {"now": self._ambient.now(), "at": self._ambient.monotonic()}


class AsyncFeedSource(FeedSource):
    """Follows one issuer's feed in a task of the running event loop."""

    def __init__(
        self,
        machine: FeedMachine,
        keys: AsyncKeySource,
        *,
        ambient: Ambient,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(machine, ambient)
        self._keys = keys
        self._transport = transport
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    def start(self) -> None:
        """Begin to follow, in the running loop; without effect if that is done already."""
        loop = asyncio.get_running_loop()
        if not self.runs_in(loop):
            self._ready = asyncio.Event()
            self._task = loop.create_task(self.follow(), name="carnet-revocation-feed")

    def runs_in(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether that goes on in this loop."""
        task = self._task
        return task is not None and not task.done() and task.get_loop() is loop

    async def stop(self) -> None:
        """End the background task; what is known stays, and grows stale."""
        task, self._task = self._task, None
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def first(self) -> None:
        """Wait a while for the first snapshot."""
        if not self.follower.ready:
            try:
                async with asyncio.timeout(_FIRST_WAIT):
                    await self._ready.wait()
            except TimeoutError:
                pass

    async def follow(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._step()
            except Exception:  # noqa: BLE001 - the follower must go on; that it does not is seen as staleness
                _log.exception("Following the revocation feed failed; it is tried again.")
                self.machine.failed("an unexpected error", self._ambient.monotonic())
            self._note_readiness()

    async def _step(self) -> None:
        if self._keys.held() is None:
            await self._keys.load()
        step = self.machine.next(self._keys.metadata, self._ambient.monotonic(), self._keys.held())
        if isinstance(step, Wait):
            _report(self.machine)
            await asyncio.sleep(max(step.until - self._ambient.monotonic(), 0))
        elif isinstance(step, Listen):
            await self._listen(step)
        else:
            await self._fetch(step)

    async def _fetch(self, step: TakeSnapshot | Poll) -> None:
        try:
            response = await fetch(step.fetch, transport=self._transport)
        except FetchError as error:
            self.machine.failed(str(error), self._ambient.monotonic())
            return
        await self._with_keys(lambda: self.machine.answered(step, response, self._keys.held(), **self._clocks()))

    async def _listen(self, step: Listen) -> None:
        async def heard(event: Event) -> bool:
            return await self._with_keys(lambda: self.machine.event(event, self._keys.held(), **self._clocks()))

        why = _ENDED
        try:
            async with (
                httpx2.AsyncClient(**_streaming(step.url), transport=self._transport) as client,
                client.stream("GET", step.url, headers=_ACCEPT) as response,
            ):
                if not self.machine.listening(response.status_code, self._ambient.monotonic()):
                    return
                events = EventStream()
                async for chunk in response.aiter_bytes():
                    for event in events.feed(chunk):
                        if not await heard(event):
                            return
                    self._note_readiness()
        except _BROKEN as error:
            why = f"The feed's stream broke: {type(error).__name__}."
        self.machine.ended(why, self._ambient.monotonic())

    async def _with_keys(self, report: Callable[[], T]) -> T | Literal[False]:
        """Report to the machine; where it lacks a key, look for that, and report once more."""
        try:
            told = report()
        except UnknownFeedKeyError as error:
            await self._keys.look_for(error.kid)
        else:
            self._keys.hear_of(self.machine.announced)
            return told
        try:
            return report()
        except UnknownFeedKeyError as error:
            self.machine.failed(str(error), self._ambient.monotonic())
            return False

    def _note_readiness(self) -> None:
        if self.follower.ready:
            self._ready.set()


class ThreadFeedSource(FeedSource):
    """Follows one issuer's feed in a daemon thread, which begins at the first use, so after a server's fork."""

    def __init__(
        self,
        machine: FeedMachine,
        keys: ThreadKeySource,
        *,
        ambient: Ambient,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        super().__init__(machine, ambient)
        self._keys = keys
        self._transport = transport
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to follow; without effect if that is done already in this process."""
        if self._thread is None or not self._thread.is_alive():
            self._stopped.clear()
            self._thread = threading.Thread(target=self._follow, name="carnet-revocation-feed", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread after the message that it waits for; what is known stays, and grows stale."""
        self._stopped.set()

    def first(self) -> None:
        """Wait a while for the first snapshot."""
        if not self.follower.ready:
            self._ready.wait(_FIRST_WAIT)

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                self._step()
            except Exception:  # noqa: BLE001 - the follower must go on; that it does not is seen as staleness
                _log.exception("Following the revocation feed failed; it is tried again.")
                self.machine.failed("an unexpected error", self._ambient.monotonic())
            if self.follower.ready:
                self._ready.set()

    def _step(self) -> None:
        if self._keys.held() is None:
            self._keys.load()
        step = self.machine.next(self._keys.metadata, self._ambient.monotonic(), self._keys.held())
        if isinstance(step, Wait):
            _report(self.machine)
            self._stopped.wait(max(step.until - self._ambient.monotonic(), 0))
        elif isinstance(step, Listen):
            self._listen(step)
        else:
            self._fetch(step)

    def _fetch(self, step: TakeSnapshot | Poll) -> None:
        try:
            response = fetch_blocking(step.fetch, ambient=self._ambient, transport=self._transport)
        except FetchError as error:
            self.machine.failed(str(error), self._ambient.monotonic())
            return
        self._with_keys(lambda: self.machine.answered(step, response, self._keys.held(), **self._clocks()))

    def _listen(self, step: Listen) -> None:
        def heard(event: Event) -> bool:
            return self._with_keys(lambda: self.machine.event(event, self._keys.held(), **self._clocks()))

        why = _ENDED
        try:
            with (
                httpx2.Client(**_streaming(step.url), transport=self._transport) as client,
                client.stream("GET", step.url, headers=_ACCEPT) as response,
            ):
                if not self.machine.listening(response.status_code, self._ambient.monotonic()):
                    return
                events = EventStream()
                for chunk in response.iter_bytes():
                    if self._stopped.is_set() or not all(heard(event) for event in events.feed(chunk)):
                        return
        except _BROKEN as error:
            why = f"The feed's stream broke: {type(error).__name__}."
        self.machine.ended(why, self._ambient.monotonic())

    def _with_keys(self, report: Callable[[], T]) -> T | Literal[False]:
        """As `AsyncFeedSource._with_keys`."""
        try:
            told = report()
        except UnknownFeedKeyError as error:
            self._keys.look_for(error.kid)
        else:
            self._keys.hear_of(self.machine.announced)
            return told
        try:
            return report()
        except UnknownFeedKeyError as error:
            self.machine.failed(str(error), self._ambient.monotonic())
            return False


def _streaming(url: str) -> dict[str, Any]:
    return client_options(url, seconds=2 * SILENCE)


def _report(machine: FeedMachine) -> None:
    """Once for each failure that differs from the one before."""
    failure = machine.news()
    if failure is not None:
        _log.warning("The revocation feed of %s is not followed: %s", machine.issuer, failure)
