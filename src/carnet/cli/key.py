"""`carnet key`: the issuer's keys."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from carnet.ambient import SYSTEM, Instant, lapsed
from carnet.cli import output
from carnet.cli.deployment import at_desk, at_store, secret_from_environment, subcommand
from carnet.cli.errors import CommandError
from carnet.issuer.config import Config

if TYPE_CHECKING:
    from carnet.issuer.desk import Desk
    from carnet.issuer.storage.ports import Store
    from carnet.issuer.storage.records import SigningKeyRecord


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "key",
        help="the issuer's keys",
        description="The issuer's keys: those that sign, and those that clients encrypt to.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", dest="subcommand", required=True)
    subcommand(commands, "list", _list, "list the keys and what each is for")
    subcommand(commands, "rotate", _rotate, "make new keys, which sign once every verifier has had time to fetch them")
    retire = subcommand(commands, "retire", _retire, "stop publishing a key now; its tokens are refused from then on")
    retire.add_argument("kid", metavar="KID")
    retire.add_argument(
        "--compromised", action="store_true", help="somebody else has it: guards refuse all that it has signed at once"
    )
    subcommand(
        commands, "reset", _reset, "give up all keys and make a new one: for a secret key that was lost or changed"
    )


def _list(arguments: Namespace) -> int:
    async def work(desk: "Desk") -> "tuple[list[SigningKeyRecord], frozenset[str], Instant]":
        return await desk.keyring.list(), await desk.keyring.in_use(), desk.ambient.now()

    keys, signing, now = at_desk(arguments, work)
    documents = [_document(key, signing, at=now) for key in keys]
    rows = [
        (
            key.kid,
            key.alg,
            document["use"],
            document["state"],
            output.date(key.created_at),
            output.date(key.signs_from),
            output.date(key.retires_at),
        )
        for key, document in zip(keys, documents, strict=True)
    ]
    output.show(
        arguments,
        documents,
        lambda: output.table(rows, ("KID", "ALG", "USE", "STATE", "CREATED", "SIGNS FROM", "PUBLISHED UNTIL")),
    )
    return 0


def _rotate(arguments: Namespace) -> int:
    async def work(
        desk: "Desk",
    ) -> "tuple[SigningKeyRecord, tuple[SigningKeyRecord, ...], frozenset[str], Instant]":
        with _refusals():
            key, others = await desk.keyring.rotate(), await desk.keyring.rotate_others()
        return key, others, await desk.keyring.in_use(), desk.ambient.now()

    key, others, signing, now = at_desk(arguments, work)
    beside = f" Beside it new keys for {', '.join(other.alg for other in others)} were made." if others else ""
    output.show(
        arguments,
        _document(key, signing, at=now) | {"others": [_document(other, signing, at=now) for other in others]},
        f"Made the key {key.kid} ({key.alg}). It is published now and signs from {output.date(key.signs_from)};\n"
        f"the key before it stays published until its last token has expired.{beside}",
    )
    return 0


def _retire(arguments: Namespace) -> int:
    async def work(desk: "Desk") -> None:
        with _refusals():
            await desk.keyring.retire(arguments.kid, compromised=arguments.compromised)

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
    if key.compromised_at is not None:
        state = "compromised"
    elif key.retires_at is not None and lapsed(key.retires_at, at=at):
        state = "retired"
    elif key.kid in signing:
        state = "signs"
    else:
        state = "next" if key.signs_from > at else "published"
    return {
        "kid": key.kid,
        "alg": key.alg,
        "use": "enc" if key.purpose == "encryption" else "sig",
        "state": state,
        "created_at": key.created_at,
        "signs_from": key.signs_from,
        "retires_at": key.retires_at,
        "compromised_at": key.compromised_at,
    }
