"""RFC 7591 section 2: clients; nobody gives one more of the admin API than they have themselves."""

from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Struct, UnsetType, defstruct

from carnet.ambient import Instant
from carnet.issuer import clients
from carnet.issuer.admin_api.problems import Conflict, Invalid, NotFound, Problem, Stale
from carnet.issuer.admin_api.resource import PREFIX, Asked, Operation, PageQuery, Resource, page
from carnet.issuer.clients import ClientError, Registered, Registration
from carnet.issuer.storage.ports import StaleError
from carnet.issuer.storage.records import Client as Stored
from carnet.oauth import scope
from carnet.oauth.errors import InsufficientScopeError

_FIELDS = [field for field in msgspec.structs.fields(Registration) if field.name not in {"client_id", "scope"}]

Client = defstruct(
    "Client",
    [
        ("client_id", str),
        ("scope", str),
        *((field.name, field.type) for field in _FIELDS),
        ("created_at", Instant),
        ("updated_at", Instant),
    ],
    frozen=True,
    kw_only=True,
    module=__name__,
)
"""All that is registered of a client; never its secret."""

NewClient = defstruct(
    "NewClient", [("client_secret", str | None, None)], bases=(Client,), frozen=True, kw_only=True, module=__name__
)
"""A client, and its secret, which is told this once."""

ClientChange = defstruct(
    "ClientChange",
    [("scope", str | UnsetType, UNSET), *((field.name, field.type | UnsetType, UNSET) for field in _FIELDS)],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    module=__name__,
)
"""What is to be changed of a registration; what is left out stays."""


class Clients(Struct, frozen=True, kw_only=True):
    items: list[Client]  # type: ignore[valid-type]  # made of the registration's members
    next: str | None
    """The cursor of the next page; None: this is the last."""


class Secret(Struct, frozen=True, kw_only=True):
    client_id: str
    client_secret: str
    """It is told this once."""


def shown(client: Stored, **more: Any) -> Any:
    kind = NewClient if more else Client
    members = {name: getattr(client, name) for name in Client.__struct_fields__}
    return kind(**members, **more)


def problem(error: Exception) -> Problem | None:
    """What the API says of what the domain refuses; None: it is no refusal."""
    match error:
        case clients.TakenError() | clients.DeclaredError():
            return Conflict(str(error))
        case ClientError():
            return Invalid(str(error))
        case StaleError():
            return Stale(str(error))
    return None


async def list_(asked: Asked) -> Clients:
    async def read(after: str | None, limit: int) -> list[Stored]:
        return await asked.desk.store.clients.list(after=after, limit=limit)

    found, more = await page(asked, "clients", read, lambda client: client.client_id)
    return Clients(items=[shown(client) for client in found], next=more)


async def create(asked: Asked) -> Any:
    registered = clients.prepared(asked.desk, asked.body)
    _check_power(asked, registered.client)
    await clients.check_documents(asked.desk, registered.client)
    await clients.keep(asked.desk, registered.client, actor=asked.caller.actor.subject)
    return _with_secret(registered)


async def show(asked: Asked) -> Any:
    return shown(await _client(asked))


async def change(asked: Asked) -> Any:
    before = await _client(asked)
    asked.check_match(shown(before))
    wanted = {
        name: value for name in ClientChange.__struct_fields__ if (value := getattr(asked.body, name)) is not UNSET
    }
    after = msgspec.structs.replace(before, **wanted)
    _check_power(asked, before)
    _check_power(asked, after)
    return shown(await clients.change(asked.desk, before, after, actor=asked.caller.actor.subject))


async def remove(asked: Asked) -> None:
    client = await _client(asked)
    asked.check_match(shown(client))
    _check_power(asked, client)
    await clients.remove(asked.desk, client.client_id, actor=asked.caller.actor.subject, seen=client)


async def rotate_secret(asked: Asked) -> Secret:
    client = await _client(asked)
    _check_power(asked, client)
    registered = await clients.rotate_secret(asked.desk, client, actor=asked.caller.actor.subject)
    if registered.secret is None:
        raise NotFound("The client has no secret.")
    return Secret(client_id=client.client_id, client_secret=registered.secret.value)


def _with_secret(registered: Registered) -> Any:
    return shown(registered.client, client_secret=None if registered.secret is None else registered.secret.value)


def _check_power(asked: Asked, client: Stored) -> None:
    """Rule O20: whoever has a client's secret is that client: so it has nothing of the admin API that the caller has not.

    Whatever its own roles are: the tokens that people let it have, or that it brings assertions for, count with theirs.

    Raises:
        InsufficientScopeError: it would, or does.
    """
    values = tuple(value for value in client.scope.split() if value.startswith(PREFIX))
    beyond = scope.excess(values, asked.caller.scope)
    if beyond:
        needed = scope.join(beyond)
        raise InsufficientScopeError(f"The client has more of the admin API than you: {needed}.", scope=needed)


async def _client(asked: Asked) -> Stored:
    client = await asked.desk.store.clients.get(asked.path["client_id"])
    if client is None:
        raise NotFound(f"There is no client {asked.path['client_id']!r}.")
    return client


ONE = "/clients/{client_id}"

RESOURCE = Resource(
    "clients",
    (
        Operation(method="GET", path="/clients", summary="List clients", act=list_, query=PageQuery, answer=Clients),
        Operation(
            method="POST",
            path="/clients",
            summary="Register a client",
            act=create,
            body=Registration,
            answer=NewClient,
            status=201,
            location=lambda made: f"/clients/{quote(made.client_id, safe='')}",
            problems=(Conflict, Invalid),
        ),
        Operation(
            method="GET", path=ONE, summary="Show a client", act=show, answer=Client, tagged=True, problems=(NotFound,)
        ),
        Operation(
            method="PATCH",
            path=ONE,
            summary="Change a client's registration: lifetimes, grants, audiences, scope values and all else",
            act=change,
            body=ClientChange,
            answer=Client,
            tagged=True,
            conditional=True,
            problems=(NotFound, Conflict, Invalid),
        ),
        Operation(
            method="DELETE",
            path=ONE,
            summary="Delete a client and take back all that it holds",
            act=remove,
            problems=(NotFound, Conflict),
        ),
        Operation(
            method="POST",
            path=f"{ONE}/secret",
            summary="Give a client a new secret; the old one stops working at once",
            act=rotate_secret,
            answer=Secret,
            problems=(NotFound, Invalid),
        ),
    ),
)
