"""`carnet gateway`: answers a proxy's question whether a request may pass, for nginx, Traefik, Caddy and Envoy."""

import signal
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carnet.cli import certificate
from carnet.cli.errors import UsageError
from carnet.cli.server import DRAIN, Listening, end_with_parent, refuse_taken_port, serve

if TYPE_CHECKING:
    from carnet.guard.gateway import GatewayConfig


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "gateway",
        help="check tokens at the ingress, for a proxy",
        description="Answer a proxy's question whether a request may pass: nginx (auth_request), Traefik (ForwardAuth), Caddy "
        "(forward_auth) and Envoy (ext_authz over HTTP). What no rule of the settings file names is refused.",
    )
    parser.add_argument("--config", metavar="FILE", type=Path, required=True, help="the gateway's settings (TOML)")
    parser.add_argument("--host", metavar="H", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", metavar="P", type=int, default=8060, help="port to listen on (default: %(default)s)")
    certificate.add_options(parser)
    parser.add_argument("--workers", metavar="N", type=int, default=1, help="processes (default: %(default)s)")
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    config = settings(arguments.config)
    if not 0 < arguments.port < 65_536:
        raise UsageError(f"port {arguments.port} is not between 1 and 65535.")
    if not 0 < arguments.workers <= 256:
        raise UsageError("--workers is a number from 1 to 256.")
    scheme = certificate.check_options(arguments)
    listening = Listening(
        arguments.host,
        arguments.port,
        arguments.workers,
        config.log_format,
        tls_cert=arguments.tls_cert,
        tls_key=arguments.tls_key,
    )
    refuse_taken_port(listening)
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    line = f"Carnet answers {config.proxy} at {scheme}://{host}:{arguments.port}/check"
    return serve(listening, partial(load, config), [line])


def settings(file: Path) -> "GatewayConfig":
    """The gateway's settings; raises UsageError with what is wrong."""
    from carnet.guard.gateway import GatewayConfigError, read_config

    try:
        return read_config(file)
    except GatewayConfigError as error:
        raise UsageError(str(error)) from None


def load(config: "GatewayConfig") -> Any:
    """Make the ASGI application, in a worker's process."""
    from carnet.guard.gateway import Gateway

    end_with_parent()
    signal.signal(DRAIN, signal.SIG_IGN)  # there are no streams here to be ended
    return Gateway(config)
