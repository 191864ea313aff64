"""What large maps take: `python benchmarks/feed/memory.py`.

For each size, in processes of their own: an issuer's database with so many entries, from which its publisher makes a snapshot
(the first one, which is read from the database, then one from memory); and a guard that fetches that snapshot over a socket of
this machine until it is ready. Memory is what the map holds, and what the process has more than before at most, while it takes
the snapshot in.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

from carnet.ambient import SYSTEM, Ambient
from carnet.feed.epoch_map import TokenNames
from carnet.feed.messages import feed_verifier, read_snapshot
from carnet.guard.feed_machine import FeedMachine, TakeSnapshot
from carnet.guard.metadata import Metadata
from carnet.guard.outgoing import fetch
from carnet.issuer.app import open_desk
from carnet.issuer.config import Config
from carnet.issuer.storage.records import Revocation
from carnet.jose import KeySet

SIZES = (10_000, 100_000, 1_000_000)
BATCH = 10_000


def resident() -> tuple[int, int]:
    """Bytes that this process has in memory, and the most that it has had."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) * 1024, int(lines["VmHWM"].split()[0]) * 1024


async def issue(count: int, folder: Path) -> dict[str, Any]:
    """Fill a database, make a snapshot, and leave it in the folder with the keys."""
    config = Config(data=folder)
    ahead = 0.0
    ambient = Ambient(SYSTEM.now, lambda: SYSTEM.monotonic() + ahead, SYSTEM.entropy)
    desk = await open_desk(config, ambient, secret=b"s" * 43)
    until = SYSTEM.now() + 3_600
    try:
        for start in range(0, count, BATCH):
            revocations = [
                Revocation(kind="session", value=f"session-{n:08}", expires_at=until)
                for n in range(start, min(start + BATCH, count))
            ]
            await desk.store.revocations.add(revocations)
            while await desk.store.revocations.publish(limit=BATCH):
                pass
        before, _ = resident()
        begin = time.perf_counter()
        body = await desk.publisher.snapshot()
        made = time.perf_counter() - begin
        ahead += 3_600.0  # the first one is too old by then
        begin = time.perf_counter()
        await desk.publisher.snapshot()
        again = time.perf_counter() - begin
        (folder / "snapshot").write_bytes(body)
        (folder / "keys").write_text(json.dumps(await desk.keyring.jwks()))
        after, most = resident()
    finally:
        desk.passwords.close()
        await desk.store.close()
    return {"first_s": made, "again_s": again, "held": after - before, "most": most - before, "bytes": len(body)}


async def follow(count: int, folder: Path) -> dict[str, Any]:
    """Fetch the snapshot from a socket as a guard does, and look names up in it."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (folder / "snapshot").stat().st_size

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        with (folder / "snapshot").open("rb") as file:
            while chunk := file.read(1 << 18):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    issuer = Config().issuer
    keys = KeySet.from_jwks((folder / "keys").read_bytes(), algorithms=("ES256",))
    metadata = Metadata(issuer, "", revocations_endpoint=url, revocations_snapshot_endpoint=url)
    machine = FeedMachine(issuer, algorithms=("ES256",), jitter=lambda: 0.0, at=0.0)
    step = machine.next(metadata, 0.0)
    assert isinstance(step, TakeSnapshot)
    await fetch(TakeSnapshot(step.fetch).fetch)  # so that modules and buffers are there before it is measured
    before, _ = resident()
    begin = time.perf_counter()
    response = await fetch(step.fetch)
    fetched = time.perf_counter() - begin
    machine.answered(step, response, keys, now=SYSTEM.now(), at=0.0)
    ready = time.perf_counter() - begin
    assert machine.follower.ready
    _, most = resident()
    tracemalloc.start()  # what is held, without what the allocator keeps
    machine.answered(step, response, keys, now=SYSTEM.now(), at=0.0)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del response
    follower, found = machine.follower, 0
    marks = [
        follower.marks(TokenNames(subject="s", client_id="c", jti="f.1", sid=f"session-{n * count // 5_000:08}"))
        for n in range(10_000)
    ]
    begin = time.perf_counter()
    for one in marks:
        found += follower.refuses(one)
    looked_up = (time.perf_counter() - begin) / len(marks)
    assert found == 5_000, found
    server.close()
    verifier = feed_verifier(keys, issuer=issuer, algorithms=("ES256",))
    body = (folder / "snapshot").read_bytes()
    begin = time.perf_counter()
    read_snapshot(body, verifier, at=SYSTEM.now())
    verified = time.perf_counter() - begin
    return {
        "fetched_s": fetched,
        "verified_s": verified,
        "ready_s": ready,
        "held": held,
        "most": most - before,
        "look_up_us": looked_up * 1e6,
    }


def apart(part: str, count: int, folder: Path) -> dict[str, Any]:
    """Run one part in a process of its own."""
    command = [sys.executable, __file__, "--part", part, "--size", str(count), "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, action="append", help="entries; may be repeated")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", choices=("issue", "follow"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = arguments.size or SIZES
    if arguments.part is not None:
        part = issue if arguments.part == "issue" else follow
        print(json.dumps(asyncio.run(part(sizes[0], arguments.folder))))
        return
    measured = {}
    for count in sizes:
        with tempfile.TemporaryDirectory() as folder:
            measured[count] = {part: apart(part, count, Path(folder)) for part in ("issue", "follow")}
    if arguments.json:
        print(json.dumps(measured))
        return
    for count, figures in measured.items():
        issued, followed = figures["issue"], figures["follow"]
        print(f"{count:,} entries, a snapshot of {issued['bytes'] / 1e6:.1f} MB")
        print(
            f"  issuer: {issued['first_s']:.2f} s for the first snapshot, {issued['again_s'] * 1e3:.1f} ms for those after it"
        )
        print(
            f"  guard:  ready in {followed['ready_s']:.2f} s; {followed['held'] / count:.0f} bytes an entry, "
            f"{followed['held'] / 1e6:.1f} MB held and {followed['most'] / 1e6:.1f} MB at most; "
            f"{followed['look_up_us']:.1f} µs to look a token up"
        )


if __name__ == "__main__":
    main()
