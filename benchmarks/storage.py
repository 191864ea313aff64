"""How fast the storage is, beside the bare database in the same run: python benchmarks/storage.py [--seconds N] [--json].

The figure that matters is the durable rotation of a refresh token: one transaction that spends one row and stores another. The
bare figure is what this machine gives for the smallest durable write through the same driver, one at a time: the floor that
grouping commits gets around.
"""

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import asyncpg

from carnet.ambient import SYSTEM
from carnet.issuer.config import Config
from carnet.issuer.storage import open_store
from carnet.issuer.storage.ports import Fresh
from carnet.testing.postgresql import PostgresqlServer, UnavailableError
from carnet.testing.storage.samples import NOW, artifact, digest, rotate, settle

CALLERS = (1, 32)


async def measure(work, *, callers, seconds):
    """Let so many callers work at once for that long: how often a second, and percentiles in ms."""
    times = []
    end = time.perf_counter() + seconds

    async def call(caller):
        step = 0
        while time.perf_counter() < end:
            began = time.perf_counter()
            await work(caller, step)
            times.append(time.perf_counter() - began)
            step += 1

    began = time.perf_counter()
    await asyncio.gather(*(call(caller) for caller in range(callers)))
    elapsed = time.perf_counter() - began
    times.sort()
    return {
        "per_second": round(len(times) / elapsed),
        "p50_ms": round(times[len(times) // 2] * 1e3, 3),
        "p99_ms": round(times[len(times) * 99 // 100] * 1e3, 3),
    }


async def measure_store(store, seconds):
    await store.migrate()
    await settle(store)
    figures = {}
    for callers in CALLERS:
        stem = f"{callers}/"
        for caller in range(callers):
            await store.artifacts.put(artifact(f"{stem}{caller}/0", family=f"{stem}{caller}"))

        async def spend(caller, step, stem=stem):
            name = f"{stem}{caller}"
            answer = await rotate(store, f"{name}/{step}", f"{name}/{step + 1}", family=name)
            assert isinstance(answer, Fresh)

        async def look(caller, step, stem=stem):
            await store.artifacts.get("refresh_token", digest(f"{stem}{caller}/0"), at=NOW)

        async def client(caller, step):
            await store.clients.get("shop")

        figures[f"rotation, {callers} at once"] = await measure(spend, callers=callers, seconds=seconds)
        figures[f"look at a spent token, {callers} at once"] = await measure(look, callers=callers, seconds=seconds)
        figures[f"read a client, {callers} at once"] = await measure(client, callers=callers, seconds=seconds)
    await store.close()
    return figures


async def bare_sqlite(folder, seconds):
    with closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE t (a BLOB PRIMARY KEY)")

        async def insert(caller, step):
            connection.execute("INSERT INTO t VALUES (?)", (digest(f"{step}"),))

        return await measure(insert, callers=1, seconds=seconds)


async def bare_postgresql(url, seconds):
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE t (a BYTEA PRIMARY KEY)")

    async def insert(caller, step):
        await connection.execute("INSERT INTO t VALUES ($1)", digest(f"{step}"))

    figure = await measure(insert, callers=1, seconds=seconds)
    await connection.close()
    return figure


def run(seconds):
    results = {}
    with tempfile.TemporaryDirectory(dir=".", prefix="benchmark-") as name:
        folder = Path(name)
        results["SQLite"] = {"bare insert, 1 at once": asyncio.run(bare_sqlite(folder, seconds))}
        results["SQLite"] |= asyncio.run(measure_store(open_store(Config(data=folder), SYSTEM), seconds))
    try:
        with PostgresqlServer(durable=True) as server:
            results["PostgreSQL"] = {
                "bare insert, 1 at once": asyncio.run(bare_postgresql(server.create_database(), seconds))
            }
            store = open_store(Config(database=server.create_database()), SYSTEM)
            results["PostgreSQL"] |= asyncio.run(measure_store(store, seconds))
    except UnavailableError as error:
        print(error, file=sys.stderr)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3, help="for each figure")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = run(arguments.seconds)
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    for backend, figures in results.items():
        floor = figures["bare insert, 1 at once"]["per_second"]
        print(f"\n{backend:<36}{'a second':>10}{'of bare':>9}{'p50 ms':>9}{'p99 ms':>9}")
        for name, figure in figures.items():
            ratio = figure["per_second"] / floor
            print(f"{name:<36}{figure['per_second']:>10,}{ratio:>8.2f}x{figure['p50_ms']:>9}{figure['p99_ms']:>9}")


if __name__ == "__main__":
    main()
