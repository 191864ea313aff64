"""Rules R1 and R6: what was acknowledged survives kill -9 and a torn end of the log, and a family has one live leaf."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from carnet.ambient import SYSTEM
from carnet.issuer.config import Config
from carnet.issuer.storage import open_store
from carnet.issuer.storage.ports import Spent
from carnet.testing.storage.samples import NOW, artifact, digest, rotate, settle

pytestmark = pytest.mark.anyio

FAMILIES = [f"f{number}" for number in range(12)]
KILLS = int(os.environ.get("CARNET_TEST_KILLS", "25"))
TORN = int(os.environ.get("CARNET_TEST_TORN", "25"))


async def leaves(data):
    """The generation of the one live refresh token of each family."""
    store = open_store(Config(data=data), SYSTEM)
    await store.migrate()
    live = [one.document.decode().split("/") for one in await store.artifacts.families("ada", at=NOW)]
    await store.close()
    assert Counter(family for family, _ in live) == dict.fromkeys(FAMILIES, 1)
    return {family: int(generation) for family, generation in live}


async def begin(data):
    store = open_store(Config(data=data), SYSTEM)
    await store.migrate()
    await settle(store)
    for family in FAMILIES:
        await store.artifacts.put(artifact(f"{family}/0", family=family))
    return store


def killed_after(lines, data):
    """Let another process rotate, kill it when it has acknowledged so many rotations; all that it has acknowledged."""
    child = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("rotating.py"), data], stdout=subprocess.PIPE, text=True
    )
    acknowledged = {}
    for number, line in enumerate(child.stdout, start=1):
        if line.endswith("\n"):
            family, generation = line.split()
            acknowledged[family] = int(generation)
        if number == lines:
            child.send_signal(signal.SIGKILL)
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL, "it ended by itself"
    return acknowledged


async def test_no_acknowledged_rotation_is_lost_to_kill_9_and_no_family_has_two_live_leaves(tmp_path):
    await (await begin(tmp_path)).close()
    chance = random.Random(20_261)
    before = await leaves(tmp_path)
    for _ in range(KILLS):
        acknowledged = killed_after(chance.randrange(1, 120), tmp_path)
        after = await leaves(tmp_path)
        for family in FAMILIES:
            # One more may have been committed and not yet acknowledged.
            least = acknowledged.get(family, before[family])
            assert least <= after[family] <= least + 1
        before = after
    store = open_store(Config(data=tmp_path), SYSTEM)
    for family, generation in before.items():
        for spent in range(generation):
            assert isinstance(await store.artifacts.get("refresh_token", digest(f"{family}/{spent}"), at=NOW), Spent)
    await store.close()


async def test_a_log_that_is_torn_after_the_last_acknowledged_commit_loses_nothing_acknowledged(tmp_path):
    data = tmp_path / "data"
    store = await begin(data)
    for family in FAMILIES:
        await rotate(store, f"{family}/0", f"{family}/1", family=family)
    durable = (data / "carnet.db-wal").stat().st_size
    for family in FAMILIES:
        await rotate(store, f"{family}/1", f"{family}/2", family=family)
    log = (data / "carnet.db-wal").read_bytes()
    assert len(log) > durable > 0
    chance = random.Random(20_262)
    seen = set()
    for number in range(TORN):
        copy = tmp_path / f"copy{number}"
        copy.mkdir()
        shutil.copyfile(data / "carnet.db", copy / "carnet.db")
        end = chance.randrange(durable, len(log))
        torn = chance.randbytes(chance.randrange(0, 8_192)) if chance.random() < 0.5 else b""
        (copy / "carnet.db-wal").write_bytes(log[:end] + torn)
        generations = await leaves(copy)
        assert set(generations.values()) <= {1, 2}
        seen.add(sum(generations.values()))
    assert len(seen) > 3, "the cuts were all at one place"
    await store.close()
