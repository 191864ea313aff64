"""`carnet migrate`: brings the database's schema to this version's, which `carnet serve` does by itself as well."""

import asyncio
from argparse import Namespace
from typing import Any

from carnet.ambient import SYSTEM
from carnet.cli import output, settings
from carnet.cli.deployment import one_line, prepare_data, subcommand


def add(subparsers: Any) -> None:
    subcommand(subparsers, "migrate", _migrate, "bring the database's schema to this version's")


def _migrate(arguments: Namespace) -> int:
    from carnet.issuer.storage import open_store

    config = settings.load(arguments)
    prepare_data(config)

    async def main() -> int:
        store = open_store(config, SYSTEM)
        try:
            return await store.migrate()
        finally:
            await store.close()

    with one_line():
        schema = asyncio.run(main())
    output.show(arguments, {"schema": schema}, f"The database has schema {schema}.")
    return 0
