"""RFC 9700 section 4.14: the apps that a person has let in, as they see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import msgspec

from carnet.ambient import Instant
from carnet.issuer.approval import Approval
from carnet.issuer.client_names import name_in
from carnet.issuer.desk import Desk
from carnet.issuer.storage.records import Client
from carnet.oauth.client_id import host_of


@dataclass(frozen=True, slots=True)
class App:
    """A client that holds refresh tokens of a person, or a consent."""

    client_id: str
    name: str
    scope: tuple[str, ...]
    """What was allowed, and what its tokens are for: of an app that nobody was asked about those alone say it."""
    since: Instant
    tokens: int
    start: str | None = None
    """OpenID Connect Core section 4: where a sign-in to it begins; None: it did not say."""


async def apps_of(desk: Desk, subject: str, *, languages: Sequence[str] = ()) -> list[App]:
    """All of them, by name, which is in one of the languages where they have one."""
    found: dict[str, App] = {}
    for consent in await desk.store.consents.of(subject):
        found[consent.client_id] = App(consent.client_id, "", consent.scope, consent.granted_at, 0)
    for token in await desk.store.artifacts.families(subject, at=desk.ambient.now()):
        client_id = token.client_id or ""
        before = found.get(client_id, App(client_id, "", (), token.created_at, 0))
        since = min(before.since, token.created_at)
        scope = tuple(dict.fromkeys((*before.scope, *msgspec.json.decode(token.document, type=Approval).scope)))
        found[client_id] = App(client_id, "", scope, since, before.tokens + 1)
    named = []
    for app in found.values():
        client = await desk.store.clients.get(app.client_id)
        if client is not None:
            start = _start(client, desk)
            named.append(App(app.client_id, _name(client, languages), app.scope, app.since, app.tokens, start))
    return sorted(named, key=lambda app: (app.name.casefold(), app.client_id))


def _name(client: Client, languages: Sequence[str]) -> str:
    """Of one that nobody has registered the host is what is certain."""
    name = name_in(client, languages)
    return f"{name} ({host_of(client.client_id)})" if client.from_document else name


def _start(client: Client, desk: Desk) -> str | None:
    """Section 4: the client's own URL, told which issuer to ask; it was held to https when it was registered."""
    uri = client.metadata.get("initiate_login_uri")
    if not isinstance(uri, str):
        return None
    joint = "&" if urlsplit(uri).query else "?"
    return f"{uri}{joint}{urlencode({'iss': desk.config.issuer})}"
