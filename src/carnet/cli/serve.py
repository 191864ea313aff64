"""`carnet serve`: runs the issuer."""

import argparse
import asyncio
import os
import signal
import socket
import sys
import threading
import time
from functools import partial
from typing import Any

from carnet.cli import certificate, logs, settings
from carnet.cli.deployment import one_line, opened, prepare_data, secret_from_environment
from carnet.cli.errors import CommandError
from carnet.issuer.config import Config

GRACE = 10
"""Seconds that requests have to finish when the server is told to stop."""
DRAIN = signal.SIGUSR1
"""Tells a worker to end the streams that guards listen to."""
LARGEST_HEAD = 64 * 1024
"""Bytes of a request's head, of which an access token takes at most 8 KiB."""


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
    _refuse_taken_port(config)
    with one_line():
        welcome = asyncio.run(_prepare(config))
    return _serve(config, welcome)


async def _prepare(config: Config) -> str | None:
    """Bring the database and the keys into being before any worker starts; the answer is the first administrator's link."""
    from carnet.issuer.accounts.invitations import first_administrator

    async with opened(config) as desk:
        return await first_administrator(desk)


def _refuse_taken_port(config: Config) -> None:
    """Workers bind the port with SO_REUSEPORT, which a second server's would silently share: so look first."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        raise CommandError(
            f"cannot listen on {config.host}:{config.port}: {error.strerror}; give another --port or --host."
        ) from None


def _serve(config: Config, welcome: str | None) -> int:
    from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols
    from granian.http import HTTP1Settings, HTTP2Settings
    from granian.log import LogLevels
    from granian.server.mp import MPServer

    class Server(MPServer):
        """Says that it listens once it does: workers bind the port themselves, a moment after they were started.

        Before it stops it has its workers end the streams that would otherwise keep them until the grace is over.
        """

        def startup(self, spawn_target: Any, target_loader: Any) -> None:
            super().startup(spawn_target, target_loader)  # type: ignore[no-untyped-call]  # granian leaves it so
            threading.Thread(target=_announce, args=(config, welcome), daemon=True).start()

        def shutdown(self, exit_code: int = 0) -> None:
            for worker in self.wrks:
                if worker.inner.is_alive():
                    os.kill(worker.inner.pid, DRAIN)
            super().shutdown(exit_code)  # type: ignore[no-untyped-call]

    server = Server(
        "carnet.issuer.app",
        address=config.host,
        port=config.port,
        interface=Interfaces.ASGI,
        workers=config.workers,
        loop=Loops.uvloop,
        http=HTTPModes.auto if config.tls_cert else HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(max_buffer_size=LARGEST_HEAD),
        http2_settings=HTTP2Settings(max_headers_size=LARGEST_HEAD),
        log_level=LogLevels.warning,
        log_dictconfig=logs.configuration(config.log_format),
        log_access=False,
        ssl_cert=config.tls_cert,
        ssl_key=config.tls_key,
        ssl_protocol_min=SSLProtocols.tls12,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE,
    )
    try:
        server.serve(target_loader=partial(load, config), wrap_loader=False)
    except SystemExit as end:
        if end.code:
            raise CommandError("the server ended because a worker failed; its reason stands above.") from None
    return 0


def load(config: Config) -> Any:
    """Make the ASGI application, in a worker's process."""
    from carnet.ambient import SYSTEM
    from carnet.issuer.app import create_app

    _end_with_parent()
    return create_app(config, SYSTEM, secret=secret_from_environment(), drain=DRAIN)


def _end_with_parent() -> None:
    """End this worker when the process that started it is gone, however it went."""
    import multiprocessing
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _announce(config: Config, welcome: str | None) -> None:
    address = ("127.0.0.1" if config.host == "0.0.0.0" else config.host, config.port)  # noqa: S104 — compared, not bound
    while True:
        try:
            socket.create_connection(address, timeout=1).close()
            break
        except OSError:
            time.sleep(0.02)
    lines = [f"Carnet issues at {config.issuer}"]
    if welcome is not None:
        lines.append(f"Make the first administrator (once, within a day): {welcome}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
