"""`carnet claim`: claims of a person that come from an account's attributes."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from carnet.cli.definition import add_commands

if TYPE_CHECKING:
    from carnet.issuer.definition import ClaimDefinition


def add(subparsers: Any) -> None:
    add_commands(subparsers, "claim", "claims of people that come from their accounts' attributes", _options, _read)


def _options(define: ArgumentParser) -> None:
    define.add_argument("--attribute", metavar="A", required=True, help="the account's attribute that it tells")


def _read(arguments: Namespace) -> "ClaimDefinition":
    from carnet.issuer.definition import ClaimDefinition

    return ClaimDefinition(name=arguments.name, attribute=arguments.attribute)
