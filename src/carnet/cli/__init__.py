"""The `carnet` command: reads what was asked, finds the command's module and runs it."""

import difflib
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from carnet import __version__
from carnet.cli.errors import CommandError, UsageError
from carnet.cli.parser import Parser

COMMANDS = (
    "serve",
    "demo",
    "relay",
    "gateway",
    "user",
    "client",
    "scope",
    "claim",
    "audience",
    "key",
    "revocations",
    "streams",
    "events",
    "openapi",
    "token",
    "jwk",
    "doctor",
    "migrate",
    "backup",
    "restore",
)
"""Each is a module here with `add(subparsers)`, which describes the command and sets `run`: what does it and gives the
exit status. Only the module of the command that was asked for is loaded, so that `carnet token` needs no server."""


def build_parser(commands: Sequence[str]) -> Parser:
    """The grammar of these commands."""
    parser = Parser(prog="carnet", description="Identity for distributed Python systems: issuer, tokens and guards.")
    parser.add_argument("--version", action="version", version=f"carnet {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name in commands:
        import_module(f"carnet.cli.{name}").add(subparsers)
    return parser


def _parse(argv: Sequence[str]) -> Namespace:
    first = argv[0] if argv else "--help"
    if first in COMMANDS:
        return build_parser((first,)).parse_args(argv)
    if first.startswith("-"):
        return build_parser(COMMANDS).parse_args(argv or ["--help"])
    near = difflib.get_close_matches(first, COMMANDS, n=1)
    meant = f"did you mean {near[0]}?" if near else f"the commands are {', '.join(COMMANDS)}."
    raise UsageError(f"{first!r} is not a command: {meant}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the answer is the exit status: 0, 1 when it failed, 2 when it was used in a wrong way."""
    try:
        arguments = _parse(sys.argv[1:] if argv is None else argv)
        run: Callable[[Namespace], Any] = arguments.run
        return int(run(arguments))
    except CommandError as error:
        sys.stderr.write(f"carnet: {error}\n")
        return error.status
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "carnet":
            raise
        sys.stderr.write(f"carnet: this command needs the package {error.name}: install carnet[issuer].\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe has had enough: `carnet user list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
