"""`carnet relay`: carries an issuer's revocation feed on to guards, so that thousands do not all hang on the issuer."""

from argparse import Namespace
from functools import partial
from typing import Any

from carnet.cli import certificate
from carnet.cli.errors import UsageError
from carnet.cli.server import DRAIN, Listening, end_with_parent, refuse_taken_port, serve


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "relay",
        help="carry an issuer's revocation feed on to guards",
        description="Follow an issuer's revocation feed and serve it to guards, which take what is signed and nothing else. "
        "Guards name it in Revocation(relay=URL).",
    )
    parser.add_argument("--issuer", metavar="URL", required=True, help="the issuer whose feed it carries")
    parser.add_argument("--upstream", metavar="URL", help="another relay to follow (default: the issuer itself)")
    parser.add_argument("--host", metavar="H", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", metavar="P", type=int, default=8070, help="port to listen on (default: %(default)s)")
    certificate.add_options(parser)
    parser.add_argument(
        "--listeners", metavar="N", type=int, default=10_000, help="how many may listen at once (default: %(default)s)"
    )
    parser.add_argument(
        "--listeners-per-address",
        metavar="N",
        type=int,
        default=1_000,
        help="how many of them from one address (default: %(default)s)",
    )
    parser.add_argument("--name", metavar="N", help="as it names itself where it listens (default: relay and a number)")
    parser.add_argument(
        "--log-format", metavar="F", choices=("plain", "json"), default="plain", help="plain or json (default: plain)"
    )
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    from carnet.feed.roster import checked_name
    from carnet.guard.metadata import MetadataError, metadata_urls

    try:
        metadata_urls(arguments.issuer)
        if arguments.name is not None:
            checked_name(arguments.name)
    except (MetadataError, ValueError) as error:
        raise UsageError(str(error)) from None
    if not 0 < arguments.port < 65_536:
        raise UsageError(f"port {arguments.port} is not between 1 and 65535.")
    if min(arguments.listeners, arguments.listeners_per_address) < 1:
        raise UsageError("--listeners and --listeners-per-address are at least 1.")
    scheme = certificate.check_options(arguments)
    listening = Listening(
        arguments.host,
        arguments.port,
        log_format=arguments.log_format,
        tls_cert=arguments.tls_cert,
        tls_key=arguments.tls_key,
    )
    refuse_taken_port(listening)
    upstream = None if arguments.upstream is None else arguments.upstream.rstrip("/")
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    line = f"Carnet relays {arguments.issuer} at {scheme}://{host}:{arguments.port}"
    limits = (arguments.listeners, arguments.listeners_per_address)
    return serve(listening, partial(load, arguments.issuer, upstream, arguments.name, limits), [line])


def load(issuer: str, upstream: str | None, name: str | None, limits: tuple[int, int]) -> Any:
    """Make the ASGI application, in the worker's process."""
    from carnet.outlet import Limits
    from carnet.relay import Relay, create_relay_app

    end_with_parent()
    return create_relay_app(Relay(issuer, upstream=upstream, name=name, limits=Limits(*limits)), drain=DRAIN)
