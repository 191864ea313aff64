"""`carnet events`."""

import pytest

from carnet.issuer.storage.records import Event

PASSWORD = "ochre lantern under tidal glass"


@pytest.fixture
def busy(carnet):
    carnet("user", "create", "ann@example.com", "--password-stdin", stdin=PASSWORD)
    carnet("user", "set-roles", "ann@example.com", "CLERK")
    carnet("client", "create", "Job", "--client-id", "job")
    carnet("key", "rotate", "--no-wait")


def names(carnet, *options: str) -> list[str]:
    return [event["name"] for event in carnet("events", *options, "--json").json]


def test_what_has_happened_is_listed_the_newest_first(carnet, busy):
    assert names(carnet) == ["keys.rotated", "client.registered", "roles.changed", "account.created"]
    assert names(carnet, "--limit", "1") == ["keys.rotated"]
    table = carnet("events").out
    assert table.startswith("AT ")
    assert "after=CLERK" in table


def test_lines_are_found_by_what_they_say(carnet, busy):
    assert names(carnet, "--subject", "ann@example.com") == ["roles.changed", "account.created"]
    assert names(carnet, "--client-id", "job") == ["client.registered"]
    assert names(carnet, "--name", "roles.changed", "--actor", "cli") == ["roles.changed"]
    assert names(carnet, "--actor", "nobody") == []
    assert names(carnet, "--since", "2020-01-01", "--until", "2020-01-02T00:00:00Z") == []
    assert len(names(carnet, "--since", "2020-01-01")) == 4


def test_a_line_says_by_which_app_an_administrator_did_it(carnet, at_store):
    carnet("key", "list")
    line = Event(at=1_795_000_000, name="key.retired", actor="ann", actor_client_id="desk")
    at_store(lambda store: store.events.add(line))
    assert "  ann by desk  " in carnet("events").out
    assert carnet("events", "--json").json[0]["actor_client_id"] == "desk"


@pytest.mark.parametrize("options", [("--since", "yesterday"), ("--limit", "0")])
def test_wrong_use_is_one_line(carnet, options):
    done = carnet("events", *options)
    assert (done.status, done.err.count("\n")) == (2, 1)
