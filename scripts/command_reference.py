"""Writes docs/reference/command.md from the command's own descriptions. `--check` exits 1 if the page is not up to date."""

import argparse
import os
import sys
from collections.abc import Iterator

from generated import publish

from carnet.cli import COMMANDS, build_parser

HEAD = """# The command

`make docs` writes this page from `carnet --help`; do not edit it.

- Every command takes `--json` for machines and prints for people otherwise; errors are one line on standard error.
- Exit status: 0, or 1 when what was asked could not be done or a check failed, or 2 when the command was used in a wrong way.
- Settings come from the command line, then `CARNET_*` variables, then `carnet.toml`: see [configuration](configuration.md).
- Passwords are read from standard input, never from the command line.
"""


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers that do something, in the order of `--help`."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001 — argparse names them nowhere else
    if not inner:
        yield parser
    for action in inner:
        for child in action.choices.values():
            yield from parsers(child)


def page() -> str:
    """The whole page."""
    os.environ["COLUMNS"] = "100"
    parts = [
        f"\n## {parser.prog}\n\n```text\n{parser.format_help().rstrip()}\n```\n"
        for parser in parsers(build_parser(COMMANDS))
    ]
    return HEAD + "".join(parts)


if __name__ == "__main__":
    sys.exit(publish("docs/reference/command.md", page()))
