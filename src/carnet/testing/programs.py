"""Other programs and small servers that a test runs beside the issuer, each until its block is left."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from carnet.testing.running import NotRunningError

PATIENCE = 30
"""Seconds after which something hangs."""


class Quiet(BaseHTTPRequestHandler):
    """Says nothing of what it is asked."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Says nothing."""

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(handler: type[Quiet], **attributes: Any) -> Iterator[int]:
    """Serve on a free port of this machine, in a thread, with these `attributes` on the handler; the answer is the port."""
    kind = type(handler.__name__, (handler,), attributes)
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(PATIENCE)


@contextmanager
def running_program(*command: str, folder: Path, stdout: int | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program that ends with the block, by its own id; what it says is in `<its name>.log` in the folder.

    `stdout` may be `subprocess.PIPE`, for a test that reads it.
    """
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        running = subprocess.Popen(  # noqa: S603 - the test's own command
            command, stderr=log, stdout=log if stdout is None else stdout, cwd=folder, stdin=subprocess.DEVNULL
        )
        with running:
            try:
                yield running
            finally:
                running.terminate()
                try:
                    running.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    running.kill()
                    raise


def await_port(port: int, running: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a program listens.

    Raises:
        NotRunningError: it ended, or it never listened; the message is its log.
    """
    for _ in range(PATIENCE * 20):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            try:
                running.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        else:
            return
    raise NotRunningError(log.read_text("utf-8"))
