"""Rotates refresh tokens until it is killed; prints a line for each rotation that was acknowledged. Run by test_crashes.py."""

import asyncio
import sys
from hashlib import sha256
from pathlib import Path

from carnet.ambient import SYSTEM
from carnet.issuer.config import Config
from carnet.issuer.storage import open_store
from carnet.issuer.storage.ports import Fresh
from carnet.issuer.storage.records import Artifact

NOW = 1_800_000_000


def token(family, generation):
    name = f"{family}/{generation}".encode()
    return Artifact(
        kind="refresh_token",
        digest=sha256(name).digest(),
        family=family,
        subject="ada",
        client_id="shop",
        sid="s1",
        document=name,
        created_at=NOW,
        expires_at=NOW + 1_000,
    )


async def turn(store, family, generation):
    while True:
        into = [token(family, generation + 1)]
        answer = await store.artifacts.spend("refresh_token", token(family, generation).digest, at=NOW, into=into)
        if not isinstance(answer, Fresh):
            raise SystemExit(f"{family}/{generation} was refused: {answer}")
        generation += 1
        print(family, generation, flush=True)


async def main(data):
    store = open_store(Config(data=Path(data)), SYSTEM)
    live = [one.document.decode().split("/") for one in await store.artifacts.families("ada", at=NOW)]
    await asyncio.gather(*(turn(store, family, int(generation)) for family, generation in live))


asyncio.run(main(sys.argv[1]))
