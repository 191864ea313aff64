"""`carnet key`."""

import pytest

from carnet.cli.key import until_it_signs
from carnet.issuer.app import open_desk
from carnet.issuer.config import Config
from carnet.issuer.storage.records import FeedReport, Lacking
from carnet.testing import Clock


def test_the_first_key_signs(carnet):
    (key,) = carnet("key", "list", "--json").json
    assert (key["state"], key["alg"], key["retires_at"]) == ("signs", "ES256", None)


def test_a_rotated_key_is_published_before_it_signs(carnet):
    (first,) = carnet("key", "list", "--json").json
    fresh = carnet("key", "rotate", "--no-wait", "--json").json
    assert fresh["state"] == "next"
    assert fresh["ready_from"] - fresh["created_at"] == 600
    assert fresh["signs_from"] - fresh["ready_from"] == 3600
    keys = {key["kid"]: key for key in carnet("key", "list", "--json").json}
    assert (keys[first["kid"]]["state"], keys[fresh["kid"]]["state"]) == ("signs", "next")
    assert keys[first["kid"]]["retires_at"] > fresh["signs_from"]


def test_a_compromised_key_is_replaced_at_once(carnet):
    (first,) = carnet("key", "list", "--json").json
    done = carnet("key", "retire", first["kid"], "--compromised", "--json").json
    assert done == {"kid": first["kid"], "retired": True, "compromised": True}
    states = {key["kid"]: key["state"] for key in carnet("key", "list", "--json").json}
    assert states.pop(first["kid"]) == "compromised"
    assert list(states.values()) == ["signs"]


def test_an_unknown_key_is_not_retired(carnet):
    done = carnet("key", "retire", "nobody")
    assert (done.status, "There is no key 'nobody'" in done.err) == (1, True)


def test_the_wrong_secret_key_is_said_in_one_line(carnet, monkeypatch):
    carnet("key", "list")
    monkeypatch.setenv("CARNET_SECRET_KEY", "x" * 43)
    done = carnet("key", "list")
    assert done.status == 1
    assert done.err.startswith("carnet: the signing keys were sealed under another secret key")
    assert done.err.count("\n") == 1


def test_after_the_secret_key_was_changed_the_keys_are_given_up(carnet, monkeypatch):
    (first,) = carnet("key", "list", "--json").json
    monkeypatch.setenv("CARNET_SECRET_KEY", "x" * 43)
    reset = carnet("key", "reset", "--json").json
    assert reset["given_up"] == 1
    states = {key["kid"]: key["state"] for key in carnet("key", "list", "--json").json}
    assert states == {first["kid"]: "compromised", reset["kid"]: "signs"}


def test_a_short_secret_key_is_refused(carnet, monkeypatch):
    monkeypatch.setenv("CARNET_SECRET_KEY", "guessable")
    done = carnet("key", "list")
    assert done.status == 2
    assert "has fewer than 43 characters" in done.err
    assert "guessable" not in done.err


def test_a_rotation_says_by_when_the_key_signs(carnet):
    said = carnet("key", "rotate", "--no-wait").out
    assert "once all guards that listen hold it" in said
    assert "nobody" in carnet("key", "list").out


def test_a_rotation_can_be_told_when_the_key_signs(carnet):
    fresh = carnet("key", "rotate", "--after", "0", "--json").json
    assert (fresh["state"], fresh["signs_from"], fresh["ready_from"]) == ("signs", fresh["created_at"], None)
    later = carnet("key", "rotate", "--after", "90", "--no-wait")
    assert "signs from" in later.out
    done = carnet("key", "rotate", "--after", "-1")
    assert (done.status, "--after is a number of seconds" in done.err) == (2, True)


@pytest.mark.anyio
async def test_a_rotation_waits_and_says_for_whom(tmp_path, capsys):
    clock = Clock()
    desk = await open_desk(Config(data=tmp_path), clock.ambient, secret=b"s" * 43)
    fresh = await desk.keyring.rotate()
    kids = await desk.keyring.token_kids()
    lack = [Lacking(count=2, names=("orders 1",)), Lacking(count=0, names=())]

    async def pause(seconds):
        clock.advance(300)
        keys = dict.fromkeys(kids, Lacking(count=0, names=())) | {fresh.kid: lack[0]}
        await desk.store.feed_reports.put(FeedReport(node="n1", told_at=clock.now(), keys=keys))
        if clock.now() >= fresh.ready_from + 300:
            lack.reverse()

    signing = await until_it_signs(desk.keyring, fresh, clock.ambient, pause)
    desk.passwords.close()
    await desk.store.close()
    assert (signing.kid, signing.ready_from) == (fresh.kid, None)
    assert fresh.ready_from <= signing.signs_from < fresh.signs_from
    caches, guards = capsys.readouterr().err.splitlines()
    assert "caches of the key set have it by" in caches
    assert guards.startswith("Not acknowledged by orders 1 and 1 more; it signs at")


def test_keys_that_clients_have_asked_for_are_rotated_with_the_others(carnet, tmp_path):
    (tmp_path / "more.json").write_text('{"id_token_signed_response_alg": "RS256"}')
    carnet("client", "create", "App", "--redirect-uri", "https://app.example/cb", "--metadata", "more.json")
    keys = {key["alg"]: key for key in carnet("key", "list", "--json").json}
    assert {alg: (key["use"], key["state"]) for alg, key in keys.items()} == {
        "ES256": ("sig", "signs"),
        "RS256": ("sig", "signs"),
    }
    done = carnet("key", "rotate", "--no-wait", "--json").json
    assert (done["alg"], [other["alg"] for other in done["others"]]) == ("ES256", ["RS256"])
    assert "RS256" in carnet("key", "rotate", "--no-wait").out


def test_keys_to_encrypt_to_are_made_when_the_settings_name_their_algorithms(carnet, tmp_path):
    (tmp_path / "carnet.toml").write_text('encryption_algorithms = ["ECDH-ES"]\n')
    keys = carnet("key", "list", "--config", "carnet.toml", "--json").json
    assert sorted((key["alg"], key["use"], key["state"]) for key in keys) == [
        ("ECDH-ES", "enc", "published"),
        ("ES256", "sig", "signs"),
    ]
