"""Ports that tests are given: nobody else's until what they are for listens there."""

import socket
from collections.abc import Callable

import pytest

from carnet.demo import parts
from carnet.testing.ports import HOST, free_base_port, free_port


def bound(port: int, *options: int) -> socket.socket:
    made = socket.socket()
    for option in options:
        made.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        made.bind((HOST, port))
    except OSError:
        made.close()
        raise
    return made


@pytest.mark.parametrize("give", [free_port, free_base_port])
def test_a_port_that_was_given_is_given_to_nobody_else(give: Callable[[], int]) -> None:
    port = give()
    with pytest.raises(OSError, match="in use"):
        bound(port)
    assert give() != port


@pytest.mark.parametrize("option", [socket.SO_REUSEADDR, socket.SO_REUSEPORT])
def test_a_server_listens_on_it_as_on_any_other(option: int) -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port))
    for _ in range(2):
        with bound(port, option) as server:
            server.listen()
            with socket.create_connection((HOST, port)), server.accept()[0]:
                assert parts.taken(port)


def test_all_ports_of_a_demo_are_held() -> None:
    for port in parts.ports(free_base_port()).values():
        assert not parts.taken(port)
        with pytest.raises(OSError, match="in use"):
            bound(port)
