"""What `carnet scope`, `carnet claim` and `carnet audience` do alike: list, show, define and remove."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from carnet.cli import output
from carnet.cli.deployment import at_desk, subcommand
from carnet.cli.errors import CommandError, UsageError

if TYPE_CHECKING:
    from carnet.issuer.catalogue import Entry
    from carnet.issuer.definition import Definition, DefinitionKind
    from carnet.issuer.desk import Desk

ACTOR = "cli"


def add_commands(
    subparsers: Any,
    kind: "DefinitionKind",
    summary: str,
    options: Callable[[ArgumentParser], None],
    read: Callable[[Namespace], "Definition"],
) -> None:
    """Describe the command of one kind; `options` are those of `define`, which `read` makes a definition of."""
    parser = subparsers.add_parser(kind, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    commands = parser.add_subparsers(metavar="COMMAND", dest="subcommand", required=True)
    subcommand(commands, "list", lambda arguments: _list(arguments, kind), f"list the definitions of {kind}s")
    show = subcommand(commands, "show", lambda arguments: _show(arguments, kind), f"show the definition of a {kind}")
    define = subcommand(
        commands, "define", lambda arguments: _define(arguments, read), f"define a {kind}, or define it anew"
    )
    remove = subcommand(
        commands, "remove", lambda arguments: _remove(arguments, kind), f"forget the definition of a {kind}"
    )
    for one in (show, define, remove):
        one.add_argument("name", metavar="NAME")
    options(define)


def _list(arguments: Namespace, kind: "DefinitionKind") -> int:
    async def work(desk: "Desk") -> "list[Entry]":
        return (await desk.definitions.current()).of_kind(kind)

    documents = [_document(entry) for entry in at_desk(arguments, work)]
    heads = list(documents[0]) if documents else ["name"]
    rows = [[_text(document[head]) for head in heads] for document in documents]
    output.show(arguments, documents, lambda: output.table(rows, [head.upper() for head in heads]))
    return 0


def _show(arguments: Namespace, kind: "DefinitionKind") -> int:
    from carnet.issuer.definitions import find

    async def work(desk: "Desk") -> "Entry":
        with _refusals():
            return await find(desk, kind, arguments.name)

    document = _document(at_desk(arguments, work))
    output.show(arguments, document, lambda: output.facts({name: _text(value) for name, value in document.items()}))
    return 0


def _define(arguments: Namespace, read: Callable[[Namespace], "Definition"]) -> int:
    from carnet.issuer.catalogue import Entry
    from carnet.issuer.definitions import define

    wanted = read(arguments)

    async def work(desk: "Desk") -> "Entry":
        with _refusals():
            before = (await desk.definitions.current()).find(wanted.kind, wanted.name)
            return Entry(await define(desk, wanted, before=before, actor=ACTOR), "stored")

    document = _document(at_desk(arguments, work))
    output.show(arguments, document, f"Defined the {wanted.kind} {wanted.name}.")
    return 0


def _remove(arguments: Namespace, kind: "DefinitionKind") -> int:
    from carnet.issuer.definitions import find, remove

    async def work(desk: "Desk") -> None:
        with _refusals():
            await remove(desk, await find(desk, kind, arguments.name), actor=ACTOR)

    at_desk(arguments, work)
    output.show(
        arguments, {"name": arguments.name, "removed": True}, f"The {kind} {arguments.name} is not defined any more."
    )
    return 0


@contextmanager
def _refusals() -> Iterator[None]:
    from carnet.issuer.definitions import DefinitionError, FixedError, UndefinedError

    try:
        yield
    except (FixedError, UndefinedError) as error:
        raise CommandError(str(error)) from None
    except DefinitionError as error:
        raise UsageError(str(error)) from None


def _document(entry: "Entry") -> dict[str, Any]:
    fields = entry.definition.__struct_fields__
    return {**{name: getattr(entry.definition, name) for name in fields}, "origin": entry.origin}


def _text(value: Any) -> str:
    match value:
        case dict():
            return "; ".join(f"{name}: {text}" for name, text in value.items()) or "-"
        case tuple():
            return " ".join(value) or "-"
    return "-" if value in {None, ""} else str(value)
