"""Serves one application of the demo on a port of this machine, in this process, until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import signal
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server


async def _serve(app: Any, port: int) -> None:
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, log_level=LogLevels.error)
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, server.stop)
    await server.serve()


def serve(app: Any) -> None:
    """Serve an ASGI application on 127.0.0.1 at the port that the variable PORT names."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("carnet").setLevel(logging.INFO)  # a guard says why it refused: here, and not to the caller
    asyncio.run(_serve(app, int(os.environ["PORT"])))
