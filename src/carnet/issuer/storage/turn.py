"""flock(2): whose turn it is to write, among the processes that have one SQLite file open.

SQLite lets a process that finds the file locked sleep and look again, for up to 100 ms at a time: several workers on one file
would sleep more than they work. This lock is mostly held for a millisecond, so that a busy loop looks again when it next comes
by; who has looked long enough has a thread wait, which the kernel wakes. It only puts them in a line; that no two write at once
is still the business of SQLite's own lock, which programs that know nothing of this one take as well.
"""

import asyncio
import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path

_LOOKS = 20
"""How often a loop looks for itself."""
_PAUSE = 0.001
"""Seconds between two looks; a thread for each would cost more than the group that is to be written."""


class Turn:
    """The lock on a directory. One task at a time takes it."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._coming: asyncio.Future[None] | None = None
        """While a thread waits for the kernel, which cannot be told to stop waiting."""
        self._wanted = False

    async def take(self, patience: float) -> bool:
        """Wait for the turn, for so many seconds at most. A task that is cancelled meanwhile waits on: it has work to finish."""
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        looks = _LOOKS
        while self._coming is None:
            if self._free():
                return True
            looks -= 1
            if looks == 0 or loop.time() >= end:
                self._coming = self._ask()
            else:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(_PAUSE)
        coming, self._wanted = self._coming, True
        while not coming.done() and loop.time() < end:
            with suppress(asyncio.CancelledError):
                await asyncio.wait([coming], timeout=max(0.0, end - loop.time()))
        self._wanted = False
        if coming.done():
            self._coming = None
        return coming.done()

    def give(self) -> None:
        """Give it to whoever waits; nothing happens if it was not taken. Any thread may do it."""
        fcntl.flock(self._folder, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give it back for good."""
        os.close(self._folder)

    def _free(self) -> bool:
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _ask(self) -> "asyncio.Future[None]":
        loop = asyncio.get_running_loop()
        coming: asyncio.Future[None] = loop.create_future()

        def wait() -> None:
            fcntl.flock(self._folder, fcntl.LOCK_EX)
            try:
                loop.call_soon_threadsafe(self._came, coming)
            except RuntimeError:  # the loop was closed: nobody waits any more
                self.give()

        threading.Thread(target=wait, name="carnet-sqlite-turn", daemon=True).start()
        return coming

    def _came(self, coming: "asyncio.Future[None]") -> None:
        coming.set_result(None)
        if not self._wanted:  # whoever asked for it has given up
            self._coming = None
            self.give()
