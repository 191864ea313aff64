"""`carnet events`: the audit trail."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from carnet.cli import output
from carnet.cli.deployment import at_store, subcommand
from carnet.cli.errors import UsageError

if TYPE_CHECKING:
    from carnet.issuer.config import Config
    from carnet.issuer.storage.ports import Store
    from carnet.issuer.storage.records import Event

PAGE = 500
FILTERS = {
    "subject": "about this account: its subject, or its email address",
    "client_id": "about this client",
    "name": "of this name, such as sign_in.failed",
    "actor": "done by this one: an administrator's subject, a client_id, or cli",
}


def add(subparsers: Any) -> None:
    parser = subcommand(subparsers, "events", _events, "list what has happened, the newest first")
    for name, summary in FILTERS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar=name.upper(), help=f"only what is {summary}")
    parser.add_argument(
        "--since", metavar="TIME", help="from then on, such as 2026-11-24 or 2026-11-24T10:00:00Z (UTC)"
    )
    parser.add_argument("--until", metavar="TIME", help="before then")
    parser.add_argument("--limit", metavar="N", type=int, default=100, help="lines at most (default: 100)")


def _events(arguments: Namespace) -> int:
    if arguments.limit < 1:
        raise UsageError("--limit is at least 1.")
    since, until = _instant("--since", arguments.since), _instant("--until", arguments.until)

    async def work(_config: "Config", store: "Store") -> "list[tuple[int, Event]]":
        asked = {name: getattr(arguments, name) for name in FILTERS}
        if "@" in (asked["subject"] or ""):
            account = await store.accounts.by_email(asked["subject"])
            asked["subject"] = account.subject if account is not None else asked["subject"]
        found: list[tuple[int, Event]] = []
        while len(found) < arguments.limit:
            before = found[-1][0] if found else None
            wanted = min(PAGE, arguments.limit - len(found))
            page = await store.events.list(before=before, limit=wanted, since=since, until=until, **asked)
            found += page
            if len(page) < wanted:
                break
        return found

    found = at_store(arguments, work)
    rows = [
        (
            output.date(event.at),
            event.name,
            event.subject or "-",
            event.client_id or "-",
            _doer(event),
            " ".join(f"{name}={_text(value)}" for name, value in event.detail.items()) or "-",
        )
        for _, event in found
    ]
    output.show(
        arguments,
        [{"number": number, **_document(event)} for number, event in found],
        lambda: output.table(rows, ("AT", "NAME", "SUBJECT", "CLIENT", "ACTOR", "DETAIL")),
    )
    return 0


def _doer(event: "Event") -> str:
    who = event.actor or "-"
    return who if event.actor_client_id is None else f"{who} by {event.actor_client_id}"


def _instant(option: str, text: str | None) -> int | None:
    from datetime import UTC, datetime

    if text is None:
        return None
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text!r} is not a date or time such as 2026-11-24 or 2026-11-24T10:00:00Z."
        ) from None
    return int((given if given.tzinfo is not None else given.replace(tzinfo=UTC)).timestamp())


def _document(event: "Event") -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def _text(value: Any) -> str:
    return ",".join(str(one) for one in value) if isinstance(value, list) else str(value)
