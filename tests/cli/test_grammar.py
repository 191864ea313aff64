"""Wrong use ends with exit 2 and one clear line; help and offline commands need no server packages."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import carnet
from carnet.cli import COMMANDS, build_parser
from carnet.cli.parser import Parser

CLI = Path(carnet.__file__).parent / "cli"


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["sreve"], "'sreve' is not a command: did you mean serve?"),
        (["quux"], "'quux' is not a command: the commands are serve, demo, "),
        (["user"], "the following arguments are required: COMMAND"),
        (["user", "crate"], "invalid choice: 'crate'"),
        (["user", "create"], "the following arguments are required: EMAIL"),
        (
            ["user", "list", "--jsn"],
            "unrecognized arguments: --jsn; the nearest is --json (see carnet user list --help)",
        ),
        (["user", "list", "--js"], "unrecognized arguments: --js"),
        (["client", "create", "Shop", "--access-token-lifetime", "long"], "invalid int value: 'long'"),
        (["key", "retire"], "the following arguments are required: KID"),
        (["serve", "--port", "eighty"], "--port: Expected `int`"),
        (["--verbose"], "the following arguments are required: COMMAND"),
    ],
)
def test_wrong_use_exits_2_with_one_line(carnet, argv, sentence):
    done = carnet(*argv)
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("carnet: ")
    assert sentence in done.err
    assert done.err.count("\n") == 1


def test_help_names_every_command(carnet):
    done = carnet("--help")
    assert done.status == 0
    assert re.findall(r"^    ([a-z]+)\s", done.out, re.MULTILINE) == list(COMMANDS)


def test_without_a_word_it_shows_the_help(carnet):
    done = carnet()
    assert (done.status, done.out) == (0, carnet("--help").out)


def test_version(carnet):
    assert carnet("--version").out == f"carnet {import_module('carnet').__version__}\n"


def test_every_module_with_a_command_is_in_the_tuple():
    described = {path.stem for path in CLI.glob("*.py") if "\ndef add(subparsers" in path.read_text()}
    assert described == set(COMMANDS)


def leaves(parser: Parser):
    inner = [action for action in parser._actions if hasattr(action, "choices") and isinstance(action.choices, dict)]
    for action in inner:
        for child in action.choices.values():
            yield from leaves(child)
    if not inner:
        yield parser


def test_every_command_but_servers_prints_json_for_machines():
    for parser in leaves(build_parser(COMMANDS)):
        if parser.prog not in {"carnet serve", "carnet relay", "carnet gateway", "carnet token sign"}:
            assert "--json" in parser.format_usage(), parser.prog


@pytest.mark.parametrize("argv", [["--help"], ["token", "inspect", "eyJhbGciOiJub25lIn0.e30."]])
def test_help_and_inspection_load_no_server_package(argv):
    source = (
        "import sys; from carnet.cli import main\n"
        f"try: main({argv!r})\n"
        "except SystemExit: pass\n"
        "print([name for name in ('starlette', 'granian', 'asyncpg', 'jinja2', 'argon2', 'httpx2') if name in sys.modules],"
        " file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def without(packages: set[str], *argv: str) -> subprocess.CompletedProcess[str]:
    """Run the command where these packages are not installed."""
    source = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {packages!r}: raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from carnet.cli import main\n"
        f"sys.exit(main({argv!r}))"
    )
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)


SERVER = {"starlette", "granian", "asyncpg", "jinja2", "argon2", "uvloop"}


def test_without_the_extra_the_server_says_what_to_install(tmp_path):
    done = without(SERVER, "user", "list", "--data", str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(": install carnet[issuer].\n")
    assert done.stderr.count("\n") == 1


def test_without_the_extra_tokens_and_keys_are_at_hand(tmp_path):
    key = tmp_path / "key.json"
    key.write_text(without(SERVER, "jwk", "generate", "--alg", "ES256").stdout)
    claims = ("--issuer", "me", "--audience", "orders")
    signed = without(SERVER, "token", "sign", '{"sub": "ben"}', "--key", str(key), *claims, "--lifetime", "60")
    assert signed.returncode == 0, signed.stderr
    verified = without(SERVER, "token", "verify", signed.stdout.strip(), "--key", str(key), *claims)
    assert verified.returncode == 0, verified.stderr
