"""The settings of a command: the command line, then CARNET_* variables, then carnet.toml, then the defaults."""

import argparse
import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlunsplit

import msgspec

from carnet.cli.errors import UsageError
from carnet.issuer.config import Config, ConfigError, Lifetimes, check, loopback

FILE = Path("carnet.toml")
PREFIX = "CARNET_"
SECRET_KEY = "CARNET_SECRET_KEY"
OTHER_VARIABLES = (SECRET_KEY, "CARNET_CONFIG")
"""Variables that are no settings of `Config`. Those that begin with CARNET_DEMO_ belong to the demo's programs."""

_LISTS = ("trusted_proxies", "scopes", "authorization_details_types")
_TABLES = (
    "lifetimes",
    "define",
    "clients",
    "client_documents",
    "registration_policies",
    "software_statement_issuers",
)
"""Of these, `lifetimes` alone can come from variables: the others are whole documents."""
_PATHS = ("data", "tls_cert", "tls_key", "tls_client_ca")


def add_storage_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that works on a deployment's data."""
    group = parser.add_argument_group("settings")
    group.add_argument("--config", type=Path, metavar="FILE", help=f"settings file (default: ./{FILE} if there is one)")
    group.add_argument("--data", metavar="DIR", help="data directory (default: ./carnet-data)")
    group.add_argument("--database", metavar="URL", help="postgresql://… (default: SQLite in the data directory)")
    group.add_argument("--issuer", metavar="URL", help="the issuer's URL, as browsers and services reach it")


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """The further options of `carnet serve`."""
    group = parser.add_argument_group("server")
    group.add_argument("--host", metavar="H", help="address to listen on (default: 127.0.0.1)")
    group.add_argument("--port", metavar="P", help="port to listen on (default: 8080)")
    group.add_argument("--workers", metavar="N", help="processes, at most one for each core (default: 1)")
    group.add_argument("--log-format", metavar="F", help="plain or json (default: plain)")
    group.add_argument("--tls-cert", metavar="FILE", help="certificate chain (PEM)")
    group.add_argument("--tls-key", metavar="FILE", help="its private key (PEM)")
    group.add_argument("--tls-client-ca", metavar="FILE", help="authorities of clients' certificates (PEM, RFC 8705)")
    group.add_argument("--mtls-port", metavar="P", help="port for clients with certificates (default: none)")
    group.add_argument(
        "--trusted-proxy",
        metavar="NETWORK",
        dest="trusted_proxies",
        action="append",
        help="network whose X-Forwarded-For and X-Forwarded-Proto are believed; may be repeated",
    )


def load(arguments: argparse.Namespace, environ: Mapping[str, str] | None = None) -> Config:
    """Read the settings from wherever they come, and check them.

    Raises:
        UsageError: what is wrong, where it stands, and the nearest known key for an unknown one.
    """
    environ = os.environ if environ is None else environ
    merged = _from_file(arguments, environ)
    for layer in (_from_environment(environ), _from_command_line(arguments)):
        lifetimes = merged.get("lifetimes", {}) | layer.get("lifetimes", {})
        merged = merged | layer | ({"lifetimes": lifetimes} if lifetimes else {})
    if "issuer" not in merged:
        merged |= _local_issuer(merged)
    try:
        return check(_convert(merged, "The settings", strict=False))
    except ConfigError as error:
        raise UsageError(str(error)) from None


def _from_file(arguments: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, Any]:
    named = arguments.config or (Path(environ["CARNET_CONFIG"]) if environ.get("CARNET_CONFIG") else None)
    file = named or FILE
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named is None:
            return {}
        raise UsageError(f"{file} does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not TOML: {error}") from None
    _refuse_unknown(document, Config.__struct_fields__, str(file), "")
    if isinstance(document.get("lifetimes"), dict):
        _refuse_unknown(document["lifetimes"], Lifetimes.__struct_fields__, str(file), "lifetimes.")
    _convert(document, str(file), strict=True)
    for name in _PATHS:  # a path in a file means the same wherever the command is started
        if name in document:
            document[name] = str(file.parent / document[name])
    return document


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    names = {f"{PREFIX}{field.upper()}": field for field in Config.__struct_fields__ if field not in _TABLES}
    lifetimes = {f"{PREFIX}LIFETIMES_{field.upper()}": field for field in Lifetimes.__struct_fields__}
    given = {name for name in environ if name.startswith(PREFIX) and not name.startswith("CARNET_DEMO_")}
    _refuse_unknown(given, (*names, *lifetimes, *OTHER_VARIABLES), "The environment", "")
    layer: dict[str, Any] = {}
    for name in sorted(given - set(OTHER_VARIABLES)):
        value = environ[name]
        if name in lifetimes:
            layer.setdefault("lifetimes", {})[lifetimes[name]] = value
            document: dict[str, Any] = {"lifetimes": {lifetimes[name]: value}}
        else:
            field = names[name]
            layer[field] = [part.strip() for part in value.split(",") if part.strip()] if field in _LISTS else value
            document = {field: layer[field]}
        _convert(document, name, strict=False)
    return layer


def _from_command_line(arguments: argparse.Namespace) -> dict[str, Any]:
    layer = {
        field: getattr(arguments, field)
        for field in Config.__struct_fields__
        if getattr(arguments, field, None) is not None
    }
    for field, value in layer.items():
        _convert({field: value}, f"--{field.replace('_', '-')}", strict=False)
    return layer


def _local_issuer(settings: Mapping[str, Any]) -> dict[str, str]:
    """The issuer's URL where nobody gave one: the address that it listens on, if that can only be this machine."""
    host, port = str(settings.get("host", "127.0.0.1")), str(settings.get("port", 8080))
    if not loopback(host):
        raise UsageError(f"listening on {host} needs --issuer URL: the https URL that browsers and services use.")
    if settings.get("trusted_proxies"):
        raise UsageError("behind a proxy the issuer needs --issuer URL: the https URL that browsers and services use.")
    scheme = "https" if settings.get("tls_cert") else "http"
    return {"issuer": urlunsplit((scheme, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", "", "", ""))}


def _convert(document: Mapping[str, Any], source: str, *, strict: bool) -> Config:
    try:
        return msgspec.convert(document, Config, strict=strict, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise UsageError(f"{source}: {error}.") from None


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise ValueError("Expected the path of a file or directory")


def _refuse_unknown(given: Any, known: tuple[str, ...], source: str, prefix: str) -> None:
    for name in sorted(set(given) - set(known)):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0)
        raise UsageError(f"{source}: {prefix}{name} is not a setting; the nearest is {prefix}{near[0]}.")
