"""One deployment as a command meets it: its data directory, its secret key, its open desk."""

import asyncio
import os
import stat
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from carnet.ambient import SYSTEM
from carnet.cli import output, settings
from carnet.cli.errors import CommandError, UsageError
from carnet.issuer.config import Config

if TYPE_CHECKING:
    from carnet.issuer.desk import Desk
    from carnet.issuer.storage.ports import Store

Answer = TypeVar("Answer")

SECRET_LENGTH = 43
"""Characters that 32 random bytes take in base64."""


def secret_from_environment(environ: Mapping[str, str] | None = None) -> bytes | None:
    """The deployment's secret key if the environment holds it; None: the file in the data directory."""
    value = (os.environ if environ is None else environ).get(settings.SECRET_KEY)
    if not value:
        return None
    if len(value) < SECRET_LENGTH:
        raise UsageError(
            f"{settings.SECRET_KEY} has fewer than {SECRET_LENGTH} characters: make one with `openssl rand -base64 32`."
        )
    return value.encode()


def prepare_data(config: Config) -> None:
    """Make the data directory, for its owner alone."""
    try:
        config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(config.data.stat().st_mode)
    except OSError as error:
        raise CommandError(f"the data directory {config.data} cannot be made: {error.strerror}.") from None
    if mode & stat.S_IWOTH:
        raise CommandError(f"everybody may write into the data directory {config.data}: run `chmod 700 {config.data}`.")
    os.umask(0o077)  # whatever is made in it is its owner's alone


def subcommand(commands: Any, name: str, run: Callable[[Namespace], int], summary: str) -> ArgumentParser:
    """Describe one command that works on a deployment, such as `user create`."""
    parser: ArgumentParser = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    output.add_json_option(parser)
    settings.add_storage_options(parser)
    parser.set_defaults(run=run)
    return parser


@contextmanager
def one_line() -> Iterator[None]:
    """Turn what goes wrong while a deployment is worked on into one line for the person at the terminal."""
    from carnet.issuer.config import ConfigError
    from carnet.issuer.storage.ports import StorageError
    from carnet.sealing import SealBrokenError

    try:
        yield
    except ConfigError as error:
        raise UsageError(str(error)) from None
    except StorageError as error:
        raise CommandError(f"the database: {error}") from None
    except SealBrokenError:
        raise CommandError(
            "the signing keys were sealed under another secret key: give back the one that they were made with "
            f"({settings.SECRET_KEY}, or secret.key in the data directory)."
        ) from None
    except OSError as error:
        raise CommandError(str(error)) from None


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator["Desk"]:
    """The issuer's desk, open."""
    from carnet.issuer.app import open_desk

    desk = await open_desk(config, SYSTEM, secret=secret_from_environment())
    try:
        yield desk
    finally:
        desk.passwords.close()
        await desk.store.close()


def at_desk(arguments: Namespace, work: Callable[["Desk"], Awaitable[Answer]]) -> Answer:
    """Open the deployment that the command's settings name, and do the work there."""
    config = settings.load(arguments)
    prepare_data(config)

    async def main() -> Answer:
        async with opened(config) as desk:
            return await work(desk)

    with one_line():
        return asyncio.run(main())


@asynccontextmanager
async def opened_store(config: Config) -> AsyncIterator["Store"]:
    """The deployment's store alone, with its schema up to date."""
    from carnet.issuer.storage import open_store

    store = open_store(config, SYSTEM)
    try:
        await store.migrate()
        yield store
    finally:
        await store.close()


def at_store(arguments: Namespace, work: Callable[[Config, "Store"], Awaitable[Answer]]) -> Answer:
    """Open the store of the deployment that the command's settings name, and do the work there."""
    config = settings.load(arguments)
    prepare_data(config)

    async def main() -> Answer:
        async with opened_store(config) as store:
            return await work(config, store)

    with one_line():
        return asyncio.run(main())
