"""`carnet serve`, as a process of its own: how it starts, what it says, how it ends."""

import http.client
import json
import os
import select
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from carnet.testing.ports import free_port

PATIENCE = 30
"""Seconds after which something hangs."""


class Server:
    """A running `carnet serve`, its lines as they come."""

    def __init__(self, folder: Path, *argv: str, environ: dict[str, str] | None = None) -> None:
        surroundings = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "carnet.cli", "serve", *argv],
            cwd=folder,
            env=surroundings | (environ or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """The next line on standard output; what it waits for is there or the process has ended."""
        return self.process.stdout.readline()

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def end(self, signum: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(signum)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


@contextmanager
def serving(folder: Path, *argv: str, environ: dict[str, str] | None = None) -> Iterator[Server]:
    server = Server(folder, *argv, environ=environ)
    watchdog = threading.Timer(PATIENCE, server.process.kill)
    watchdog.start()
    try:
        yield server
    finally:
        watchdog.cancel()
        if server.process.poll() is None:
            server.process.terminate()
        server.process.communicate(timeout=PATIENCE)


def gone(pid: int) -> None:
    """Wait until a process has ended, by its own descriptor."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], PATIENCE)[0], f"process {pid} goes on"
    finally:
        os.close(descriptor)


def get(url: str, *, context: ssl.SSLContext | None = None) -> tuple[int, bytes, dict[str, str]]:
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


def test_it_says_where_it_issues_and_how_to_begin_and_is_there_then(tmp_path):
    port = free_port()
    with serving(tmp_path, "--port", str(port)) as server:
        assert server.line() == f"Carnet issues at http://127.0.0.1:{port}\n"
        link = server.line().split()[-1]
        assert link.startswith(f"http://127.0.0.1:{port}/welcome?invitation=")
        status, body, _ = get(f"http://127.0.0.1:{port}/.well-known/openid-configuration")
        assert (status, json.loads(body)["issuer"]) == (200, f"http://127.0.0.1:{port}")
        assert get(link)[0] == 200
        status, out, err = server.end()
        assert (status, out, err) == (0, "", "")


def test_the_link_is_made_again_at_each_start_until_there_is_an_account(tmp_path, carnet, deployment):
    port = free_port()
    links = []
    for _ in range(2):
        with serving(tmp_path, "--port", str(port)) as server:
            server.line()
            links.append(server.line().split()[-1])
            assert get(links[-1])[0] == 200
            assert len(links) == 1 or get(links[0])[0] != 200, "an older link stops working"
    carnet("user", "create", "ada@example.com")
    with serving(tmp_path, "--port", str(port)) as server:
        server.line()
        assert server.end() == (0, "", "")
    assert links[0] != links[1]


def test_what_it_makes_is_its_owners_alone(tmp_path):
    with serving(tmp_path, "--port", str(free_port()), "--data", "deep/data") as server:
        server.line()
        made = [tmp_path / "deep/data", *(tmp_path / "deep/data").iterdir()]
        assert len(made) >= 3
        assert {path.name: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in made} == {
            path.name: 0 for path in made
        }


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_its_workers(tmp_path, signum):
    with serving(tmp_path, "--port", str(free_port())) as server:
        server.line()
        workers = server.workers()
        assert len(workers) == 1
        assert server.end(signum)[0] == 0
        for worker in workers:
            gone(worker)


def test_workers_do_not_outlive_a_parent_that_was_killed(tmp_path):
    with serving(tmp_path, "--port", str(free_port())) as server:
        server.line()
        workers = server.workers()
        server.process.kill()
        for worker in workers:
            gone(worker)


def test_a_worker_that_dies_is_started_again(tmp_path):
    port = free_port()
    with serving(tmp_path, "--port", str(port)) as server:
        server.line()
        (first,) = server.workers()
        os.kill(first, signal.SIGKILL)
        gone(first)
        deadline = time.monotonic() + PATIENCE
        while True:  # until the new one listens
            assert time.monotonic() < deadline
            try:
                assert get(f"http://127.0.0.1:{port}/health/live")[0] == 200
                break
            except OSError:
                continue
        assert server.workers() != [first]


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path):
    port = free_port()
    with serving(tmp_path, "--port", str(port)) as first:
        first.line()
        with serving(tmp_path, "--port", str(port), "--data", "other") as second:
            out, err = second.process.communicate(timeout=PATIENCE)
        assert second.process.returncode == 1
        assert out == ""
        assert err == (
            f"carnet: cannot listen on 127.0.0.1:{port}: Address already in use; give another --port or --host.\n"
        )
        assert get(f"http://127.0.0.1:{port}/health/live")[0] == 200


@pytest.mark.parametrize(
    ("argv", "status", "sentence"),
    [
        (["--issuer", "http://id.example"], 2, "is plain http on a host that is not this machine"),
        (["--workers", "0"], 2, "workers is at least 1"),
        (["--data", "/proc/nowhere"], 1, "cannot be made"),
        (["--database", "postgresql://127.0.0.1:9/carnet"], 1, "the database: "),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(tmp_path, argv, status, sentence):
    with serving(tmp_path, "--port", str(free_port()), *argv) as server:
        out, err = server.process.communicate(timeout=PATIENCE)
    assert (server.process.returncode, out) == (status, "")
    assert sentence in err
    assert err.startswith("carnet: ")
    assert err.count("\n") == 1


def test_no_secret_and_no_query_reaches_the_log(tmp_path):
    port = free_port()
    canary = "canary-7Hq2"
    with serving(tmp_path, "--port", str(port), "--log-format", "json") as server:
        server.line()
        link = server.line()
        base = f"http://127.0.0.1:{port}"
        get(f"{base}/authorize?client_id=x&state={canary}&code_challenge={canary}")
        request = urllib.request.Request(
            f"{base}/token", data=f"grant_type=authorization_code&code={canary}".encode(), method="POST"
        )
        request.add_header("Authorization", f"Basic {canary}")
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=10)
        request = urllib.request.Request(f"{base}/userinfo", headers={"Authorization": f"Bearer {canary}"})
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=10)
        _, out, err = server.end()
    assert canary not in out + err
    assert link.split("invitation=")[1].strip() not in out + err
    for line in err.splitlines():
        assert {"at", "level", "logger", "message"} <= set(json.loads(line))


@pytest.fixture
def certificate(certificate_for):
    """A certificate for 127.0.0.1 that signs itself."""
    return certificate_for("127.0.0.1")


def test_with_a_certificate_it_speaks_tls_alone(tmp_path, certificate):
    port = free_port()
    tls = ("--tls-cert", "chain.pem", "--tls-key", "key.pem")
    with serving(tmp_path, "--port", str(port), *tls) as server:
        assert server.line() == f"Carnet issues at https://127.0.0.1:{port}\n"
        context = ssl.create_default_context(cafile=certificate)
        status, _, headers = get(f"https://127.0.0.1:{port}/login", context=context)
        assert status < 500
        assert "max-age=" in headers["strict-transport-security"]
        with pytest.raises((OSError, http.client.HTTPException)):
            get(f"http://127.0.0.1:{port}/login")


def test_a_key_of_another_certificate_is_said_in_one_line(tmp_path, certificate):
    other = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key.pem").write_bytes(
        other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with serving(tmp_path, "--port", str(free_port()), "--tls-cert", "chain.pem", "--tls-key", "key.pem") as server:
        out, err = server.process.communicate(timeout=PATIENCE)
    assert (server.process.returncode, out) == (1, "")
    assert err == "carnet: chain.pem and key.pem cannot be used together: key values mismatch.\n"


def test_tls_1_1_is_refused(tmp_path, certificate):
    port = free_port()
    with serving(tmp_path, "--port", str(port), "--tls-cert", "chain.pem", "--tls-key", "key.pem") as server:
        server.line()
        context = ssl.create_default_context(cafile=certificate)
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname="127.0.0.1")
