"""`carnet audience`: resource servers, their scope values, and how long access tokens for them live."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from carnet.cli.definition import add_commands

if TYPE_CHECKING:
    from carnet.issuer.definition import AudienceDefinition


def add(subparsers: Any) -> None:
    add_commands(
        subparsers, "audience", "services that tokens are for: their scope values and lifetimes", _options, _read
    )


def _options(define: ArgumentParser) -> None:
    define.add_argument("--description", metavar="TEXT", default="", help="for administrators")
    define.add_argument(
        "--scope",
        metavar="S",
        dest="scopes",
        action="append",
        default=[],
        help="scope value that is its own: no token for others alone has it; may be repeated",
    )
    define.add_argument(
        "--access-token-lifetime", metavar="SECONDS", type=int, help="no access token for it lives longer"
    )


def _read(arguments: Namespace) -> "AudienceDefinition":
    from carnet.issuer.definition import AudienceDefinition

    return AudienceDefinition(
        name=arguments.name,
        description=arguments.description,
        scopes=tuple(arguments.scopes),
        access_token_lifetime=arguments.access_token_lifetime,
    )
