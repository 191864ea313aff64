"""Ports for what a test starts: free, and kept free until it listens, however many test runs look for one at the same time."""

import os
import socket
import sys

from carnet.demo import parts

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nothing has, and that nobody else is given as long as this process lives."""
    return _hold(0)


def free_base_port() -> int:
    """A base port for the demo, all of whose ports are held like this; below those that systems give out by themselves.

    Raises:
        OSError: none is left.
    """
    places = list(range(12_000, 30_000, 20))
    first = os.getpid() % len(places)  # few look where another process has just looked
    for base in places[first:] + places[:first]:
        try:
            for port in parts.ports(base).values():
                _hold(port)
        except OSError:
            continue
        return base
    raise OSError("There are no free ports.")


def _hold(port: int) -> int:
    """Bind a port without listening on it: refused to all who look for one, and open to the one server that is told it.

    The kernel gives a bound port to nobody, neither to those who ask for any nor to outgoing connections. A server binds it all
    the same, because servers allow what is bound to be bound again, and so does this socket, from now on.
    """
    probe = socket.socket()
    try:
        probe.bind((HOST, port))
    except OSError:
        probe.close()
        raise
    number: int = probe.getsockname()[1]
    if sys.platform == "linux":  # elsewhere these options mean something else
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        probe.detach()  # open until this process ends
    else:
        probe.close()
    return number
