"""`carnet migrate`: brings the database's schema to this version's, which `carnet serve` does by itself as well."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from carnet.cli import output
from carnet.cli.deployment import at_store, subcommand
from carnet.issuer.config import Config

if TYPE_CHECKING:
    from carnet.issuer.storage.ports import Store


def add(subparsers: Any) -> None:
    subcommand(subparsers, "migrate", _migrate, "bring the database's schema to this version's")


def _migrate(arguments: Namespace) -> int:
    async def work(_: Config, store: "Store") -> int:
        return await store.migrate()

    schema = at_store(arguments, work)
    output.show(arguments, {"schema": schema}, f"The database has schema {schema}.")
    return 0
