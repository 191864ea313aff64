"""`carnet scope`: scope values, what people read of them, and the claims that they show."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from carnet.cli.definition import add_commands
from carnet.cli.errors import UsageError

if TYPE_CHECKING:
    from carnet.issuer.definition import ScopeDefinition


def add(subparsers: Any) -> None:
    add_commands(subparsers, "scope", "scope values: what people read of them, and what they show", _options, _read)


def _options(define: ArgumentParser) -> None:
    define.add_argument(
        "--description",
        metavar="LANGUAGE=TEXT",
        dest="descriptions",
        action="append",
        default=[],
        help="what people read on the consent page, such as 'en=See your orders'; may be repeated",
    )
    define.add_argument(
        "--claim",
        metavar="C",
        dest="claims",
        action="append",
        default=[],
        help="claim of a person that it shows; may be repeated",
    )


def _read(arguments: Namespace) -> "ScopeDefinition":
    from carnet.issuer.definition import ScopeDefinition

    descriptions = {}
    for given in arguments.descriptions:
        language, sign, text = given.partition("=")
        if not sign:
            raise UsageError(f"--description {given!r}: write the language before it, such as 'en={given}'.")
        descriptions[language] = text
    return ScopeDefinition(name=arguments.name, description=descriptions, claims=tuple(arguments.claims))
