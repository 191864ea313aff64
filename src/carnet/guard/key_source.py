"""Drivers of a key set's machine: one for asyncio, one for threads. Verification never waits for them while a key is held."""

import asyncio
import logging
import threading
from collections.abc import Iterable

import httpx2

from carnet.ambient import Ambient
from carnet.guard.key_set import KeySetMachine, Wait
from carnet.guard.metadata import Metadata
from carnet.guard.outgoing import FetchError, fetch, fetch_blocking
from carnet.jose import KeySet

_log = logging.getLogger("carnet.guard")

_UNREADY_WAIT = 10.0
"""Seconds that a thread waits for somebody else's fetch."""


class KeySource:
    """What both drivers answer without waiting."""

    def __init__(self, machine: KeySetMachine, ambient: Ambient) -> None:
        self._machine = machine
        self._ambient = ambient

    def held(self) -> KeySet | None:
        """The key set to verify with; None when there is none that may be used."""
        return self._machine.keys(self._ambient.monotonic())

    @property
    def metadata(self) -> Metadata | None:
        """The issuer's newest good metadata."""
        return self._machine.metadata

    @property
    def age(self) -> float | None:
        """Seconds since the issuer last confirmed the set: alarm when it grows beyond an hour."""
        return self._machine.age(self._ambient.monotonic())

    @property
    def last_failure(self) -> str | None:
        """Why the newest fetch failed; None when it did not."""
        return self._machine.last_failure


class AsyncKeySource(KeySource):
    """Keeps one issuer's key set fresh in a task of the running event loop."""

    def __init__(
        self, machine: KeySetMachine, *, ambient: Ambient, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        super().__init__(machine, ambient)
        self._transport = transport
        self._task: asyncio.Task[None] | None = None
        self._flight: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to refresh in the background, in the running loop; without effect if that is done already."""
        loop = asyncio.get_running_loop()
        if not self.runs_in(loop):
            self._task = loop.create_task(self._refresh(), name="carnet-key-set")

    def runs_in(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether that goes on in this loop."""
        task = self._task
        return task is not None and not task.done() and task.get_loop() is loop

    async def stop(self) -> None:
        """End the background task; what is held stays."""
        tasks = [task for task in (self._task, self._flight) if task is not None]
        self._task = self._flight = None
        for task in tasks:
            if task.get_loop() is asyncio.get_running_loop():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def load(self) -> None:
        """Do what is due now. Whoever comes while that is under way joins (single flight)."""
        await asyncio.shield(self._take_off())

    async def look_for(self, kid: str) -> None:
        """A token names a key that the set lacks: fetch anew if the machine allows it."""
        under_way = self._flight is not None and not self._flight.done()
        if under_way or self._machine.wanted(kid, self._ambient.monotonic()):
            await self.load()

    def hear_of(self, kids: Iterable[str]) -> None:
        """The issuer says which keys it publishes: fetch the set if one of them is not in it, without waiting for that."""
        if self._machine.announced(kids, self._ambient.monotonic()):
            self._take_off()

    def _take_off(self) -> "asyncio.Task[None]":
        loop = asyncio.get_running_loop()
        if self._flight is None or self._flight.done() or self._flight.get_loop() is not loop:
            self._flight = loop.create_task(self._fly(), name="carnet-key-set-fetch")
        return self._flight

    async def _fly(self) -> None:
        while not isinstance(step := self._machine.next(self._ambient.monotonic()), Wait):
            try:
                response = await fetch(step, transport=self._transport)
            except FetchError as error:
                self._machine.failed(str(error), self._ambient.monotonic())
            else:
                self._machine.answered(response, self._ambient.monotonic())
            _report(self._machine)

    async def _refresh(self) -> None:
        while True:
            await self.load()
            step = self._machine.next(self._ambient.monotonic())
            if isinstance(step, Wait):
                await asyncio.sleep(max(step.until - self._ambient.monotonic(), 0))


class ThreadKeySource(KeySource):
    """Keeps one issuer's key set fresh in a daemon thread, which begins at the first use, so after a server's fork."""

    def __init__(
        self, machine: KeySetMachine, *, ambient: Ambient, transport: httpx2.BaseTransport | None = None
    ) -> None:
        super().__init__(machine, ambient)
        self._transport = transport
        self._flight = threading.Lock()
        self._asking = threading.Lock()
        self._stopped = threading.Event()
        self._due = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to refresh in the background; without effect if that is done already in this process."""
        if self._thread is None or not self._thread.is_alive():
            self._stopped.clear()
            self._thread = threading.Thread(target=self._refresh, name="carnet-key-set", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the background thread after the fetch that is under way; what is held stays."""
        self._stopped.set()
        self._due.set()
        if self._thread is not None:
            self._thread.join(_UNREADY_WAIT)

    def load(self) -> None:
        """Do what is due now; whoever comes while that is under way waits for it (single flight)."""
        if not self._flight.acquire(timeout=_UNREADY_WAIT):
            return
        try:
            while not isinstance(step := self._machine.next(self._ambient.monotonic()), Wait):
                try:
                    response = fetch_blocking(step, ambient=self._ambient, transport=self._transport)
                except FetchError as error:
                    self._machine.failed(str(error), self._ambient.monotonic())
                else:
                    self._machine.answered(response, self._ambient.monotonic())
                _report(self._machine)
        finally:
            self._flight.release()

    def look_for(self, kid: str) -> None:
        """A token names a key that the set lacks: fetch anew if the machine allows it."""
        with self._asking:
            due = self._flight.locked() or self._machine.wanted(kid, self._ambient.monotonic())
        if due:
            self.load()

    def hear_of(self, kids: Iterable[str]) -> None:
        """As `AsyncKeySource.hear_of`."""
        with self._asking:
            due = self._machine.announced(kids, self._ambient.monotonic())
        if due:
            self._due.set()

    def _refresh(self) -> None:
        while not self._stopped.is_set():
            self.load()
            step = self._machine.next(self._ambient.monotonic())
            if isinstance(step, Wait):
                self._due.wait(max(step.until - self._ambient.monotonic(), 0))
                self._due.clear()


def _report(machine: KeySetMachine) -> None:
    if machine.last_failure is not None:
        _log.warning("The key set of %s was not refreshed: %s", machine.issuer, machine.last_failure)
