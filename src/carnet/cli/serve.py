"""`carnet serve`: runs the issuer."""

import argparse
import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

from carnet.cli import certificate, settings
from carnet.cli.deployment import one_line, opened, prepare_data, secret_from_environment
from carnet.cli.errors import CommandError
from carnet.cli.server import DRAIN, GRACE, Listening, end_with_parent, refuse_taken_port, serve
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
    for port in (config.port, config.mtls_port):
        if port is not None:
            refuse_taken_port(replace(listening, port=port))
    with one_line():
        welcome = asyncio.run(_prepare(config))
    lines = [f"Carnet issues at {config.issuer}"]
    if config.mtls_port is not None:
        lines.append(f"Clients with certificates find it at {config.mtls_base}")
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
    app = create_app(config, SYSTEM, secret=secret_from_environment(), drain=DRAIN)
    if config.mtls_port is None or config.tls_cert is None or config.tls_key is None:
        return app
    from carnet.cli.mtls_listener import MtlsListener
    from carnet.cli.tls_stream import server_context

    context = server_context(config.tls_cert, config.tls_key)
    return MtlsListener(app, host=config.host, port=config.mtls_port, context=context, grace=GRACE)
