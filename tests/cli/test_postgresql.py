"""The command on a PostgreSQL database: several workers, the doctor's look at its clock, the end of everything after pg_restore."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from carnet.testing.ports import free_port

from .test_serve import get, serving

pytestmark = pytest.mark.postgresql

PASSWORD = "seven odd walruses hum"


@pytest.fixture
def database(deployment, monkeypatch, postgresql_url):
    monkeypatch.setenv("CARNET_DATABASE", postgresql_url)
    return postgresql_url


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def where(request):
    """The options that choose the store."""
    return () if request.param == "SQLite" else ("--database", request.getfixturevalue("database"))


def test_several_workers_serve_one_port(tmp_path, where):
    port = free_port()
    argv = ("--port", str(port), "--workers", "2", *where)
    with serving(tmp_path, *argv) as server:
        assert server.line() == f"Carnet issues at http://127.0.0.1:{port}\n"
        assert len(server.workers()) == 2
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: get(f"http://127.0.0.1:{port}/jwks"), range(32)))
        assert {status for status, _, _ in answers} == {200}
        assert len({json.loads(body)["keys"][0]["kid"] for _, body, _ in answers}) == 1
        link = server.line().split()[-1]
        assert get(link)[0] == 200
        assert server.end()[0] == 0


def test_the_database_is_no_file(carnet, database, deployment):
    carnet("user", "create", "ben@example.com")
    assert [account["email"] for account in carnet("user", "list", "--json").json] == ["ben@example.com"]
    assert not (deployment / "carnet.db").exists()


def test_a_sound_deployment_gets_no_remark(carnet, database):
    carnet("user", "create", "ada@example.com", "--role", "ADMIN", "--password-stdin", stdin=PASSWORD)
    findings = carnet("doctor", "--json").json
    assert {finding["verdict"] for finding in findings} == {"good"}
    assert {"database", "clock", "keys"} <= {finding["subject"] for finding in findings}


def test_after_pg_restore_everything_ends(carnet, database):
    carnet("user", "create", "ben@example.com")
    done = carnet("restore", "--json").json
    assert done == {"accounts": 1, "kept": None}
