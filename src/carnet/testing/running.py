"""Runs the `carnet` command as a process of its own, for tests that want the real thing: the issuer, or the whole demo."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from carnet.testing.ports import HOST, free_base_port, free_port

PREFIX = "CARNET_"
GRACE = 20
"""Seconds that a process may take to end."""


class NotRunningError(Exception):
    """The process ended before it was ready; the message is what it said."""


def carnet(*arguments: str, given: str | None = None) -> Any:
    """Run a command with `--json`, with `given` as its standard input; the answer is what it printed, parsed."""
    command = (sys.executable, "-m", "carnet.cli", *arguments, "--json")
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, env=_environment())  # noqa: S603 - our own command
    if done.returncode:
        raise NotRunningError(done.stderr)
    return msgspec.json.decode(done.stdout)


@dataclass(frozen=True, slots=True)
class RunningIssuer:
    """A `carnet serve` with an empty database of its own."""

    url: str
    data: Path
    process: subprocess.Popen[str]
    log: Path
    """What it says on standard error."""

    def command(self, *arguments: str, given: str | None = None) -> Any:
        """Run another command on this issuer's data."""
        return carnet(*arguments, "--data", str(self.data), "--issuer", self.url, given=given)


@contextmanager
def running_issuer(data: Path, *, port: int | None = None, options: Sequence[str] = ()) -> Iterator[RunningIssuer]:
    """Run `carnet serve` until the block is left, on a free port unless one is given, with further `options`."""
    port = port or free_port()
    with _running("serve", "--data", str(data), "--port", str(port), *options) as (process, log):
        _first_line(process, log)
        yield RunningIssuer(f"http://{HOST}:{port}", data, process, log)


@contextmanager
def running_relay(issuer: str, *, upstream: str | None = None) -> Iterator[str]:
    """Run `carnet relay` on a free port until the block is left; the answer is its URL."""
    port = free_port()
    following = () if upstream is None else ("--upstream", upstream)
    with _running("relay", "--issuer", issuer, "--port", str(port), *following) as (process, log):
        _first_line(process, log)
        yield f"http://{HOST}:{port}"


def _first_line(process: "subprocess.Popen[str]", log: Path) -> str:
    """What it prints once it is ready."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        process.wait(GRACE)
        raise NotRunningError(log.read_text("utf-8"))
    return line


@dataclass(frozen=True, slots=True)
class RunningDemo:
    """A `carnet demo` with sample people of its own."""

    urls: dict[str, str]
    """Of the issuer, the services and the shop, by their names."""
    accounts: list[dict[str, Any]] = field(repr=False)
    processes: dict[str, int]
    """The parts' process ids."""
    data: Path
    process: subprocess.Popen[str]
    log: Path
    """What it says on standard error."""

    def account(self, *, admin: bool) -> dict[str, Any]:
        """One of the sample people: `email`, `password`, `roles`."""
        return next(account for account in self.accounts if ("ADMIN" in account["roles"]) == admin)

    def command(self, *arguments: str, given: str | None = None) -> Any:
        """Run another command on the demo's issuer."""
        return carnet(*arguments, "--config", str(self.data / "carnet.toml"), given=given)


@contextmanager
def running_demo(data: Path, *options: str) -> Iterator[RunningDemo]:
    """Run `carnet demo` on free ports until the block is left."""
    asked = ("--json", "--data", str(data), "--base-port", str(free_base_port()))
    with _running("demo", *asked, *options) as (process, log):
        ready = msgspec.json.decode(_first_line(process, log))
        yield RunningDemo(ready["urls"], ready["accounts"], ready["processes"], data, process, log)


@contextmanager
def _running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Its log is a file: a pipe that nobody reads would make it wait once it is full."""
    command: Sequence[str] = (sys.executable, "-m", "carnet.cli", *arguments)
    with (
        tempfile.NamedTemporaryFile(prefix="carnet-", suffix=".log") as log,
        subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=_environment()
        ) as process,
    ):
        try:
            yield process, Path(log.name)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _environment() -> dict[str, str]:
    """Without the settings of whoever runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}  # noqa: TID251 - handed on, not read
