"""`carnet client change`: another registration of a client that is there."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from carnet.cli.deployment import at_desk, subcommand
from carnet.cli.errors import UsageError

if TYPE_CHECKING:
    from carnet.issuer.desk import Desk
    from carnet.issuer.storage.records import Client

LISTS = (
    ("--grant", "grant_types", "G", "grant that it may use"),
    ("--scope", "scope", "S", "scope value that it may be granted"),
    ("--audience", "audiences", "A", "service that its access tokens may be for"),
    ("--role", "roles", "R", "role of its own client-credentials tokens"),
    ("--redirect-uri", "redirect_uris", "U", "compared exactly"),
)

PKCE = ("required", "or_nonce", "optional")
PKCE_HELP = (
    "or_nonce: it may send a nonce in the place of PKCE, as older OpenID clients do; "
    "optional: it may send neither, if it cannot be mended"
)


def add(commands: Any) -> None:
    parser = subcommand(commands, "change", _change, "change a client's registration; what is not given stays")
    parser.add_argument("client_id", metavar="CLIENT_ID")
    parser.add_argument("--name", dest="client_name", metavar="NAME", help="what people read on the consent page")
    for option, field, metavar, summary in LISTS:
        parser.add_argument(
            option, dest=field, metavar=metavar, action="append", help=f"{summary}, and no others; may be repeated"
        )
    parser.add_argument(
        "--access-token-lifetime", type=int, metavar="SECONDS", help="of its access tokens; 0: the issuer's default"
    )
    parser.add_argument("--pkce", choices=PKCE, help=PKCE_HELP)
    parser.add_argument("--metadata", metavar="FILE", help="a JSON object of members of its registration to change")


def _change(arguments: Namespace) -> int:
    import msgspec

    from carnet.cli.client import ACTOR, find, json_object, refusals, show_client, warn
    from carnet.issuer.clients import Registration, change
    from carnet.issuer.registration import gathered

    given: dict[str, Any] = {} if arguments.metadata is None else json_object("--metadata", arguments.metadata)
    for name in ("client_name", "pkce", *(field for _, field, _, _ in LISTS)):
        value = getattr(arguments, name)
        if value is not None:
            given[name] = " ".join(value) if name == "scope" else value
    if arguments.access_token_lifetime is not None:
        given["access_token_lifetime"] = arguments.access_token_lifetime or None
    if not given:
        raise UsageError("nothing is to be changed: give at least one option.")
    if "client_id" in given:
        raise UsageError("a client keeps its client_id.")

    async def work(desk: "Desk") -> "Client":
        before = await find(desk, arguments.client_id)
        try:
            changes = gathered(given, before.metadata)
            wanted = msgspec.convert({"client_name": "", **changes}, Registration)
        except msgspec.ValidationError as error:
            raise UsageError(f"{error}.") from None
        after = msgspec.structs.replace(before, **{name: getattr(wanted, name) for name in changes})
        with refusals():
            return await change(desk, before, after, actor=ACTOR)

    changed = at_desk(arguments, work)
    warn(changed)
    show_client(arguments, changed)
    return 0
