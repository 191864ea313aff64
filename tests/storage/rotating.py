"""Rotates refresh tokens until it is killed; prints a line for each rotation that was acknowledged. Run by test_crashes.py."""

import asyncio
import sys
from pathlib import Path

from carnet.ambient import SYSTEM
from carnet.issuer.config import Config
from carnet.issuer.storage import open_store
from carnet.issuer.storage.ports import Fresh
from carnet.testing.storage.samples import NOW, rotate


async def turn(store, family, generation):
    while True:
        answer = await rotate(store, f"{family}/{generation}", f"{family}/{generation + 1}", family=family)
        if not isinstance(answer, Fresh):
            raise SystemExit(f"{family}/{generation} was refused: {answer}")
        generation += 1
        print(family, generation, flush=True)


async def main(data):
    store = open_store(Config(data=Path(data)), SYSTEM)
    live = [one.document.decode().split("/") for one in await store.artifacts.families("ada", at=NOW)]
    await asyncio.gather(*(turn(store, family, int(generation)) for family, generation in live))


asyncio.run(main(sys.argv[1]))
