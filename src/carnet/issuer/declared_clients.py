"""RFC 7591 section 2: clients that stand in the settings: registered at the start, and held to what stands there."""

from typing import Any

import msgspec
from msgspec.structs import replace

from carnet.issuer.clients import DECLARED_BY, ClientError, Registration, TakenError, change, register
from carnet.issuer.config import Config, ConfigError
from carnet.issuer.desk import Desk
from carnet.issuer.registration import gathered
from carnet.issuer.storage.ports import StaleError
from carnet.issuer.storage.records import Client

_ATTEMPTS = 3


def declared(config: Config) -> tuple[Registration, ...]:
    """The clients of the settings.

    Raises:
        ConfigError: one has no client_id, a member that is not known, or a value of another type; or two have one client_id.
    """
    found = tuple(_registration(given) for given in config.clients)
    names = [one.client_id for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"clients: {twice!r} stands there twice.")
    return found


async def settle(desk: Desk) -> None:
    """Register those that are not there, and change those that are others. A secret is made later (`rotate-secret`).

    Raises:
        ConfigError: one of them cannot be accepted.
    """
    for wanted in declared(desk.config):
        try:
            await _settle(wanted, desk)
        except ClientError as error:
            raise ConfigError(f"clients: {wanted.client_id}: {error}") from None


async def _settle(wanted: Registration, desk: Desk) -> None:
    for _ in range(_ATTEMPTS):  # several nodes start at once
        before = await desk.store.clients.get(wanted.client_id or "")
        try:
            if before is None:
                await register(desk, wanted, actor=DECLARED_BY)
                return
            after = _as_wanted(before, wanted)
            if after != before:
                await change(desk, before, after, actor=DECLARED_BY)
        except (TakenError, StaleError) as error:
            if before is None and await desk.store.clients.get(wanted.client_id or "") is None:
                raise ClientError(str(error)) from None
            continue
        return


def _as_wanted(before: Client, wanted: Registration) -> Client:
    members: dict[str, Any] = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
    if wanted.scope is None:
        members["scope"] = before.scope
    return replace(before, **members)


def _registration(given: dict[str, Any]) -> Registration:
    name = given.get("client_id")
    if not isinstance(name, str):
        raise ConfigError("clients: each of them has a client_id.")
    try:
        return msgspec.convert(gathered(given), Registration)
    except msgspec.ValidationError as error:
        raise ConfigError(f"clients: {name}: {error}.") from None
