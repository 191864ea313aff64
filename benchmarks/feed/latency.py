"""From a revocation to its refusal at connected guards: `python benchmarks/feed/latency.py`.

A `carnet serve` of its own, and so many guards in this process, each with a connection and a map of its own, each verifying every
message. A token is taken back by its client (RFC 7009); the clock starts when the issuer has answered that, so that it is
committed, and stops for each guard when its map refuses the token. All on one machine: issuer and guards share its processors.
"""

import argparse
import asyncio
import json
import logging
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2

from carnet.ambient import SYSTEM
from carnet.feed.channel import Signed
from carnet.feed.epoch_map import TokenNames
from carnet.feed.messages import Snapshot
from carnet.guard.checkpoint import jitter, key_set_machine
from carnet.guard.feed_machine import FeedMachine
from carnet.guard.feed_source import AsyncFeedSource
from carnet.guard.key_source import AsyncKeySource
from carnet.guard.verifier import ALGORITHMS
from carnet.jose import inspect
from carnet.testing.running import RunningIssuer, running_issuer, running_relay

LONGEST = 30.0


class Connected:
    """What a guard has of the feed: a connection, keys, a map."""

    def __init__(self, issuer: str, relay: str | None, heard: Callable[["Connected"], None]) -> None:
        self._heard = heard
        self.keys = AsyncKeySource(key_set_machine(issuer, ALGORITHMS, SYSTEM), ambient=SYSTEM)
        at = SYSTEM.monotonic()
        self.machine = FeedMachine(issuer, algorithms=ALGORITHMS, jitter=jitter(SYSTEM), at=at, relay=relay, tap=self)
        self.source = AsyncFeedSource(self.machine, self.keys, ambient=SYSTEM)
        self.messages = 0

    def message(self, _signed: Signed) -> None:
        self.messages += 1
        self._heard(self)

    def snapshot(self, _snapshot: Snapshot, _body: bytes) -> None:
        """Nothing is measured of it here."""


class Revoked:
    """One token on its way back: which guards refuse it, and since when."""

    def __init__(self, guards: list[Connected], names: TokenNames) -> None:
        self.names = names
        self.refused: dict[Connected, float] = {}
        self.all = asyncio.Event()
        self._guards = guards

    def look(self, guard: Connected) -> None:
        follower = guard.machine.follower
        if guard not in self.refused and follower.refuses(follower.marks(self.names)):
            self.refused[guard] = time.perf_counter()
            if len(self.refused) == len(self._guards):
                self.all.set()


def processor_seconds(running: RunningIssuer) -> float:
    """What the issuer's worker has used up."""
    parent = running.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    ticks = 0
    for pid in children:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def measure(running: RunningIssuer, relay: str | None, guards: int, revocations: int) -> dict[str, Any]:
    client = running.command("client", "create", "Bench", "--grant", "client_credentials", "--audience", "orders")
    auth = (client["client_id"], client["client_secret"])
    current: list[Revoked] = []
    connected: list[Connected] = []

    all_there = asyncio.Event()

    def heard(guard: Connected) -> None:
        if guard.messages == 1 and all(one.messages for one in connected):
            all_there.set()
        for revoked in current:
            revoked.look(guard)

    for _ in range(guards):
        connected.append(Connected(running.url, relay, heard))
        connected[-1].source.start()
    async with asyncio.timeout(LONGEST):
        await all_there.wait()
    chance = random.Random(1)
    latencies: list[float] = []
    used, begun, before = processor_seconds(running), time.perf_counter(), sum(one.messages for one in connected)
    async with httpx2.AsyncClient(base_url=running.url, trust_env=False) as http:
        for _ in range(revocations):
            form = {"grant_type": "client_credentials"}
            token = (await http.post("/token", data=form, auth=auth)).raise_for_status().json()["access_token"]
            claims = {member.name: member.value for member in inspect(token, at=SYSTEM.now()).claims}
            names = TokenNames(subject=claims["sub"], client_id=claims["client_id"], jti=claims["jti"])
            revoked = Revoked(connected, names)
            current[:] = [revoked]
            await asyncio.sleep(chance.uniform(0.05, 0.25))
            (await http.post("/revoke", data={"token": token}, auth=auth)).raise_for_status()
            committed = time.perf_counter()
            async with asyncio.timeout(LONGEST):
                await revoked.all.wait()
            latencies += [max(0.0, at - committed) for at in revoked.refused.values()]
    took, delivered = time.perf_counter() - begun, sum(one.messages for one in connected) - before
    used = processor_seconds(running) - used
    for guard in connected:
        await guard.source.stop()
        await guard.keys.stop()
    cuts = statistics.quantiles(latencies, n=100)
    return {
        "guards": guards,
        "revocations": revocations,
        "p50_ms": cuts[49] * 1e3,
        "p99_ms": cuts[98] * 1e3,
        "max_ms": max(latencies) * 1e3,
        "messages": delivered,
        "seconds": took,
        "issuer_us_per_delivery": used / delivered * 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--guards", type=int, default=100)
    parser.add_argument("--revocations", type=int, default=60)
    parser.add_argument("--relays", type=int, default=0, help="relays in a chain between the issuer and the guards")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    logging.disable()
    with ExitStack() as stack:
        data = stack.enter_context(tempfile.TemporaryDirectory())
        running = stack.enter_context(running_issuer(Path(data)))
        relay = None
        for _ in range(arguments.relays):
            relay = stack.enter_context(running_relay(running.url, upstream=relay))
        figures = asyncio.run(measure(running, relay, arguments.guards, arguments.revocations))
    if arguments.json:
        print(json.dumps(figures))
        return
    print(f"{figures['guards']} guards, {figures['revocations']} revocations, {arguments.relays} relays in a chain")
    print(f"p50 {figures['p50_ms']:.0f} ms, p99 {figures['p99_ms']:.0f} ms, max {figures['max_ms']:.0f} ms")
    print(f"{figures['issuer_us_per_delivery']:.0f} µs of the issuer's processor for each message delivered")


if __name__ == "__main__":
    main()
