"""RFC 7591 section 2.2, RFC 5646: what a client is called, in several languages: `client_name`, `client_name#de` and so on."""

from collections.abc import Iterable, Mapping
from typing import Any

from carnet.issuer.storage.records import Client
from carnet.oauth.language import lookup, well_formed

PREFIX = "client_name#"
MOST = 50
"""Languages in which a client may have a name."""


class ClientNameError(Exception):
    """A name that a client cannot have; the message is a sentence that says what to do."""


def tagged(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The names in certain languages, as members of a registration; not checked."""
    return {member: name for member, name in metadata.items() if member.startswith(PREFIX)}


def name_in(client: Client, languages: Iterable[str]) -> str:
    """What a client is called by somebody who wants these languages, the most wanted first."""
    names = {member.removeprefix(PREFIX): name for member, name in tagged(client.metadata).items()}
    found = lookup(languages, names)
    return client.client_name if found is None else str(names[found])


def check_names(client: Client) -> None:
    """Raises ClientNameError: people cannot read one of its names, or it has a tag that is none, or too many."""
    names = tagged(client.metadata)
    if len(names) > MOST or len({member.lower() for member in names}) < len(names):
        raise ClientNameError(f"A client has at most {MOST} names with a language, and one in each.")
    for member in names:
        if not well_formed(member.removeprefix(PREFIX)):
            raise ClientNameError(f"{member!r} has no language tag (RFC 5646) such as de or pt-BR after its #.")
    for name in (client.client_name, *names.values()):
        if not isinstance(name, str) or not name.strip() or len(name) > 100 or not name.isprintable():
            raise ClientNameError("A client needs a name of 1 to 100 printable characters, in each language too.")
