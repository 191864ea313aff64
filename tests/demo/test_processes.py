"""The demo as a whole: it starts, says what to open, and ends without leaving anything behind, however it ends."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading

import httpx2
import pytest

from carnet.demo import parts
from carnet.testing.ports import free_base_port
from carnet.testing.running import running_demo

PATIENCE = 30


def gone(pids) -> bool:
    """Whether these processes end, waited for by their pidfds."""
    poll = select.poll()
    descriptors = []
    for pid in pids:
        try:
            descriptors.append(os.pidfd_open(pid))
        except ProcessLookupError:
            continue
    try:
        waiting = set(descriptors)
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
        while waiting:
            ended = poll.poll(PATIENCE * 1000)
            if not ended:
                return False
            for descriptor, _ in ended:
                poll.unregister(descriptor)
                waiting.discard(descriptor)
        return True
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def test_each_part_is_a_process_of_its_own_on_its_own_port(demo):
    assert list(demo.processes) == list(parts.NAMES)
    assert len(set(demo.processes.values())) == len(parts.NAMES)
    assert len(set(demo.urls.values())) == len(parts.NAMES)
    for name in parts.SERVICES:
        assert httpx2.get(demo.urls[name] + "/health", trust_env=False).status_code == 200


def test_the_data_is_its_owners_alone(demo):
    for path in (demo.data / "issuer", demo.data / "logs", demo.data / "carnet.toml"):
        assert path.stat().st_mode & 0o077 == 0


def test_the_logs_hold_no_secret(demo, user_tokens):
    secrets = [user_tokens[name] for name in ("access_token", "refresh_token", "id_token")]
    secrets += [account["password"] for account in demo.accounts]
    written = "".join(file.read_text(errors="replace") for file in (demo.data / "logs").iterdir())
    assert not [secret for secret in secrets if secret in written]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_with_status_0(tmp_path, signum):
    with running_demo(tmp_path / "demo") as demo:
        demo.process.send_signal(signum)
        assert demo.process.wait(PATIENCE) == 0
        assert gone(demo.processes.values())
        assert not any(parts.taken(int(url.rpartition(":")[2])) for url in demo.urls.values())


def test_when_one_part_dies_the_demo_says_which_and_ends_all(tmp_path):
    with running_demo(tmp_path / "demo") as demo:
        os.kill(demo.processes["invoice"], signal.SIGKILL)
        assert demo.process.wait(PATIENCE) == 1
        said = demo.log.read_text()
        assert "Invoice ended with status -9" in said
        assert "Traceback" not in said
        assert gone(demo.processes.values())


def test_when_the_demo_itself_is_killed_no_part_outlives_it(tmp_path):
    with running_demo(tmp_path / "demo") as demo:
        demo.process.kill()
        assert gone(demo.processes.values())
        assert not any(parts.taken(int(url.rpartition(":")[2])) for url in demo.urls.values())


def test_a_second_start_keeps_the_people_and_shows_no_passwords(tmp_path):
    with running_demo(tmp_path / "demo") as first:
        assert all(account["password"] for account in first.accounts)
        people = first.command("user", "list")
    with running_demo(tmp_path / "demo") as second:
        assert not any(account["password"] for account in second.accounts)
        assert second.command("user", "list") == people


def demo_command(*options: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "carnet.cli", "demo", *options)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)


def test_a_taken_port_is_said_in_one_line(tmp_path):
    base = free_base_port()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", base + 2))
        squatter.listen()
        done = demo_command("--data", str(tmp_path / "demo"), "--base-port", str(base))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"port {base + 2}, which the order would have, is taken" in done.stderr
    assert "--base-port" in done.stderr
    assert not (tmp_path / "demo").exists()


def test_a_second_demo_on_the_same_data_is_refused_in_one_line(demo):
    done = demo_command("--data", str(demo.data), "--base-port", str(free_base_port()))
    assert done.returncode == 1
    assert done.stderr == f"carnet: another demo runs on {demo.data}: end it, or give another --data.\n"


def test_a_data_directory_that_cannot_be_made_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    done = demo_command("--data", str(tmp_path / "file" / "demo"), "--base-port", str(free_base_port()))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--base-port", "0"),
        ("--base-port", "65530"),
        ("--base-port", "many"),
        ("--access-token-lifetime", "5"),
        ("--access-token-lifetime", "90000"),
        ("--nonsense",),
        ("surplus",),
    ],
)
def test_wrong_use_gets_one_line_and_status_2(options):
    done = demo_command(*options)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_people_are_told_what_to_open_and_with_which_passwords(tmp_path):
    """The command as it is typed, without --json."""
    command = (sys.executable, "-m", "carnet.cli", "demo", "--data", str(tmp_path / "demo"))
    with subprocess.Popen(
        (*command, "--base-port", str(free_base_port())), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        said: list[str] = []
        limit = threading.Timer(60, process.kill)
        limit.start()
        for line in process.stdout:
            said.append(line)
            if "Ctrl-C" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(PATIENCE) == 0
        limit.cancel()
    text = "".join(said)
    for title in ("Database", "Issuer", "Warehouse", "Order", "Invoice", "Notification", "Shop"):
        assert f"✓ {title}" in text
    assert "Open  http://127.0.0.1:" in text
    assert "ada@windrose.example" in text
    assert "Ending everything." in rest
