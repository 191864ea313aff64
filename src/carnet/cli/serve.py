"""`carnet serve`: runs the issuer."""

import argparse
import asyncio
from functools import partial
from typing import Any

from carnet.cli import certificate, settings
from carnet.cli.deployment import one_line, opened, prepare_data, secret_from_environment
from carnet.cli.errors import CommandError
from carnet.cli.server import DRAIN, Listening, end_with_parent, refuse_taken_port, serve
from carnet.issuer.config import Config


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser("serve", help="run the issuer", description="Run the issuer.")
    settings.add_storage_options(parser)
    settings.add_server_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    config = settings.load(arguments)
    prepare_data(config)
    if fault := certificate.fault(config):
        raise CommandError(fault)
    listening = Listening(
        config.host, config.port, config.workers, config.log_format, tls_cert=config.tls_cert, tls_key=config.tls_key
    )
    refuse_taken_port(listening)
    with one_line():
        welcome = asyncio.run(_prepare(config))
    lines = [f"Carnet issues at {config.issuer}"]
    if welcome is not None:
        lines.append(f"Make the first administrator (once, within a day): {welcome}")
    return serve(listening, partial(load, config), lines)


async def _prepare(config: Config) -> str | None:
    """Bring the database and the keys into being before any worker starts; the answer is the first administrator's link."""
    from carnet.issuer.accounts.invitations import first_administrator

    async with opened(config) as desk:
        return await first_administrator(desk)


def load(config: Config) -> Any:
    """Make the ASGI application, in a worker's process."""
    from carnet.ambient import SYSTEM
    from carnet.issuer.app import create_app

    end_with_parent()
    return create_app(config, SYSTEM, secret=secret_from_environment(), drain=DRAIN)
