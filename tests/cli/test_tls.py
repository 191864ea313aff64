"""RFC 8446: `carnet relay` and `carnet gateway` serve over TLS where they are given a certificate."""

import ssl
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.certificates import certificate

from carnet.testing.ports import free_port
from carnet.testing.programs import running_program

EXAMPLE = Path(__file__).parents[2] / "examples/gateway/gateway.toml"
COMMANDS = {"relay": ("--issuer", "http://127.0.0.1:1"), "gateway": ("--config", str(EXAMPLE))}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    shown = certificate("CN=localhost", names={"ip": "127.0.0.1"}, usage=(ExtendedKeyUsageOID.SERVER_AUTH,))
    (folder / "cert.pem").write_bytes(shown.pem)
    (folder / "key.pem").write_bytes(shown.key_pem)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_it_serves_over_tls(files, command):
    port = free_port()
    argv = ("--port", str(port), "--tls-cert", str(files / "cert.pem"), "--tls-key", str(files / "key.pem"))
    line = (sys.executable, "-m", "carnet.cli", command, *COMMANDS[command], *argv)
    with running_program(*line, folder=files, stdout=subprocess.PIPE) as running:
        assert f" https://127.0.0.1:{port}" in running.stdout.readline().decode()
        trusting = ssl.create_default_context(cafile=files / "cert.pem")
        answer = httpx2.get(f"https://127.0.0.1:{port}/health/live", verify=trusting, trust_env=False)
        assert answer.status_code == 200
        with pytest.raises(httpx2.HTTPError):
            httpx2.get(f"http://127.0.0.1:{port}/health/live", trust_env=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_files_that_cannot_be_served_with_are_said_in_one_line(carnet, files, command):
    half = carnet(command, *COMMANDS[command], "--tls-cert", str(files / "cert.pem"))
    assert (half.status, half.err) == (2, "carnet: --tls-cert and --tls-key go together: give both.\n")
    swapped = ("--tls-cert", str(files / "key.pem"), "--tls-key", str(files / "key.pem"))
    done = carnet(command, *COMMANDS[command], *swapped)
    assert (done.status, done.err.count("\n"), "cannot be used together" in done.err) == (1, 1, True)


@pytest.mark.parametrize("option", ["--listeners", "--listeners-per-address"])
def test_a_relay_has_room_for_somebody(carnet, option):
    done = carnet("relay", "--issuer", "http://127.0.0.1:1", option, "0")
    assert (done.status, "at least 1" in done.err) == (2, True)
