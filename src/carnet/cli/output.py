"""What a command prints: JSON for machines with `--json`, plain lines for people otherwise."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from carnet.ambient import Instant


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Give a command its `--json`; `show` looks at it."""
    parser.add_argument("--json", action="store_true", help="print JSON for machines")


def show(arguments: argparse.Namespace, document: Any, text: str | Callable[[], str]) -> None:
    """Print one result: `document` as a line of JSON if `--json` was given, else `text`, which may be made only then."""
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    else:
        line = text if isinstance(text, str) else text()
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def note(line: str) -> None:
    """Tell a person something that is not the result; it goes to standard error, out of a pipe's way."""
    sys.stderr.write(line + "\n")


def table(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> str:
    """Rows under their heads in columns that are as wide as they need."""
    lines = [tuple(heads), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def facts(values: Mapping[str, str]) -> str:
    """One thing's values, a line each, with their names before them."""
    width = max(len(name) for name in values)
    return "\n".join(f"{name.ljust(width)}  {value}".rstrip() for name, value in values.items())


def date(at: Instant | None) -> str:
    """An instant as people read it, in UTC; a dash for none."""
    if at is None:
        return "-"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
