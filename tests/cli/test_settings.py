"""Settings: command line, then CARNET_* variables, then carnet.toml, then the defaults; all of them strict."""

import argparse
from pathlib import Path

import pytest

from carnet.cli import settings
from carnet.cli.errors import UsageError
from carnet.cli.parser import Parser
from carnet.issuer.config import Config


def read(*argv: str, environ: dict[str, str] | None = None, toml: str | None = None, folder: Path) -> Config:
    parser = Parser(prog="carnet serve")
    settings.add_storage_options(parser)
    settings.add_server_options(parser)
    arguments: argparse.Namespace = parser.parse_args(list(argv))
    if toml is not None:
        arguments.config = folder / "carnet.toml"
        arguments.config.write_text(toml)
    return settings.load(arguments, environ or {})


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *argv, **layers: read(*argv, **layers, folder=tmp_path)


def test_with_nothing_at_all_the_defaults_hold(load):
    assert load() == Config()


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(load):
    layers = {"toml": "port = 1001\nhost = '::1'\nworkers = 1", "environ": {"CARNET_PORT": "1002"}}
    assert load(toml=layers["toml"]).port == 1001
    assert load(**layers).port == 1002
    assert load("--port", "1003", **layers).port == 1003
    assert load("--port", "1003", **layers).host == "::1"


def test_lifetimes_are_merged_one_by_one(load):
    lifetimes = load(
        toml="[lifetimes]\ncode = 30\naccess_token = 60", environ={"CARNET_LIFETIMES_ACCESS_TOKEN": "90"}
    ).lifetimes
    assert (lifetimes.code, lifetimes.access_token, lifetimes.id_token) == (30, 90, 300)


def test_lists_are_repeated_options_or_separated_by_commas(load):
    issuer = ("--issuer", "https://id.example")
    assert load(*issuer, "--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "::1").trusted_proxies == (
        "10.0.0.0/8",
        "::1",
    )
    environ = {"CARNET_TRUSTED_PROXIES": "10.0.0.0/8, ::1"}
    assert load(*issuer, environ=environ).trusted_proxies == ("10.0.0.0/8", "::1")


def test_the_issuer_follows_the_address_where_that_is_this_machine(load):
    assert load("--port", "9000").issuer == "http://127.0.0.1:9000"
    assert load("--host", "::1", "--port", "9000").issuer == "http://[::1]:9000"


def test_a_path_in_the_file_means_the_same_wherever_the_command_starts(load, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load(toml="data = 'kept'").data == tmp_path / "kept"


def test_the_file_may_be_named_by_a_variable(load, tmp_path):
    (tmp_path / "other.toml").write_text("port = 1234")
    assert load(environ={"CARNET_CONFIG": str(tmp_path / "other.toml")}).port == 1234


def test_the_file_in_the_working_directory_is_read_unasked(load, tmp_path):
    (tmp_path / "carnet.toml").write_text("port = 4321")
    assert load().port == 4321


def test_the_demos_own_variables_and_the_secret_key_are_no_settings(load):
    assert load(environ={"CARNET_DEMO_ORDERS": "x", "CARNET_SECRET_KEY": "y", "PATH": "/bin"}) == Config()


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ({"toml": "isuer = 'x'"}, "isuer is not a setting; the nearest is issuer."),
        (
            {"toml": "[lifetimes]\nacces_token = 3"},
            "lifetimes.acces_token is not a setting; the nearest is lifetimes.acc",
        ),
        ({"toml": "port = '80'"}, "Expected `int`, got `str` - at `$.port`"),
        ({"toml": "port = "}, "is not TOML"),
        (
            {"environ": {"CARNET_PROT": "1"}},
            "The environment: CARNET_PROT is not a setting; the nearest is CARNET_PORT.",
        ),
        ({"environ": {"CARNET_PORT": "x"}}, "CARNET_PORT: Expected `int`, got `str`"),
        ({"environ": {"CARNET_LIFETIMES_CODE": "soon"}}, "CARNET_LIFETIMES_CODE: Expected `int`"),
        ({"environ": {"CARNET_LIFETIMES_CODE": "0"}}, "lifetimes.code is at least one second."),
        ({"toml": "encryption_algorithms = ['RSA1_5']"}, "encryption_algorithms RSA1_5 is none of ECDH-ES,"),
        ({"environ": {"CARNET_CONFIG": "absent.toml"}}, "absent.toml does not exist."),
        ({"environ": {"CARNET_DATA": ""}}, "Expected the path of a file or directory"),
        ({"environ": {"CARNET_LOG_FORMAT": "xml"}}, "CARNET_LOG_FORMAT: Invalid enum value 'xml'"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(load, layers, sentence):
    with pytest.raises(UsageError) as refused:
        load(**layers)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("--port", "http"), "--port: Expected `int`, got `str`"),
        (("--port", "0"), "port 0 is not between 1 and 65535."),
        (("--prot", "80"), "unrecognized arguments: --prot 80; the nearest is --port (see carnet"),
        (("--wor", "2"), "unrecognized arguments: --wor"),
        (("--workers", "0"), "workers is at least 1"),
        (("--issuer", "http://id.example"), "is plain http on a host that is not this machine"),
        (("--issuer", "https://id.example/"), "ends with a slash"),
        (("--issuer", "https://id.example"), "needs --tls-cert and --tls-key, or --trusted-proxy"),
        (("--host", "0.0.0.0"), "listening on 0.0.0.0 needs --issuer URL"),
        (("--trusted-proxy", "10.0.0.0/8"), "behind a proxy the issuer needs --issuer URL"),
        (("--issuer", "https://id.example", "--trusted-proxy", "0.0.0.0/0"), "names every address there is"),
        (("--tls-cert", "absent.pem"), "--tls-cert and --tls-key go together"),
        (("--database", "mysql://x"), "is not a URL that starts with postgresql://"),
    ],
)
def test_a_wrong_option_is_refused_with_one_line(load, argv, sentence):
    with pytest.raises(UsageError) as refused:
        load(*argv)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
