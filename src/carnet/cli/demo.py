"""`carnet demo`: runs the issuer, four services and a shop with sample people, and prints what to open."""

import argparse
import asyncio
from pathlib import Path
from typing import Any

from carnet.cli.deployment import one_line
from carnet.cli.errors import CommandError, UsageError

HIGHEST_BASE = 65_525
"""The shop's port is ten above the first one."""


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "demo",
        help="run the issuer, four services and a shop, with sample users",
        description="Run the issuer, the Warehouse, Order, Invoice and Notification services and a shop, with sample users.",
    )
    parser.add_argument(
        "--data", type=Path, default=Path("carnet-data/demo"), metavar="DIR", help="default: ./carnet-data/demo"
    )
    parser.add_argument(
        "--base-port",
        type=int,
        default=8080,
        metavar="P",
        help="the issuer's port; the services have the next four, the shop the tenth after it (default: 8080)",
    )
    parser.add_argument(
        "--access-token-lifetime",
        type=int,
        default=300,
        metavar="S",
        help="seconds, 10 or more; 30 shows the refresh sooner (default: 300)",
    )
    parser.add_argument("--json", action="store_true", help="when all is ready, print one line of JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if not 1 <= arguments.base_port <= HIGHEST_BASE:
        raise UsageError(f"--base-port is between 1 and {HIGHEST_BASE}.")
    if not 10 <= arguments.access_token_lifetime <= 900:
        raise UsageError("--access-token-lifetime is between 10 and 900 seconds.")
    try:
        from carnet.demo.processes import PartDiedError
        from carnet.demo.run import Asked, CannotStartError
        from carnet.demo.run import run as run_demo
    except ModuleNotFoundError as error:
        raise CommandError(f"the demo needs {error.name}: install carnet[demo].") from None
    asked = Asked(arguments.data, arguments.base_port, arguments.access_token_lifetime, arguments.json)
    try:
        with one_line():
            asyncio.run(run_demo(asked))
    except (CannotStartError, PartDiedError) as error:
        raise CommandError(str(error)) from None
    return 0
