"""`carnet openapi`: the OpenAPI description of what an issuer with these settings serves."""

from argparse import Namespace
from typing import Any

from carnet.cli import output, settings


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "openapi",
        help="the OpenAPI description of the HTTP surface",
        description="Print the OpenAPI 3.1 description of what an issuer with these settings serves, as at /api/openapi.json.",
    )
    output.add_json_option(parser)
    settings.add_storage_options(parser)
    settings.add_server_options(parser)
    parser.set_defaults(run=_openapi)


def _openapi(arguments: Namespace) -> int:
    import msgspec

    from carnet.issuer.app import served
    from carnet.issuer.openapi import description

    config = settings.load(arguments)
    document = description(config, served(config))
    output.show(arguments, document, lambda: msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
    return 0
