"""`carnet revocations` and `carnet relay`: what the command shows of the feed, and what it refuses."""

import json
import subprocess
import sys

import pytest
from msgspec.structs import replace

from carnet.cli import revocations
from carnet.issuer.storage.records import FeedListener, FeedReport
from carnet.testing.running import running_issuer


def test_the_list_names_what_was_taken_back_with_its_marks(carnet):
    assert carnet("revocations", "list").out.split() == ["NUMBER", "KIND", "NAME", "REFUSES", "MARK", "UNTIL"]
    subject = carnet("user", "create", "ada@example.com", "--json").json["subject"]
    carnet("user", "sign-out", "ada@example.com")
    (entry,) = carnet("revocations", "list", "--json").json
    assert (entry["sequence"], entry["kind"], entry["value"], entry["epoch"]) == (1, "subject", subject, 1)
    assert int(entry["mark"], 16) < 2**64
    line = carnet("revocations", "list").out.splitlines()[1]
    assert line.split()[:3] == ["1", "subject", subject]
    assert "sep < 1" in line


def test_what_comes_from_the_issuer_of_the_settings_is_printed_as_it_comes(tmp_path):
    with running_issuer(tmp_path) as running:
        running.command("user", "create", "ada@example.com")
        settings = tmp_path / "elsewhere.toml"
        settings.write_text(f'issuer = "{running.url}"\n')
        command = [sys.executable, "-m", "carnet.cli", "revocations", "tail", "--config", str(settings), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail:
            try:
                lines = map(json.loads, tail.stdout)
                assert next(lines)["is"] == "snapshot"
                assert next(lines)["is"] == "heartbeat"
                running.command("user", "sign-out", "ada@example.com")
                entry = next(line for line in lines if line["is"] == "entry")
            finally:
                tail.terminate()
        (listed,) = running.command("revocations", "list")
    assert {name: entry[name] for name in ("sequence", "mark", "epoch", "expires_at")} == {
        name: listed[name] for name in ("sequence", "mark", "epoch", "expires_at")
    }


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["relay"], "the following arguments are required: --issuer"),
        (["relay", "--issuer", "http://id.example"], "plain http to another machine"),
        (["relay", "--issuer", "https://id.example", "--port", "0"], "port 0 is not between 1 and 65535"),
        (["relay", "--issuer", "https://id.example", "--name", "\u00e9"], "is not 1 to 80 printable ASCII characters"),
        (["revocations", "tail", "--issuer", "ftp://id.example"], "is not an https URL"),
    ],
)
def test_wrong_use_exits_2_with_one_line(carnet, argv, sentence):
    done = carnet(*argv)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert sentence in done.err


def test_who_listens_is_said_when_it_changes():
    one = FeedListener(name="orders 1", since=5, told_at=9, behind=0, lacks=0)
    report = FeedReport(node="n1", told_at=9, listeners=(one,))
    seen, new = revocations.changed({}, [report])
    assert [(line["name"], line["behind"], line["gone"]) for line in new] == [("orders 1", 0, False)]
    seen, later = revocations.changed(seen, [replace(report, listeners=(replace(one, told_at=14),))])
    assert later == [], "the time alone is no news"
    relay = replace(one, name="relay 1", guards=40, behind=None, lacks=1)
    seen, more = revocations.changed(seen, [replace(report, listeners=(replace(one, behind=2), relay))])
    assert [revocations._described(line) for line in more] == [
        "orders 1: 2 behind, holds all keys, at node n1",
        "relay 1: follows another stream, lacks 1 keys, for 40, at node n1",
    ]
    _, gone = revocations.changed(seen, [])
    assert [revocations._described(line) for line in gone] == ["orders 1 is gone", "relay 1 is gone"]
