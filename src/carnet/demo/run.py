"""The demo from its start to its end: registers the sample people and clients, starts the parts, and ends them together."""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import msgspec

from carnet.ambient import SYSTEM
from carnet.demo import parts
from carnet.demo.parts import Part
from carnet.demo.processes import Processes
from carnet.demo.progress import Progress, welcome
from carnet.demo.samples import PEOPLE
from carnet.demo.seed import ORDER, PERSONS_SCOPE, SHOP, Seed, plant
from carnet.issuer.config import Config


@dataclass(frozen=True, slots=True)
class Asked:
    """How the demo is to run."""

    data: Path
    base_port: int = parts.ISSUER_PORT
    access_token_lifetime: int = 300
    """Seconds, of the shop's access tokens."""
    json: bool = False
    """Say what is ready as one line of JSON, for a program that drives the demo."""


class CannotStartError(Exception):
    """The demo cannot start; the message is one line that says what to do."""


async def run(asked: Asked) -> None:
    """Run the demo until it is told to end by SIGINT, SIGTERM or SIGHUP.

    Raises:
        CannotStartError: a port is taken, or another demo runs on the same data.
        PartDiedError: a part did not come up, or ended by itself; the others have been ended.
    """
    told = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, told.set)
    progress = Progress(sys.stderr if asked.json else sys.stdout)
    ports = parts.ports(asked.base_port)
    _refuse_taken(ports)
    os.umask(0o077)  # the database, its secret key and the logs are their owner's alone
    asked.data.mkdir(parents=True, exist_ok=True)
    async with _alone(asked.data), Processes(asked.data / "logs", _surroundings()) as processes:
        show = asyncio.create_task(_show(asked, ports, processes, progress))
        end = asyncio.create_task(told.wait())
        await asyncio.wait((show, end), return_when=asyncio.FIRST_COMPLETED)
        if show.done():
            await show
        show.cancel()
        await asyncio.wait((show,))
        progress.say("\nEnding everything.")


async def _show(asked: Asked, ports: dict[str, int], processes: Processes, progress: Progress) -> NoReturn:
    """Set everything up, say so, and wait for what should not happen."""
    config = Config(issuer=f"http://{parts.HOST}:{ports['issuer']}", port=ports["issuer"], data=asked.data / "issuer")
    shop_url = f"http://{parts.HOST}:{ports['shop']}"
    progress.say("The Carnet demo: an issuer, four services and a shop, each a process of its own.\n")
    with progress.step("Database", str(config.data)):
        config.data.mkdir(parents=True, exist_ok=True)
        seed = await plant(config, shop_url=shop_url, access_token_lifetime=asked.access_token_lifetime)
    issuer, *others = _parts(config, _settings_file(config), ports, seed)
    with progress.step(issuer.title, issuer.url):
        await processes.start(issuer)
    starting = [(part, asyncio.create_task(processes.start(part))) for part in others]
    try:
        for part, started in starting:
            with progress.step(part.title, part.url):
                await started
    finally:
        for _, started in starting:
            started.cancel()
    lines = [_ready(issuer, others, seed, processes)] if asked.json else welcome(issuer, others[-1], seed, asked.data)
    print("\n".join(lines), flush=True)
    raise await processes.first_death()


def _refuse_taken(ports: dict[str, int]) -> None:
    for name, port in ports.items():
        if parts.taken(port):
            raise CannotStartError(
                f"port {port}, which the {name} would have, is taken: choose others with --base-port, "
                f"such as --base-port {ports['issuer'] + 1000}."
            )


@asynccontextmanager
async def _alone(data: Path) -> AsyncIterator[None]:
    """Two demos on the same data would take each other's clients away."""
    with (data / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStartError(f"another demo runs on {data}: end it, or give another --data.") from None
        yield


def _surroundings() -> dict[str, str]:
    """The variables that every part gets: none of the user's own settings of Carnet, and no proxy between the parts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    return kept | {"NO_PROXY": parts.HOST, "no_proxy": parts.HOST, "PYTHONUNBUFFERED": "1"}


def _settings_file(config: Config) -> Path:
    """Write what `carnet serve` reads, and any other command that is given it with `--config`."""
    file = config.data.parent / "carnet.toml"
    file.write_text(
        f'issuer = "{config.issuer}"\nport = {config.port}\ndata = "{config.data.name}"\n', encoding="utf-8"
    )
    return file


def _parts(config: Config, settings: Path, ports: dict[str, int], seed: Seed) -> Iterator[Part]:
    urls = {name: f"http://{parts.HOST}:{port}" for name, port in ports.items()}
    common = {"ISSUER": config.issuer, "SAMPLE_CUSTOMERS": " ".join(seed.subjects)}
    own = {
        "order": {
            "CLIENT_ID": ORDER,
            "CLIENT_SECRET": seed.order_secret,
            **{name.upper(): urls[name] for name in ("warehouse", "invoice", "notification")},
        },
        "shop": {
            "CLIENT_ID": SHOP,
            "CLIENT_SECRET": seed.shop_secret,
            "COOKIE_SECRET": SYSTEM.entropy(32).hex(),
            "SCOPE": PERSONS_SCOPE,
            **{name.upper(): url for name, url in urls.items() if name != "issuer"},
        },
    }
    yield Part(
        "issuer",
        "Issuer",
        "carnet.cli",
        ports["issuer"],
        health="/health/ready",
        arguments=("serve", "--config", str(settings)),
    )
    for name in parts.SERVICES:
        module = f"carnet.demo.services.{name}"
        yield Part(name, name.capitalize(), module, ports[name], settings=common | own.get(name, {}))
    yield Part("shop", "Shop", "carnet.demo.shop.app", ports["shop"], settings=common | own["shop"])


def _ready(issuer: Part, others: list[Part], seed: Seed, processes: Processes) -> str:
    accounts = [
        {"email": person.email, "roles": person.roles, "password": seed.passwords.get(person)} for person in PEOPLE
    ]
    urls = {part.name: part.url for part in (issuer, *others)}
    return msgspec.json.encode({"urls": urls, "accounts": accounts, "processes": processes.pids}).decode()
