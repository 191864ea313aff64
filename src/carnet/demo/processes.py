"""Starts the parts of the demo as processes, notices when one dies, and ends them all."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import httpx2

from carnet.demo.lifeline import VARIABLE
from carnet.demo.parts import Part

PATIENCE = 30
"""Seconds that a part may take to answer for the first time."""
GRACE = 5
"""Seconds that a part may take to end before it is killed."""


class PartDiedError(Exception):
    """A part ended, or never became ready; the message says which one and what its log says."""


class Processes:
    """The running parts. Leaving the context ends them, each by its own process group."""

    def __init__(self, logs: Path, surroundings: Mapping[str, str]) -> None:
        """`logs` is the directory for what the parts print; `surroundings` the variables that each of them gets."""
        self._logs = logs
        self._surroundings = surroundings
        self._running: dict[Part, Process] = {}
        self._reading_end, self._writing_end = os.pipe()

    async def __aenter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()
        os.close(self._writing_end)
        os.close(self._reading_end)

    @property
    def pids(self) -> dict[str, int]:
        return {part.name: process.pid for part, process in self._running.items()}

    async def start(self, part: Part) -> None:
        """Start a part and wait until it answers.

        Raises:
            PartDiedError: it ended, or did not answer in time.
        """
        with self._log(part).open("wb") as log:
            self._running[part] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "carnet.demo.lifeline", part.module, *part.arguments),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                env={**self._surroundings, **part.settings, "PORT": str(part.port), VARIABLE: str(self._reading_end)},
                pass_fds=(self._reading_end,),
                start_new_session=True,  # a Ctrl-C in the terminal reaches the demo alone, which ends its parts in order
            )
        answers = asyncio.create_task(self._answers(part))
        dies = asyncio.create_task(self._running[part].wait())
        try:
            await asyncio.wait((answers, dies), timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            if not answers.done():
                raise PartDiedError(self._obituary(part))
        finally:
            answers.cancel()
            dies.cancel()

    async def first_death(self) -> PartDiedError:
        """Wait until any part ends by itself."""
        waits = {asyncio.create_task(process.wait()): part for part, process in self._running.items()}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return PartDiedError(self._obituary(waits[done.pop()]))

    async def _answers(self, part: Part) -> None:
        async with httpx2.AsyncClient(timeout=2, trust_env=False) as http:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await http.get(part.url + part.health)).status_code == httpx2.codes.OK:
                        return
                await asyncio.sleep(0.05)

    async def _end(self) -> None:
        """End the youngest first, so that nothing outlives what it depends on."""
        for process in reversed(self._running.values()):
            _signal_group(process, signal.SIGTERM)
        for process in self._running.values():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), GRACE)
            _signal_group(process, signal.SIGKILL)
            await process.wait()

    def _log(self, part: Part) -> Path:
        return self._logs / f"{part.name}.log"

    def _obituary(self, part: Part) -> str:
        status = self._running[part].returncode
        happened = f"did not answer within {PATIENCE} s" if status is None else f"ended with status {status}"
        lines = self._log(part).read_text(errors="replace").splitlines()[-12:]
        said = "".join(f"\n    {line}" for line in lines)
        return f"{part.title} {happened}; the end of {self._log(part)}:{said or ' it is empty.'}"


def _signal_group(process: Process, signum: signal.Signals) -> None:
    """Signal a part and what it has started: it leads a process group of its own, numbered like itself."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signum)
