"""`carnet restore`: puts a backup in place, and ends in it whatever it would revive (rule R21)."""

import asyncio
import os
import shutil
import sqlite3
import tempfile
from argparse import Namespace
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from carnet.ambient import SYSTEM
from carnet.cli import output, settings
from carnet.cli.backup import copy
from carnet.cli.deployment import one_line, opened_store, prepare_data, secret_from_environment, subcommand
from carnet.cli.errors import CommandError, UsageError
from carnet.issuer.config import Config

if TYPE_CHECKING:
    from carnet.issuer.storage.ports import Store

GENERATION = 1_000_000
"""What each subject's epoch is raised by: more than any deployment counts up to between a backup and its return."""
PAGE = 500
PREFIX = "restoring-"


def add(subparsers: Any) -> None:
    parser = subcommand(subparsers, "restore", _restore, "put a backup in place; everybody signs in again afterwards")
    parser.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        nargs="?",
        help="made by `carnet backup`; none after pg_restore into PostgreSQL",
    )


def _restore(arguments: Namespace) -> int:
    config = settings.load(arguments)
    if (config.database is None) == (arguments.file is None):
        raise UsageError(
            "give the FILE that `carnet backup` made."
            if config.database is None
            else "restore into PostgreSQL with pg_restore, then run `carnet restore` without a file."
        )
    prepare_data(config)
    with one_line():
        kept, accounts = (
            (None, asyncio.run(_supersede(config, config.data)))
            if arguments.file is None
            else _replace(config, arguments.file)
        )
    before = "" if kept is None else f" The database before it is kept as {kept}."
    output.show(
        arguments,
        {"accounts": accounts, "kept": None if kept is None else str(kept)},
        f"Restored; all sessions and refresh tokens have ended; accounts: {accounts}.{before}\n"
        "Roles, passwords, disabled accounts, client secrets and signing keys are as they were at the backup:\n"
        "repeat what was changed since, above all `carnet user disable` and `carnet key retire --compromised`.",
    )
    return 0


def _replace(config: Config, backup: Path) -> tuple[Path | None, int]:
    """Prepare the backup beside the database, and only then let it take its place; the answer begins with what was there."""
    from carnet.issuer.storage.sqlite import FILE_NAME

    if not backup.is_file():
        raise UsageError(f"{backup} does not exist.")
    target = config.data / FILE_NAME
    if target.exists():
        _refuse_if_open(target)
    workshop = Path(tempfile.mkdtemp(prefix=PREFIX, dir=config.data))
    try:
        copy(backup, workshop / FILE_NAME)
        accounts = asyncio.run(_supersede(replace(config, data=workshop), config.data))
        kept = None
        if target.exists():
            kept = target.with_name(f"{FILE_NAME}.before-{SYSTEM.now()}{workshop.name.removeprefix(PREFIX)}")
            target.replace(kept)
        (workshop / FILE_NAME).replace(target)
        _sync(config.data)
    finally:
        shutil.rmtree(workshop)
    return kept, accounts


def _refuse_if_open(database: Path) -> None:
    """Leaving write-ahead logging needs the file for oneself, and folds the log into it."""
    try:
        with closing(sqlite3.connect(database, timeout=0)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise CommandError(f"{database} is in use: stop `carnet serve` first.") from None
        raise CommandError(f"{database} cannot be put aside: {error}.") from None
    except sqlite3.DatabaseError:
        return  # it is no database any more, which is why it is restored


async def _supersede(config: Config, secrets: Path) -> int:
    """End everything that was alive at the backup, and let no token that was issued since pass for newer; how many accounts.

    `secrets` is the directory of the deployment's secret key: tokens of pairwise clients name people by it.
    """
    from carnet.issuer.pairwise import known_as
    from carnet.issuer.revoking import entry_lifetime, outliving
    from carnet.issuer.secret_key import secret_key
    from carnet.issuer.storage.records import Event

    now = SYSTEM.now()
    count = 0
    async with opened_store(config) as store:
        await store.revocations.forget_stream()
        config = await outliving(config, store, at=now)
        sectors = await _sectors(store)
        secret = (secret_from_environment() or secret_key(secrets, SYSTEM)) if sectors else b""
        page = await store.accounts.list(limit=PAGE)
        while page:
            for account in page:
                await store.accounts.replace(account, replace(account, epoch=account.epoch + GENERATION))
                await store.pseudonyms.keep(known_as(account.subject, sectors, secret))
                await store.sessions.end_all(account.subject, at=now, lifetime=entry_lifetime(config))
            count += len(page)
            page = await store.accounts.list(after=page[-1].email, limit=PAGE)
        await store.events.add(Event(at=now, name="database.restored", actor="cli", detail={"accounts": count}))
    return count


async def _sectors(store: "Store") -> set[str]:
    """Of the pairwise clients that there were at the backup."""
    from carnet.issuer.pairwise import sector_of

    sectors = set()
    page = await store.clients.list(limit=PAGE)
    while page:
        sectors |= {sector for client in page if (sector := sector_of(client)) is not None}
        page = await store.clients.list(after=page[-1].client_id, limit=PAGE)
    return sectors


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
