"""`carnet gateway` and `carnet token explain`: what they say of a settings file, and why a token is refused."""

import json
from pathlib import Path

import pytest

from carnet.jose import KeySet, SigningKey
from carnet.jose.strict_json import encode_object
from carnet.testing.issuer import FakeIssuer

EXAMPLE = Path(__file__).parents[2] / "examples/gateway/gateway.toml"
ISSUER = FakeIssuer("https://id.example", audience="orders")


@pytest.fixture
def keys(tmp_path) -> str:
    file = tmp_path / "keys.json"
    file.write_bytes(encode_object(KeySet([ISSUER.key.public()]).to_jwks()))
    return str(file)


@pytest.fixture
def explain(carnet, keys):
    def explain(token: str, *argv: str):
        return carnet("token", "explain", token, "--guard-config", str(EXAMPLE), "--key", keys, *argv)

    return explain


def test_a_token_that_would_pass_is_explained_step_by_step(explain):
    done = explain(ISSUER.token(scope="orders:read"), "--path", "/orders/7")
    assert done.status == 0
    first, *_, last = done.out.splitlines()
    assert (first, last) == ("request: GET /orders/7 on localhost", "Let through.")
    assert "scope orders:read: holds" in done.out


def test_a_whole_authorization_header_will_do(explain):
    assert explain(f"Authorization: Bearer {ISSUER.token()}").status == 0


@pytest.mark.parametrize(
    ("asked", "argv", "code", "status"),
    [
        ({"roles": "CLERK"}, ["--path", "/admin"], "role_missing", 403),
        ({"scope": "orders:read"}, ["--path", "/orders", "--method", "POST"], "scope_missing", 403),
        ({"scope": "orders:write"}, ["--path", "/payments"], "authentication_too_old", 401),
        ({"expires_in": -600}, ["--path", "/orders"], "expired", 401),
        ({"audience": "invoices"}, [], "audience_mismatch", 401),
        ({}, ["--path", "//orders"], "path_not_canonical", 400),
        ({}, ["--host", "STATUS.example", "--path", "/orders"], "no_rule", 403),
    ],
)
def test_a_refusal_is_explained_with_its_code_and_what_the_caller_is_told(explain, asked, argv, code, status):
    token = ISSUER.token(**asked)
    done = explain(token, *argv)
    assert done.status == 1
    assert done.out.splitlines()[-1].startswith(f"Refused ({code}): the caller is told {status}")
    document = json.loads(explain(token, *argv, "--json").out)
    assert (document["allowed"], document["code"], document["status"]) == (False, code, status)
    assert token not in done.out


def test_another_issuer_can_take_the_place_of_the_one_in_the_settings(explain):
    other = FakeIssuer("https://other.example", audience="orders")
    other.keys = ISSUER.keys
    assert explain(other.token()).status == 1
    assert explain(other.token(), "--issuer", "https://other.example").status == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "gateway.toml: Object missing required field"), ("isuer = 1", "isuer"), ("a = [", "is not TOML")],
)
def test_a_settings_file_that_cannot_be_used_exits_2_with_one_line(carnet, tmp_path, content, said):
    file = tmp_path / "gateway.toml"
    file.write_text(content)
    for argv in (["gateway", "--config", str(file)], ["token", "explain", "x", "--guard-config", str(file)]):
        done = carnet(*argv)
        assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
        assert said in done.err


@pytest.mark.parametrize("argv", [["--port", "0"], ["--port", "70000"], ["--workers", "0"], ["--workers", "many"], []])
def test_wrong_use_of_the_gateway_exits_2(carnet, argv):
    done = carnet("gateway", *(["--config", str(EXAMPLE), *argv] if argv else []))
    assert done.status == 2


def test_a_key_that_cannot_verify_is_said_so(carnet, tmp_path):
    file = tmp_path / "key.json"
    file.write_bytes(encode_object(SigningKey.from_secret(b"s" * 32, alg="HS256").to_jwk()))
    done = carnet("token", "explain", ISSUER.token(), "--guard-config", str(EXAMPLE), "--key", str(file))
    assert done.status == 1
    assert done.out.splitlines()[-1].startswith("Refused (unknown_key)")
