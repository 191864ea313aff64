"""How a command serves an application over HTTP: it says that it listens once it does, and stops without cutting anybody off."""

import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from carnet.cli import logs
from carnet.cli.errors import CommandError

GRACE = 10
"""Seconds that requests have to finish when the server is told to stop."""
DRAIN = signal.SIGUSR1
"""Tells a worker to end the streams that guards listen to."""
LARGEST_HEAD = 64 * 1024
"""Bytes of a request's head, of which an access token takes at most 8 KiB."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where and how a server listens."""

    host: str
    port: int
    workers: int = 1
    log_format: str = "plain"
    tls_cert: Path | None = None
    tls_key: Path | None = None


def refuse_taken_port(listening: Listening) -> None:
    """Workers bind the port with SO_REUSEPORT, which a second server's would silently share: so look first."""
    host, port = listening.host, listening.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        raise CommandError(
            f"cannot listen on {host}:{port}: {error.strerror}; give another --port or --host."
        ) from None


def serve(listening: Listening, load: Callable[[], Any], lines: Sequence[str]) -> int:
    """Serve the application that `load` makes in each worker's process, until a signal; `lines` are printed once it listens."""
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
            threading.Thread(target=_announce, args=(listening, lines), daemon=True).start()

        def shutdown(self, exit_code: int = 0) -> None:
            for worker in self.wrks:
                if worker.inner.is_alive():
                    os.kill(worker.inner.pid, DRAIN)
            super().shutdown(exit_code)  # type: ignore[no-untyped-call]

    server = Server(
        "carnet",
        address=listening.host,
        port=listening.port,
        interface=Interfaces.ASGI,
        workers=listening.workers,
        loop=Loops.uvloop,
        http=HTTPModes.auto if listening.tls_cert else HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(max_buffer_size=LARGEST_HEAD),
        http2_settings=HTTP2Settings(max_headers_size=LARGEST_HEAD),
        log_level=LogLevels.warning,
        log_dictconfig=logs.configuration(listening.log_format),
        log_access=False,
        ssl_cert=listening.tls_cert,
        ssl_key=listening.tls_key,
        ssl_protocol_min=SSLProtocols.tls12,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE,
    )
    try:
        server.serve(target_loader=partial(_settled, load), wrap_loader=False)
    except SystemExit as end:
        if end.code:
            raise CommandError("the server ended because a worker failed; its reason stands above.") from None
    return 0


def _settled(load: Callable[[], Any]) -> Any:
    """The application of a worker. What is there before the first request stays: the collector need not look at it again."""
    application = load()
    gc.collect()
    gc.freeze()
    return application


def end_with_parent() -> None:
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


def _announce(listening: Listening, lines: Sequence[str]) -> None:
    host = "127.0.0.1" if listening.host == "0.0.0.0" else listening.host  # noqa: S104 — compared, not bound
    while True:
        try:
            socket.create_connection((host, listening.port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.02)
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
