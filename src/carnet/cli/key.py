"""`carnet key`: the issuer's keys."""

import asyncio
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from carnet.ambient import SYSTEM, Ambient, Instant, lapsed
from carnet.cli import output
from carnet.cli.deployment import at_desk, at_store, secret_from_environment, subcommand
from carnet.cli.errors import CommandError, UsageError
from carnet.issuer.config import Config

if TYPE_CHECKING:
    from carnet.issuer.desk import Desk
    from carnet.issuer.keyring import Keyring
    from carnet.issuer.storage.ports import Store
    from carnet.issuer.storage.records import Lacking, SigningKeyRecord

ACTOR = "cli"
_LOOK_AGAIN = 2.0
_LONGEST_WAIT = 30 * 86_400


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "key",
        help="the issuer's keys",
        description="The issuer's keys: those that sign, and those that clients encrypt to.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", dest="subcommand", required=True)
    subcommand(commands, "list", _list, "list the keys and what each is for")
    rotate = subcommand(
        commands, "rotate", _rotate, "make new keys, which sign once every verifier has had time to fetch them"
    )
    rotate.add_argument(
        "--no-wait",
        action="store_true",
        help="come back at once; the issuer goes on by itself and signs when it is time",
    )
    rotate.add_argument(
        "--after",
        metavar="SECONDS",
        type=int,
        help="sign so many seconds from now, whoever has fetched the key by then",
    )
    retire = subcommand(commands, "retire", _retire, "stop publishing a key now; its tokens are refused from then on")
    retire.add_argument("kid", metavar="KID")
    retire.add_argument(
        "--compromised", action="store_true", help="somebody else has it: guards refuse all that it has signed at once"
    )
    subcommand(
        commands, "reset", _reset, "give up all keys and make a new one: for a secret key that was lost or changed"
    )


def _list(arguments: Namespace) -> int:
    async def work(desk: "Desk") -> list[dict[str, Any]]:
        keys, signing, now = await desk.keyring.list(), await desk.keyring.in_use(), desk.ambient.now()
        documents = [_document(key, signing, at=now) for key in keys]
        for document in documents:
            if document["state"] == "next" and document["ready_from"] is not None:
                document["lacking"] = _lacking(await desk.keyring.lacking(document["kid"]))
        return documents

    documents = at_desk(arguments, work)
    rows = [
        (
            document["kid"],
            document["alg"],
            document["use"],
            document["state"],
            output.date(document["created_at"]),
            ("latest " if document["ready_from"] is not None else "") + output.date(document["signs_from"]),
            output.date(document["retires_at"]),
            _said(document["lacking"]) if document["lacking"] else "-",
        )
        for document in documents
    ]
    heads = ("KID", "ALG", "USE", "STATE", "CREATED", "SIGNS FROM", "PUBLISHED UNTIL", "NOT ACKNOWLEDGED BY")
    output.show(
        arguments,
        documents,
        lambda: output.table(rows, heads),
    )
    return 0


def _rotate(arguments: Namespace) -> int:
    if arguments.after is not None and not 0 <= arguments.after <= _LONGEST_WAIT:
        raise UsageError(f"--after is a number of seconds from 0 to {_LONGEST_WAIT}.")

    from carnet.issuer.key_changes import rotate

    async def work(desk: "Desk") -> "tuple[SigningKeyRecord, list[dict[str, Any]]]":
        with _refusals():
            key, *others = await rotate(desk, actor=ACTOR, after=arguments.after)
        if not arguments.no_wait:
            key = await until_it_signs(desk.keyring, key, desk.ambient, asyncio.sleep)
        signing, now = await desk.keyring.in_use(), desk.ambient.now()
        return key, [_document(one, signing, at=now) for one in (key, *others)]

    key, (document, *others) = at_desk(arguments, work)
    beside = f" Beside it new keys for {', '.join(other['alg'] for other in others)} were made." if others else ""
    if document["state"] == "signs":
        when = "It is published and signs"
    elif key.ready_from is None:
        when = f"It is published now and signs from {output.date(key.signs_from)}"
    else:
        when = (
            f"It is published now and signs from {output.date(key.ready_from)}, or once all guards that listen hold it: "
            f"{output.date(key.signs_from)} at the latest"
        )
    output.show(
        arguments,
        document | {"others": others},
        f"Made the key {key.kid} ({key.alg}). {when};\n"
        f"the key before it stays published until its last token has expired.{beside}",
    )
    return 0


async def until_it_signs(
    keyring: "Keyring", key: "SigningKeyRecord", ambient: Ambient, pause: Callable[[float], Awaitable[object]]
) -> "SigningKeyRecord":
    """Wait for a new key, and say what it waits for. Whoever stops this command stops nothing but the words."""
    said = ""
    while True:
        await keyring.signing_key()  # which brings it forward if it is time
        kept = {one.kid: one for one in await keyring.list()}
        key = kept.get(key.kid, key)
        now = ambient.now()
        if key.signs_from <= now or (key.retires_at is not None and lapsed(key.retires_at, at=now)):
            return key
        line = await _waits_for(keyring, key, at=now)
        if line != said:
            output.note(line)
            said = line
        await pause(_LOOK_AGAIN)


async def _waits_for(keyring: "Keyring", key: "SigningKeyRecord", *, at: Instant) -> str:
    fetched = key.signs_from if key.ready_from is None else key.ready_from
    if at < fetched:
        return f"The key {key.kid} is published; caches of the key set have it by {output.date(fetched)}."
    without = _said(_lacking(await keyring.lacking(key.kid)))
    return f"Not acknowledged by {without}; it signs at {output.date(key.signs_from)} at the latest."


def _lacking(lacking: "Lacking") -> dict[str, Any]:
    return {"count": lacking.count, "names": list(lacking.names)}


def _said(lacking: dict[str, Any]) -> str:
    if not lacking["count"]:
        return "nobody"
    names = lacking["names"]
    more = lacking["count"] - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _retire(arguments: Namespace) -> int:
    from carnet.issuer.key_changes import retire

    async def work(desk: "Desk") -> None:
        with _refusals():
            await retire(desk, arguments.kid, compromised=arguments.compromised, actor=ACTOR)

    at_desk(arguments, work)
    output.show(
        arguments,
        {"kid": arguments.kid, "retired": True, "compromised": arguments.compromised},
        f"The key {arguments.kid} is not published any more.",
    )
    return 0


def _reset(arguments: Namespace) -> int:
    """Without opening any key: they may be sealed under a secret that nobody has any more."""
    from carnet.issuer.keyring import Keyring
    from carnet.issuer.revoking import entry
    from carnet.issuer.secret_key import secret_key

    async def work(config: Config, store: "Store") -> tuple[int, str | None]:
        now = SYSTEM.now()
        given_up = 0
        for key in await store.signing_keys.list():
            if key.compromised_at is None and (key.retires_at is None or not lapsed(key.retires_at, at=now)):
                revocation = entry("key", key.kid, config, at=now)
                await store.signing_keys.retire(key.kid, at=now, compromised=True, revocations=(revocation,))
                given_up += 1
        secret = secret_from_environment() or secret_key(config.data, SYSTEM)
        keyring = Keyring(config, store, secret, SYSTEM)
        await keyring.begin()
        return given_up, (await keyring.signing_key()).kid

    given_up, kid = at_store(arguments, work)
    output.show(
        arguments,
        {"given_up": given_up, "kid": kid},
        f"Gave up {given_up} keys; {kid} signs from now on. Clients refresh their tokens by themselves.",
    )
    return 0


@contextmanager
def _refusals() -> Iterator[None]:
    from carnet.issuer.keyring import KeyringError

    try:
        yield
    except KeyringError as error:
        raise CommandError(str(error)) from None


def _document(key: "SigningKeyRecord", signing: frozenset[str], *, at: Instant) -> dict[str, Any]:
    from msgspec.structs import asdict

    from carnet.issuer.key_changes import key_of

    return {**asdict(key_of(key, signing, at=at)), "lacking": None}
