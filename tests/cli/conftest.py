"""Runs the command inside the test's process, on a data directory of its own."""

import asyncio
import io
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from carnet.ambient import SYSTEM
from carnet.cli import main
from carnet.issuer.config import Config
from carnet.issuer.storage import open_store


@dataclass
class Done:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        assert self.out.count("\n") == 1, "JSON for machines is one line"
        return json.loads(self.out)


@pytest.fixture
def deployment(tmp_path, monkeypatch):
    """An empty folder to work in, with nothing of the surroundings' settings."""
    for name in [name for name in os.environ if name.startswith("CARNET_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    umask = os.umask(0o022)
    yield tmp_path / "carnet-data"
    os.umask(umask)


@pytest.fixture
def at_store(deployment):
    """Runs work on the deployment's store, as the running issuer would."""

    def run(work):
        async def main():
            store = open_store(Config(data=deployment), SYSTEM)
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(main())

    return run


@pytest.fixture
def carnet(deployment, capsys, monkeypatch):
    def run(*argv: str, stdin: str | None = None) -> Done:
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin or ""))
        try:
            status = main(argv)
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        return Done(status, out, err)

    return run
