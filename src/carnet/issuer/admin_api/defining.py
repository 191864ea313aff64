"""What the three resources of definitions do alike."""

from typing import Any
from urllib.parse import quote

from msgspec import Struct

from carnet.issuer.admin_api.problems import Conflict, Invalid, NotFound, Problem, Stale
from carnet.issuer.admin_api.resource import Asked, Operation, Resource
from carnet.issuer.catalogue import Entry, Origin
from carnet.issuer.definition import Definition
from carnet.issuer.definitions import DefinitionError, FixedError, UndefinedError, define, find, remove
from carnet.issuer.storage.ports import AlreadyExistsError, StaleError


def problem(error: Exception) -> Problem | None:
    """What the API says of what the domain refuses; None: it is no refusal."""
    match error:
        case UndefinedError():
            return NotFound(str(error))
        case FixedError() | AlreadyExistsError():
            return Conflict(str(error))
        case DefinitionError():
            return Invalid(str(error))
        case StaleError():
            return Stale(str(error))
    return None


def resource(name: str, kind: type[Definition], shown: type[Struct], listed: type[Struct]) -> Resource:
    """The resource of one kind of definitions: `shown` has its members and its `origin`, `listed` some of those."""
    one = f"/{name}/{{name:path}}"  # names are URLs, often enough

    def document(definition: Definition, origin: Origin) -> Any:
        return shown(origin=origin, **{field: getattr(definition, field) for field in kind.__struct_fields__})

    def seen(entry: Entry) -> Any:
        return document(entry.definition, entry.origin)

    async def list_(asked: Asked) -> Any:
        return listed(items=[seen(entry) for entry in (await asked.desk.definitions.reread()).of_kind(kind.kind)])

    async def create(asked: Asked) -> Any:
        return document(await define(asked.desk, asked.body, before=None, actor=asked.caller.actor.subject), "stored")

    async def show(asked: Asked) -> Any:
        return seen(await find(asked.desk, kind.kind, asked.path["name"]))

    async def replace(asked: Asked) -> Any:
        before = await find(asked.desk, kind.kind, asked.path["name"])
        asked.check_match(seen(before))
        if asked.body.name != before.definition.name:
            raise Invalid("A definition keeps its name: define another one, and remove this.")
        changed = await define(asked.desk, asked.body, before=before, actor=asked.caller.actor.subject)
        return document(changed, "stored")

    async def forget(asked: Asked) -> None:
        before = await find(asked.desk, kind.kind, asked.path["name"])
        asked.check_match(seen(before))
        await remove(asked.desk, before, actor=asked.caller.actor.subject)

    return Resource(
        name,
        (
            Operation(method="GET", path=f"/{name}", summary=f"List {name}", act=list_, answer=listed),
            Operation(
                method="POST",
                path=f"/{name}",
                summary=f"Define one of the {name}",
                act=create,
                body=kind,
                answer=shown,
                status=201,
                tagged=True,
                location=lambda made: f"/{name}/{quote(made.name, safe='')}",
                problems=(Conflict, Invalid),
            ),
            Operation(
                method="GET",
                path=one,
                summary=f"Show one of the {name}",
                act=show,
                answer=shown,
                tagged=True,
                problems=(NotFound,),
            ),
            Operation(
                method="PUT",
                path=one,
                summary=f"Define one of the {name} anew",
                act=replace,
                body=kind,
                answer=shown,
                tagged=True,
                conditional=True,
                problems=(NotFound, Conflict, Invalid),
            ),
            Operation(
                method="DELETE",
                path=one,
                summary=f"Remove one of the {name}",
                act=forget,
                problems=(NotFound, Conflict, Invalid),
            ),
        ),
    )
