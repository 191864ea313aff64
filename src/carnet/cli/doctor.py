"""`carnet doctor`: looks at a deployment and says what to mend."""

import asyncio
import stat
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from carnet.ambient import SYSTEM
from carnet.cli import certificate, output, settings
from carnet.cli.deployment import one_line, secret_from_environment, subcommand
from carnet.cli.errors import CommandError, UsageError
from carnet.issuer.config import Config, ConfigError

if TYPE_CHECKING:
    from carnet.issuer.storage.ports import Store
    from carnet.issuer.storage.records import Client

CLOCK_TOLERANCE = 2
"""Seconds by which this machine's clock may differ from the database's."""
PAGE = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look has found."""

    subject: str
    verdict: Literal["good", "warning", "bad"]
    sentence: str


def good(subject: str, sentence: str) -> Finding:
    return Finding(subject, "good", sentence)


def warning(subject: str, sentence: str) -> Finding:
    return Finding(subject, "warning", sentence)


def bad(subject: str, sentence: str) -> Finding:
    return Finding(subject, "bad", sentence)


def add(subparsers: Any) -> None:
    parser = subcommand(subparsers, "doctor", _doctor, "look at a deployment and say what to mend")
    settings.add_server_options(parser)


def _doctor(arguments: Namespace) -> int:
    findings = asyncio.run(_examine(arguments))
    marks = {"good": "good   ", "warning": "warning", "bad": "BAD    "}
    output.show(
        arguments,
        [asdict(finding) for finding in findings],
        "\n".join(f"{marks[finding.verdict]}  {finding.subject}: {finding.sentence}" for finding in findings),
    )
    return int(any(finding.verdict == "bad" for finding in findings))


async def _examine(arguments: Namespace) -> list[Finding]:
    try:
        config = settings.load(arguments)
    except UsageError as error:
        return [bad("settings", str(error))]
    findings = [_settings(config), *_files(config), *_tls(config)]
    if config.database is None and not _database_file(config).exists():
        return [*findings, warning("database", "there is none yet; `carnet serve` or `carnet migrate` makes it.")]
    from carnet.issuer.storage import open_store

    try:
        with one_line():
            store = open_store(config, SYSTEM)
    except CommandError as error:
        return [*findings, bad("database", str(error))]
    try:
        for look in STORE_LOOKS:
            try:
                with one_line():
                    findings.append(await look(config, store))
            except CommandError as error:
                findings.append(bad(look.__name__.strip("_"), str(error)))
    finally:
        await store.close()
    return findings


def _settings(config: Config) -> Finding:
    from carnet.issuer.pages import Pages

    try:
        Pages(config)
    except ConfigError as error:
        return bad("settings", str(error))
    if config.secure:
        return good("settings", f"the issuer is {config.issuer}.")
    return good("settings", f"the issuer is {config.issuer}: plain http, good for this machine alone.")


def _files(config: Config) -> list[Finding]:
    from carnet.issuer import secret_key

    findings = []
    for path in (config.data, _database_file(config), config.data / secret_key.NAME):
        if path.exists():
            mode = stat.S_IMODE(path.stat().st_mode)
            mend = f"run `chmod {'700' if path.is_dir() else '600'} {path}`."
            found = bad("files", f"{path} is open to others (mode {mode:o}): {mend}") if mode & 0o077 else None
            findings.append(found or good("files", f"{path} is its owner's alone."))
    return findings


def _tls(config: Config) -> list[Finding]:
    findings = []
    if config.tls_cert is not None:
        fault = certificate.fault(config)
        findings.append(bad("tls", fault) if fault else good("tls", f"{config.tls_cert} and its key belong together."))
    if config.tls_client_ca is not None:
        fault = certificate.authorities_fault(config.tls_client_ca)
        sentence = f"{config.tls_client_ca} holds authorities that are believed."
        findings.append(bad("client certificates", fault) if fault else good("client certificates", sentence))
    return findings


async def _database(_config: Config, store: "Store") -> Finding:
    await store.check()
    count = await store.accounts.count()
    return good("database", f"it answers, and holds {count} {'account' if count == 1 else 'accounts'}.")


async def _clock(config: Config, store: "Store") -> Finding:
    """Rule R10: what one node stores is judged by another's clock."""
    newest = await store.events.list(limit=1)
    behind = newest[0][1].at - SYSTEM.now() if newest else 0
    if config.database is not None:
        behind = max(behind, abs(await _database_clock(config.database) - SYSTEM.now()))
    if behind > CLOCK_TOLERANCE:
        return bad("clock", f"this machine's clock is {behind} s away from the database's: let NTP set both.")
    return good("clock", "it agrees with what the database has seen.")


async def _database_clock(url: str) -> int:
    import asyncpg

    connection = await asyncpg.connect(url, timeout=10)
    try:
        return int(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::bigint"))
    finally:
        await connection.close()


async def _keys(config: Config, store: "Store") -> Finding:
    from carnet.issuer import secret_key
    from carnet.issuer.keyring import Keyring, KeyringError

    file = config.data / secret_key.NAME
    secret = secret_from_environment()
    if secret is None and not file.exists():
        return bad("keys", f"neither {settings.SECRET_KEY} nor {file} is there: without it no key can be opened.")
    secret = secret or secret_key.secret_key(config.data, SYSTEM)
    try:
        key = await Keyring(config, store, secret, SYSTEM).signing_key()
    except KeyringError as error:
        return bad("keys", str(error))
    if key.alg != config.signing_algorithm:
        return warning(
            "keys", f"{key.kid} signs with {key.alg}, the settings name {config.signing_algorithm}: see `carnet key`."
        )
    return good("keys", f"{key.kid} signs with {key.alg}.")


async def _administrator(_config: Config, store: "Store") -> Finding:
    from carnet.issuer.accounts.people import ADMIN

    page = await store.accounts.list(limit=PAGE)
    while page:
        if any(ADMIN in account.roles and account.password and account.disabled_at is None for account in page):
            return good("administrator", f"somebody with the role {ADMIN} can sign in.")
        page = await store.accounts.list(after=page[-1].email, limit=PAGE)
    return warning(
        "administrator", f"nobody with the role {ADMIN} can sign in: run `carnet user create EMAIL --role {ADMIN}`."
    )


async def _tokens(config: Config, store: "Store") -> Finding:
    """Tokens travel in headers and cookies, and the roles of somebody may be many."""
    from carnet.issuer.token_size import LONGEST, largest

    roles: tuple[str, ...] = ()
    accounts = await store.accounts.list(limit=PAGE)
    while accounts:
        roles = max((roles, *(account.roles for account in accounts)), key=lambda some: len(" ".join(some)))
        accounts = await store.accounts.list(after=accounts[-1].email, limit=PAGE)
    over = []
    async for client in _each_client(store):
        size = largest(client, max(roles, client.roles, key=lambda some: len(" ".join(some))), config)
        over += [(size, client.client_id)] if size.whole > config.access_token_budget else []
    if not over:
        return good(
            "tokens", f"no client's access tokens go beyond the budget of {config.access_token_budget} characters."
        )
    size, client_id = max(over, key=lambda one: (one[0].issued, one[0].whole))
    whose = f"those of {len(over)} clients may; the largest are {client_id}'s, with up to {size.whole} characters"
    budget = f"access tokens have a budget of {config.access_token_budget} characters, and {whose}"
    if size.issued > LONGEST:
        return bad("tokens", f"{budget}: guards take none beyond {LONGEST}; give it fewer audiences or scope values.")
    if size.issued > config.access_token_budget:
        return warning("tokens", f"{budget}: give it fewer audiences or scope values.")
    return warning("tokens", f"{budget}: they only name their roles, which guards ask the issuer for.")


async def _pkce(_config: Config, store: "Store") -> Finding:
    from carnet.issuer.code_challenge import caution

    found = [(client.client_id, said) async for client in _each_client(store) if (said := caution(client)) is not None]
    if not found:
        return good("pkce", "no client's requests may have neither PKCE nor a nonce.")
    client_id, said = found[0]
    others = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return warning("pkce", f"{client_id}{others}: {said}")


async def _each_client(store: "Store") -> AsyncIterator["Client"]:
    clients = await store.clients.list(limit=PAGE)
    while clients:
        for client in clients:
            yield client
        clients = await store.clients.list(after=clients[-1].client_id, limit=PAGE)


STORE_LOOKS: tuple[Callable[[Config, "Store"], Awaitable[Finding]], ...] = (
    _database,
    _clock,
    _keys,
    _administrator,
    _tokens,
    _pkce,
)
"""What is looked at in the database, in this order; each says one thing."""


def _database_file(config: Config) -> Path:
    from carnet.issuer.storage.sqlite import FILE_NAME

    return config.data / FILE_NAME
