"""`carnet backup`: copies the embedded database while the issuer runs."""

import os
import sqlite3
from argparse import Namespace
from contextlib import closing
from pathlib import Path
from typing import Any

from carnet.cli import output, settings
from carnet.cli.deployment import subcommand
from carnet.cli.errors import CommandError, UsageError

STEP = 256
"""Pages that are copied between two looks at whether the issuer wants to write."""


def add(subparsers: Any) -> None:
    parser = subcommand(subparsers, "backup", _backup, "copy the embedded database while the issuer runs")
    parser.add_argument("file", metavar="FILE", type=Path, help="the copy; it must not be there yet")


def _backup(arguments: Namespace) -> int:
    from carnet.issuer.storage.sqlite import FILE_NAME

    config = settings.load(arguments)
    if config.database is not None:
        raise UsageError("PostgreSQL has its own tools: use pg_dump, or continuous archiving.")
    source = config.data / FILE_NAME
    if not source.is_file():
        raise CommandError(f"there is no database {source}.")
    copy(source, arguments.file)
    size = arguments.file.stat().st_size
    output.show(
        arguments,
        {"file": str(arguments.file), "bytes": size},
        f"Copied {size:,} bytes to {arguments.file}. Keep the secret key too, in another place: "
        "without it the signing keys in the copy cannot be opened.",
    )
    return 0


def copy(source: Path, target: Path) -> None:
    """Copy a SQLite database into a new file that only its owner can read, and check the copy."""
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise CommandError(f"{target} is there already: give a new name.") from None
    except OSError as error:
        raise CommandError(f"{target} cannot be made: {error.strerror}.") from None
    try:
        _copy(source, target)
    except sqlite3.Error as error:
        target.unlink()
        raise CommandError(f"{source} cannot be copied: {error}.") from None
    except BaseException:
        target.unlink()
        raise


def _copy(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as origin,
        closing(sqlite3.connect(target)) as twin,
    ):
        origin.backup(twin, pages=STEP)
        twin.execute("PRAGMA journal_mode = DELETE")
        (verdict,) = twin.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise CommandError(f"{source} is damaged: {verdict}.")
        if not twin.execute("SELECT 1 FROM sqlite_schema WHERE name = 'schema_version'").fetchone():
            raise CommandError(f"{source} is no database of Carnet's.")
    with target.open("rb") as written:
        os.fsync(written.fileno())
