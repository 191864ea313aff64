"""`carnet doctor`: each weakness of a deployment is said with what mends it."""

import json
import re

import pytest
from tests.certificates import Authority

from carnet.cli import doctor

PASSWORD = "seven odd walruses hum"


@pytest.fixture
def verdicts(carnet):
    def run(*argv: str) -> dict[str, str]:
        done = carnet("doctor", "--json", *argv)
        assert done.status in {0, 1}, done.err
        findings = json.loads(done.out)
        assert done.status == int(any(finding["verdict"] == "bad" for finding in findings))
        return {finding["subject"]: f"{finding['verdict']}: {finding['sentence']}" for finding in findings}

    return run


@pytest.fixture
def sound(carnet):
    carnet("user", "create", "ada@example.com", "--role", "ADMIN", "--password-stdin", stdin=PASSWORD)


def test_a_sound_deployment_gets_no_remark(carnet, sound, verdicts):
    assert {verdict.partition(":")[0] for verdict in verdicts().values()} == {"good"}
    assert carnet("doctor").status == 0


def test_a_deployment_that_is_not_there_yet_is_no_mistake(verdicts):
    assert verdicts()["database"].startswith("warning: there is none yet")


def test_settings_that_cannot_be_read_are_a_finding(verdicts):
    assert verdicts("--port", "0") == {"settings": "bad: port 0 is not between 1 and 65535."}


def test_a_language_that_no_page_speaks_is_a_finding(verdicts, monkeypatch):
    monkeypatch.setenv("CARNET_LANGUAGE", "xx")
    assert verdicts()["settings"].startswith("bad: language 'xx' is none of de, en,")


@pytest.mark.parametrize(("path", "mend"), [("", "700"), ("carnet.db", "600"), ("secret.key", "600")])
def test_a_file_that_others_can_read_is_named(carnet, sound, deployment, path, mend):
    (deployment / path).chmod(0o755)
    done = carnet("doctor")
    assert done.status == 1
    named = f"carnet-data/{path}".rstrip("/")
    assert f"BAD      files: {named} is open to others (mode 755): run `chmod {mend} {named}`." in done.out


def test_a_lost_secret_key_is_named(sound, verdicts, deployment):
    (deployment / "secret.key").unlink()
    assert "neither CARNET_SECRET_KEY nor carnet-data/secret.key is there" in verdicts()["keys"]


def test_another_secret_key_is_named(sound, verdicts, monkeypatch):
    monkeypatch.setenv("CARNET_SECRET_KEY", "x" * 43)
    assert verdicts()["keys"].startswith("bad: the signing keys were sealed under another secret key")


def test_a_clock_that_was_set_back_is_named(sound, verdicts, monkeypatch):
    now = doctor.SYSTEM.now()
    monkeypatch.setattr(doctor, "SYSTEM", doctor.SYSTEM._replace(now=lambda: now - 3600))
    said = re.match(r"bad: this machine's clock is (\d+) s away from the database's", verdicts()["clock"])
    assert said
    assert 3500 <= int(said[1]) <= 3600  # less what has passed since the newest event


def test_that_nobody_administers_is_a_warning(carnet, verdicts):
    carnet("user", "create", "ben@example.com", "--password-stdin", stdin=PASSWORD)
    assert verdicts()["administrator"].startswith("warning: nobody with the role ADMIN can sign in")


def test_clients_whose_requests_may_have_neither_pkce_nor_a_nonce_are_named(carnet, sound, verdicts):
    uri = ("--redirect-uri", "https://app.example/cb")
    carnet("client", "create", "Old", "--client-id", "old", *uri, "--pkce", "or_nonce")
    assert verdicts()["pkce"] == "good: no client's requests may have neither PKCE nor a nonce."
    carnet("client", "create", "A", "--client-id", "a", *uri, "--pkce", "optional")
    said = verdicts()["pkce"]
    assert said.startswith("warning: a: With pkce optional its requests may have neither PKCE nor a nonce")
    assert "RFC 9700 section 4.5" in said
    carnet("client", "create", "B", "--client-id", "b", *uri, "--pkce", "optional")
    assert verdicts()["pkce"].startswith("warning: a and 1 more: With pkce optional")


def test_a_damaged_database_is_named_and_does_not_end_the_look(sound, verdicts, deployment):
    for path in deployment.glob("carnet.db*"):
        path.write_bytes(b"not a database at all" * 100)
    assert verdicts()["database"].startswith("bad: the database: ")


def test_every_look_says_one_thing(sound, verdicts):
    assert {look.__name__.strip("_") for look in doctor.STORE_LOOKS} <= set(verdicts())


def test_a_certificate_without_its_key_is_named(sound, verdicts, tmp_path):
    for name in ("chain.pem", "key.pem"):
        (tmp_path / name).write_text("nonsense")
    found = verdicts("--tls-cert", "chain.pem", "--tls-key", "key.pem", "--issuer", "https://id.example")
    assert found["tls"].startswith("bad: chain.pem and key.pem cannot be used together")


def test_authorities_of_clients_that_cannot_be_used_are_named(sound, verdicts, tmp_path):
    options = ("--tls-client-ca", "ca.pem", "--mtls-port", "8443", "--tls-cert", "chain.pem", "--tls-key", "key.pem")
    for name in ("chain.pem", "key.pem", "ca.pem"):
        (tmp_path / name).write_text("nonsense")
    found = verdicts(*options, "--issuer", "https://id.example")
    assert found["client certificates"].startswith("bad: ca.pem cannot be used: ")
    (tmp_path / "ca.pem").write_bytes(Authority().pem)
    found = verdicts(*options, "--issuer", "https://id.example")
    assert found["client certificates"] == "good: ca.pem holds authorities that are believed."
