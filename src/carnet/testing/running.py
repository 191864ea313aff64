"""Runs the `carnet` command as a process of its own, for tests that want the real thing: the issuer, or the whole demo."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from carnet.demo import parts

PREFIX = "CARNET_"
GRACE = 20
"""Seconds that a process may take to end."""
HOST = "127.0.0.1"


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

    def command(self, *arguments: str, given: str | None = None) -> Any:
        """Run another command on this issuer's data."""
        return carnet(*arguments, "--data", str(self.data), "--issuer", self.url, given=given)


@contextmanager
def running_issuer(data: Path, *, port: int | None = None, options: Sequence[str] = ()) -> Iterator[RunningIssuer]:
    """Run `carnet serve` until the block is left, on a free port unless one is given, with further `options`."""
    port = port or free_port()
    with _running("serve", "--data", str(data), "--port", str(port), *options) as process:
        _await_first_line(process)
        yield RunningIssuer(f"http://{HOST}:{port}", data, process)


@contextmanager
def running_relay(issuer: str, *, upstream: str | None = None) -> Iterator[str]:
    """Run `carnet relay` on a free port until the block is left; the answer is its URL."""
    port = free_port()
    following = () if upstream is None else ("--upstream", upstream)
    with _running("relay", "--issuer", issuer, "--port", str(port), *following) as process:
        _await_first_line(process)
        yield f"http://{HOST}:{port}"


def _await_first_line(process: "subprocess.Popen[str]") -> None:
    if not (process.stdout and process.stdout.readline()):
        raise NotRunningError(_last_words(process))


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

    def account(self, *, admin: bool) -> dict[str, Any]:
        """One of the sample people: `email`, `password`, `roles`."""
        return next(account for account in self.accounts if ("ADMIN" in account["roles"]) == admin)

    def command(self, *arguments: str, given: str | None = None) -> Any:
        """Run another command on the demo's issuer."""
        return carnet(*arguments, "--config", str(self.data / "carnet.toml"), given=given)


@contextmanager
def running_demo(data: Path, *options: str) -> Iterator[RunningDemo]:
    """Run `carnet demo` on free ports until the block is left."""
    with _running("demo", "--json", "--data", str(data), "--base-port", str(free_base_port()), *options) as process:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise NotRunningError(_last_words(process))
        ready = msgspec.json.decode(line)
        yield RunningDemo(ready["urls"], ready["accounts"], ready["processes"], data, process)


def free_port() -> int:
    """A port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def free_base_port() -> int:
    """A base port for the demo, all of whose ports are free just now; below those that systems give out by themselves.

    The search begins at another place in each process, so that two test runs at once do not take the same.
    """
    places: list[int] = list(range(12_000, 30_000, 20))
    first = os.getpid() % len(places)
    for base in places[first:] + places[:first]:
        if not any(parts.taken(port) for port in parts.ports(base).values()):
            return base
    raise NotRunningError("There are no free ports.")


@contextmanager
def _running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command: Sequence[str] = (sys.executable, "-m", "carnet.cli", *arguments)
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
    ) as process:
        try:
            yield process
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


def _last_words(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate(timeout=GRACE)
    return said
