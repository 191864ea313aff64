"""`carnet revocations`: what has been taken back, as it stands and as it comes."""

import asyncio
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from carnet.ambient import SYSTEM
from carnet.cli import output
from carnet.cli.deployment import at_store, subcommand
from carnet.cli.errors import CommandError, UsageError

if TYPE_CHECKING:
    from carnet.feed.channel import Signed
    from carnet.feed.messages import Snapshot
    from carnet.feed.roster import Introduction
    from carnet.issuer.config import Config
    from carnet.issuer.storage.ports import Store
    from carnet.issuer.storage.records import Revocation, Stream

_PAGE = 1_000


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "revocations", help="what has been taken back", description="What has been taken back: the revocation feed."
    )
    commands = parser.add_subparsers(metavar="COMMAND", dest="subcommand", required=True)
    subcommand(
        commands, "list", _list, "list the entries that count, from the database, with the marks that the feed shows"
    )
    tail = commands.add_parser(
        "tail",
        help="follow an issuer's feed",
        description="Follow an issuer's feed, verify what comes, and print it: marks, which are keyed hashes, not names. "
        "`carnet revocations list` shows which mark stands for what.",
    )
    output.add_json_option(tail)
    tail.add_argument(
        "--issuer", metavar="URL", default="http://127.0.0.1:8080", help="the issuer's URL (default: %(default)s)"
    )
    tail.add_argument("--relay", metavar="URL", help="a relay to follow in its place")
    tail.set_defaults(run=_tail)


def _list(arguments: Namespace) -> int:
    async def work(_config: "Config", store: "Store") -> "tuple[Stream, list[Revocation]]":
        from carnet.issuer.revocation.publisher import fresh_stream

        stream = await store.revocations.stream(fresh_stream(SYSTEM))
        while await store.revocations.publish():  # where no issuer runs, nobody else gives them numbers
            pass
        found: list[Revocation] = []
        while True:
            page = await store.revocations.since(found[-1].sequence or 0 if found else 0, at=SYSTEM.now(), limit=_PAGE)
            found += page
            if len(page) < _PAGE:
                return stream, found

    stream, found = at_store(arguments, work)
    documents = [_document(revocation, stream) for revocation in found]
    output.show(
        arguments,
        documents,
        lambda: output.table([_row(one) for one in documents], ("NUMBER", "KIND", "NAME", "REFUSES", "MARK", "UNTIL")),
    )
    return 0


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    until = output.date(one["expires_at"])
    return str(one["sequence"]), one["kind"], one["value"], _below(one["epoch"]), one["mark"], until


def _document(revocation: "Revocation", stream: "Stream") -> dict[str, Any]:
    from carnet.feed.entries import mark

    return {
        "sequence": revocation.sequence,
        "kind": revocation.kind,
        "value": revocation.value,
        "epoch": revocation.epoch,
        "mark": _hex(mark(revocation.kind, revocation.value, key=stream.key)),
        "expires_at": revocation.expires_at,
    }


def _below(epoch: int | None) -> str:
    return "all" if epoch is None else f"sep < {epoch}"


def _hex(mark: int) -> str:
    return f"{mark:016x}"


class _Printer:
    """Prints what a machine believes, as it comes."""

    def __init__(self, arguments: Namespace) -> None:
        self._arguments = arguments

    def message(self, signed: "Signed") -> None:
        message = signed.message
        place = {"stream": message.stream, "sequence": message.sequence, "issued_at": message.issued_at}
        if not message.entries:
            self._show("heartbeat", place, "nothing new")
        for entry in message.entries:
            below = None if not entry.epoch else entry.epoch
            named = {"mark": _hex(entry.mark), "epoch": below, "expires_at": entry.expires_at}
            self._show(
                "entry", place | named, f"{named['mark']}  {_below(below)}  until {output.date(entry.expires_at)}"
            )

    def snapshot(self, snapshot: "Snapshot", body: bytes) -> None:
        from carnet.feed.entries import RECORD_LENGTH

        count = len(snapshot.packed) // RECORD_LENGTH
        place = {"stream": snapshot.stream, "sequence": snapshot.sequence, "issued_at": snapshot.issued_at}
        self._show("snapshot", place | {"count": count, "length": len(body)}, f"{count} entries, {len(body)} bytes")

    def introduction(self, name: str, kids: tuple[str, ...]) -> "Introduction":
        from carnet.feed.roster import Introduction

        return Introduction(name, guards=0)  # it verifies no tokens: nobody needs to wait for its keys

    def _show(self, kind: str, document: dict[str, Any], said: str) -> None:
        at = output.date(document["issued_at"])
        output.show(self._arguments, {"is": kind} | document, f"{at}  {document['sequence']:>8}  {kind:<9}  {said}")


def _tail(arguments: Namespace) -> int:
    import logging

    from carnet.guard.metadata import MetadataError

    logging.basicConfig(format="carnet: %(message)s", level=logging.WARNING)  # why nothing comes, on standard error
    try:
        asyncio.run(_follow(arguments))
    except MetadataError as error:
        raise UsageError(str(error)) from None
    raise CommandError("the feed is not followed any more.")


async def _follow(arguments: Namespace) -> None:
    from carnet.guard.checkpoint import jitter, key_set_machine
    from carnet.guard.feed_machine import FeedMachine
    from carnet.guard.feed_source import AsyncFeedSource
    from carnet.guard.key_source import AsyncKeySource
    from carnet.guard.verifier import ALGORITHMS

    keys = AsyncKeySource(key_set_machine(arguments.issuer, ALGORITHMS, SYSTEM), ambient=SYSTEM)
    machine = FeedMachine(
        arguments.issuer,
        algorithms=ALGORITHMS,
        jitter=jitter(SYSTEM),
        at=SYSTEM.monotonic(),
        relay=None if arguments.relay is None else arguments.relay.rstrip("/"),
        name=f"carnet revocations tail {SYSTEM.entropy(2).hex()}",
        tap=_Printer(arguments),
    )
    keys.start()
    await AsyncFeedSource(machine, keys, ambient=SYSTEM).follow()
