"""`carnet key`."""


def test_the_first_key_signs(carnet):
    (key,) = carnet("key", "list", "--json").json
    assert (key["state"], key["alg"], key["retires_at"]) == ("signs", "ES256", None)


def test_a_rotated_key_is_published_before_it_signs(carnet):
    (first,) = carnet("key", "list", "--json").json
    fresh = carnet("key", "rotate", "--json").json
    assert fresh["state"] == "next"
    assert fresh["signs_from"] - fresh["created_at"] == 600
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
