"""`carnet streams`: who is told of security events (OpenID Shared Signals Framework), and whether they take them."""

from argparse import Namespace
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from carnet.cli import output
from carnet.cli.deployment import at_desk, at_store, subcommand
from carnet.cli.errors import CommandError

if TYPE_CHECKING:
    from carnet.issuer.config import Config
    from carnet.issuer.desk import Desk
    from carnet.issuer.storage.ports import Store
    from carnet.issuer.storage.records import SignalStream

ACTOR = "cli"
PAGE = 500


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "streams",
        help="who is told of security events",
        description="Streams of security events: receivers make them (Shared Signals Framework); here they are looked after.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", dest="subcommand", required=True)
    subcommand(commands, "list", _list, "list the streams, with how many events wait on each")
    for name, run, summary in (
        ("show", _show, "show a stream"),
        ("pause", _pause, "hold its events; its receiver is told so"),
        ("resume", _resume, "let its events go out again; its receiver is told so"),
        ("delete", _delete, "delete a stream with all that waits on it"),
    ):
        command = subcommand(commands, name, run, summary)
        command.add_argument("stream_id", metavar="STREAM_ID")
        if name == "pause":
            command.add_argument("--reason", metavar="TEXT", help="what its receiver is told")


def _list(arguments: Namespace) -> int:
    async def work(_config: "Config", store: "Store") -> "list[tuple[SignalStream, int]]":
        found: list[tuple[SignalStream, int]] = []
        while True:
            page = await store.signals.list(after=found[-1][0].stream_id if found else None, limit=PAGE)
            found += page
            if len(page) < PAGE:
                return found

    found = at_store(arguments, work)
    rows = [(one.stream_id, one.client_id, _method(one), one.status, str(waiting)) for one, waiting in found]
    output.show(
        arguments,
        [_document(stream) | {"waiting": waiting} for stream, waiting in found],
        lambda: output.table(rows, ("STREAM", "CLIENT", "DELIVERY", "STATUS", "WAITING")),
    )
    return 0


def _show(arguments: Namespace) -> int:
    async def work(stream: "SignalStream", _desk: "Desk") -> "SignalStream":
        return stream

    _print(arguments, _at_stream(arguments, work))
    return 0


def _pause(arguments: Namespace) -> int:
    async def work(stream: "SignalStream", desk: "Desk") -> "SignalStream":
        from carnet.issuer.revocation.signal_streams import order

        return await order(desk, stream, "paused", arguments.reason, actor=ACTOR)

    _print(arguments, _at_stream(arguments, work))
    return 0


def _resume(arguments: Namespace) -> int:
    async def work(stream: "SignalStream", desk: "Desk") -> "SignalStream":
        from carnet.issuer.revocation.signal_streams import order

        return await order(desk, stream, "enabled", None, actor=ACTOR)

    _print(arguments, _at_stream(arguments, work))
    return 0


def _delete(arguments: Namespace) -> int:
    async def work(stream: "SignalStream", desk: "Desk") -> "SignalStream":
        from carnet.issuer.revocation.signal_streams import remove

        await remove(desk, stream, actor=ACTOR)
        return stream

    stream = _at_stream(arguments, work)
    output.show(arguments, _document(stream), f"The stream {stream.stream_id} is deleted.")
    return 0


def _at_stream(arguments: Namespace, work: "Callable[[SignalStream, Desk], Awaitable[SignalStream]]") -> "SignalStream":
    async def found(desk: "Desk") -> "SignalStream":
        from carnet.issuer.storage.ports import StaleError

        stream = await desk.store.signals.get(arguments.stream_id)
        if stream is None:
            raise CommandError(f"there is no stream {arguments.stream_id!r}.")
        try:
            return await work(stream, desk)
        except StaleError:
            raise CommandError("the stream was changed at the same moment: try again.") from None

    return at_desk(arguments, found)


def _print(arguments: Namespace, stream: "SignalStream") -> None:
    document = _document(stream)
    facts = {
        name: "-" if value is None else str(value) for name, value in document.items() if name != "events_requested"
    }
    requested = document["events_requested"] or ["none"]
    output.show(arguments, document, lambda: output.facts(facts | {"events_requested": " ".join(requested)}))


def _method(stream: "SignalStream") -> str:
    return "poll" if stream.endpoint_url is None else "push"


def _document(stream: "SignalStream") -> dict[str, Any]:
    return {
        "stream_id": stream.stream_id,
        "client_id": stream.client_id,
        "delivery": _method(stream),
        "endpoint_url": stream.endpoint_url,
        "status": stream.status,
        "reason": stream.reason,
        "description": stream.description,
        "events_requested": None if stream.events_requested is None else list(stream.events_requested),
        "created_at": stream.created_at,
        "updated_at": stream.updated_at,
    }
