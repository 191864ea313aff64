"""RFC 8446 section 4.4.2: whether the certificates and the private key that are named can be served with."""

import ssl
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Protocol

from carnet.cli.errors import CommandError, UsageError


class Named(Protocol):
    """Settings, or the options of a command, that may name them."""

    @property
    def tls_cert(self) -> Path | None: ...

    @property
    def tls_key(self) -> Path | None: ...


def add_options(parser: ArgumentParser) -> None:
    """The options of a command that serves, and is no issuer."""
    parser.add_argument("--tls-cert", metavar="FILE", type=Path, help="certificate chain (PEM): serve over TLS")
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help="its private key (PEM)")


def check_options(arguments: Namespace) -> str:
    """The scheme that is served; raises UsageError or CommandError for files that cannot be served with."""
    if (arguments.tls_cert is None) != (arguments.tls_key is None):
        raise UsageError("--tls-cert and --tls-key go together: give both.")
    if found := fault(arguments):
        raise CommandError(found)
    return "http" if arguments.tls_cert is None else "https"


def fault(config: Named) -> str | None:
    """What is wrong with the files that `tls_cert` and `tls_key` name; None if nothing is, or there are none."""
    if config.tls_cert is None or config.tls_key is None:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.tls_cert, config.tls_key, password="")
    except ssl.SSLError as error:
        reason = (error.reason or "no PEM in them").replace("_", " ").lower()
        return f"{config.tls_cert} and {config.tls_key} cannot be used together: {reason}."
    except OSError as error:
        return f"{config.tls_cert} or {config.tls_key} cannot be read: {error.strerror}."
    return None


def authorities_fault(file: Path) -> str | None:
    """What is wrong with a file of authorities of clients' certificates; None if nothing is."""
    from carnet.jose import JoseError
    from carnet.jose.client_certificates import Authorities

    try:
        Authorities(file.read_bytes())
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}."
    except JoseError as error:
        return f"{file} cannot be used: {error}"
    return None
