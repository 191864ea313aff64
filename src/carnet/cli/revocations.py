"""`carnet revocations`: what has been taken back, as it stands and as it comes."""

import asyncio
from argparse import Namespace
from typing import TYPE_CHECKING, Any, TypeAlias

from carnet.ambient import SYSTEM
from carnet.cli import output, settings
from carnet.cli.deployment import at_store, one_line, opened_store, subcommand
from carnet.cli.errors import CommandError, UsageError

if TYPE_CHECKING:
    from carnet.feed.channel import Signed
    from carnet.feed.messages import Snapshot
    from carnet.feed.roster import Introduction
    from carnet.issuer.config import Config
    from carnet.issuer.storage.ports import Store
    from carnet.issuer.storage.records import FeedListener, FeedReport, Revocation, Stream

Seat: TypeAlias = tuple[str, str]
"""A node, and the name of one that listens there."""

_PAGE = 1_000
_LOOK_AGAIN = 5.0
_SHOWN = ("since", "told_at", "behind", "lacks", "guards")


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
    settings.add_storage_options(tail)
    tail.add_argument("--relay", metavar="URL", help="a relay to follow in its place")
    tail.add_argument(
        "--guards",
        action="store_true",
        help="show who listens to any node, too, and how far behind each is: from the deployment's own database",
    )
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

    config = settings.load(arguments) if arguments.guards or arguments.issuer is None else None
    arguments.issuer = arguments.issuer or (config and config.issuer)
    logging.basicConfig(format="carnet: %(message)s", level=logging.WARNING)  # why nothing comes, on standard error
    try:
        with one_line():
            asyncio.run(_tail_both(arguments, config if arguments.guards else None))
    except MetadataError as error:
        raise UsageError(str(error)) from None
    raise CommandError("the feed is not followed any more.")


async def _tail_both(arguments: Namespace, config: "Config | None") -> None:
    if config is None:
        await _follow(arguments)
        return
    async with opened_store(config) as store:
        await asyncio.gather(_follow(arguments), _watch(arguments, store))


async def _watch(arguments: Namespace, store: "Store") -> None:
    from carnet.issuer.acknowledgement import LIVE

    seen: dict[Seat, FeedListener] = {}
    while True:
        at = SYSTEM.now()
        seen, documents = changed(seen, await store.feed_reports.list(since=at - LIVE))
        for document in documents:
            output.show(arguments, document, f"{output.date(at)}  {'':>8}  guard      {_described(document)}")
        await asyncio.sleep(_LOOK_AGAIN)


def changed(
    seen: "dict[Seat, FeedListener]", reports: "list[FeedReport]"
) -> "tuple[dict[Seat, FeedListener], list[dict[str, Any]]]":
    """Those that listen now, and what there is to be said of those that are new, others than before, or gone."""
    # Of several of one name that which lacks most, which comes first in the report.
    now = {(report.node, listener.name): listener for report in reports for listener in reversed(report.listeners)}

    def told(listener: "FeedListener | None") -> Any:
        return listener and (listener.behind, listener.lacks, listener.guards)

    documents = [
        {"is": "guard", "node": seat[0], "name": seat[1], "gone": seat not in now}
        | {name: getattr(now.get(seat, seen.get(seat)), name) for name in _SHOWN}
        for seat in sorted({*seen, *now})
        if told(now.get(seat)) != told(seen.get(seat))
    ]
    return now, documents


def _described(document: dict[str, Any]) -> str:
    name, behind, lacks = document["name"] or "without a name", document["behind"], document["lacks"]
    if document["gone"]:
        return f"{name} is gone"
    words = ["follows another stream" if behind is None else f"{behind} behind" if behind else "up to date"]
    if lacks is not None:
        words.append(f"lacks {lacks} keys" if lacks else "holds all keys")
    if document["guards"] > 1:
        words.append(f"for {document['guards']}")
    return f"{name}: {', '.join(words)}, at node {document['node']}"


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
