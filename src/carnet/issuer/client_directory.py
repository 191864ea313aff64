"""draft-ietf-oauth-client-id-metadata-document: where clients are found: among the registered ones, or at their client_id.

A client that nobody has registered is its document, which is fetched when it is needed and kept for as long as HTTP says,
within bounds. The store has a row of it from the moment that somebody allows it something, for that is what consents and
refresh tokens hang on; a visitor who allows nothing leaves none. What the row holds decides nothing but what takes back tokens.
"""

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, get_args

from msgspec.structs import replace

from carnet.ambient import Ambient, Instant
from carnet.issuer.admission import ClientDocuments
from carnet.issuer.config import Config
from carnet.issuer.egress import Egress, EgressError
from carnet.issuer.storage.ports import Store
from carnet.issuer.storage.records import Client
from carnet.jose import JoseError
from carnet.jose.strict_json import parse_object
from carnet.oauth import client_id as client_ids
from carnet.oauth import scope
from carnet.oauth.client_id import ClientIdError, host_of, names_document

MOST_BYTES = 5 * 1024
"""Section 6.6: of a document."""

LEAST = 60.0
"""Seconds that a document is used at least, whatever its answer says of caching."""
USUAL = 300.0
LONGEST = 3_600.0
MOST = 1_000
"""Documents that are kept; the one that was fetched first goes first."""
PER_MINUTE = 30
"""Fetches from one host: whoever makes up client_ids makes nobody else's servers busy with us. Failures are not kept. Of a
document that has been read before so many are counted by themselves: whatever else stands at its host keeps nobody from it."""
AT_ONCE = 16
"""Fetches that are under way, of each `Standing`; for a further one the oldest makes room, so that whoever has slow servers asked
keeps nobody out: good ones have answered long before."""

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=([0-9]{1,9})(?:$|[\s,])", re.IGNORECASE)
_MEDIA_TYPE = re.compile(r"application/(?:json|[a-z0-9.!#$&^_-]+\+json)")
_ACCEPT = {"Accept": "application/json"}

Standing: TypeAlias = Literal["allowed", "read", "new"]
"""What is known of a document: somebody has allowed its client something; it has been read before; nothing."""

log = logging.getLogger("carnet.issuer")


class ClientDocumentError(ValueError):
    """A document that cannot be used; the message says why, for the log and for whoever wrote it."""


class UnreachableError(Exception):
    """A document cannot be had now; the message says why."""


class Describe(Protocol):
    """`client_document.described`, which knows what a client may be."""

    def __call__(
        self, document: dict[str, Any], client_id: str, setting: ClientDocuments, config: Config, *, at: Instant
    ) -> Client: ...


@dataclass(frozen=True, slots=True)
class _Held:
    client: Client
    fresh_until: float


class ClientDirectory:
    """Finds clients."""

    def __init__(self, config: Config, store: Store, egress: Egress, ambient: Ambient, *, describe: Describe) -> None:
        self._describe = describe
        self._config = config
        self._store = store
        self._egress = egress
        self._ambient = ambient
        self._held: dict[str, _Held] = {}
        self._flights: dict[str, asyncio.Task[Client]] = {}
        self._fetches: dict[str, tuple[float, int]] = {}
        self._under_way: dict[Standing, dict[str, asyncio.Timeout]] = {each: {} for each in get_args(Standing)}
        """The fetches, the oldest first, each with what ends it."""

    async def find(self, client_id: str, *, lenient: bool = False) -> Client | None:
        """The client of this name; None if there is none, or if its document is not taken here, or not to be had.

        `lenient`: where the document cannot be had, the client is taken as it was when somebody last allowed it something: it
        has tokens, and it is not its fault, nor a new request, that its host is away.
        """
        stored = await self._store.clients.get(client_id)
        if stored is not None and not stored.from_document:
            return stored
        setting = self._config.client_documents
        if setting is None or not names_document(client_id):
            return None
        try:
            client_ids.check(client_id)
            said = await self._described(client_id, setting, known=stored is not None)
        except UnreachableError as error:
            log.info("The document of %r cannot be had: %s", client_id[:200], error)
            return _within(stored, setting, self._config) if lenient and stored is not None else None
        except (ClientIdError, ClientDocumentError) as error:
            log.info("The document of %r is refused: %s", client_id[:200], error)
            return None
        return said if stored is None else merged(said, stored)

    async def _described(self, client_id: str, setting: ClientDocuments, *, known: bool) -> Client:
        if not setting.admits(host_of(client_id)):
            raise ClientDocumentError("Its host is not in the setting client_documents.hosts.")
        held = self._held.get(client_id)
        if held is not None and self._ambient.monotonic() < held.fresh_until:
            return held.client
        flight = self._flights.get(client_id)
        if flight is None:  # one fetch for all that wait, whatever comes of it
            standing: Standing = "allowed" if known else "new" if held is None else "read"
            flight = asyncio.create_task(self._fetch(client_id, setting, standing), name="carnet-client-document")
            self._flights[client_id] = flight
            flight.add_done_callback(lambda done: self._landed(client_id, done))
        return await asyncio.shield(flight)

    def _landed(self, client_id: str, flight: asyncio.Task[Client]) -> None:
        """Section 4.3: neither a failure nor a document that is refused is kept, nor what there was before.

        Of one that cannot be had now it stays known that it was read: what is held of it serves nobody any more.
        """
        del self._flights[client_id]
        if flight.cancelled() or not isinstance(flight.exception(), UnreachableError | None):
            self._held.pop(client_id, None)

    async def _fetch(self, client_id: str, setting: ClientDocuments, standing: Standing) -> Client:
        self._count(host_of(client_id) if standing == "new" else client_id)
        under_way = self._under_way[standing]
        if len(under_way) >= AT_ONCE:
            under_way.pop(next(iter(under_way))).reschedule(asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(None) as under_way[client_id]:
                fetched = await self._egress.request("GET", client_id, headers=_ACCEPT)
        except EgressError as error:
            raise UnreachableError(str(error)) from None
        except TimeoutError:
            raise UnreachableError(f"It made room: {AT_ONCE} documents were asked for after it.") from None
        finally:
            under_way.pop(client_id, None)
        if fetched.status != 200:
            raise UnreachableError(f"It answers {fetched.status}.")
        document = read(fetched.body, fetched.headers.get("content-type", ""))
        client = self._describe(document, client_id, setting, self._config, at=self._ambient.now())
        self._held.pop(client_id, None)  # the newest goes to the end
        while len(self._held) >= MOST:
            del self._held[next(iter(self._held))]
        self._held[client_id] = _Held(client, self._ambient.monotonic() + freshness(fetched.headers))
        return client

    def _count(self, asked: str) -> None:
        """`asked`: a host, or one document."""
        now = self._ambient.monotonic()
        began, count = self._fetches.get(asked, (now, 0))
        if now - began >= 60:
            began, count = now, 0
        if count >= PER_MINUTE:
            raise UnreachableError(f"{asked} was asked {PER_MINUTE} times within a minute.")
        self._fetches.pop(asked, None)  # the one that is asked goes to the end
        while len(self._fetches) >= MOST:
            del self._fetches[next(iter(self._fetches))]
        self._fetches[asked] = (began, count + 1)


def read(body: bytes, content_type: str) -> dict[str, Any]:
    """Section 4.1: one JSON object of a media type for JSON.

    Raises:
        ClientDocumentError
    """
    if not _MEDIA_TYPE.fullmatch(content_type.partition(";")[0].strip().lower()):
        raise ClientDocumentError(f"It is served as {content_type[:100]!r}, and not as application/json.")
    if len(body) > MOST_BYTES:
        raise ClientDocumentError(f"It has {len(body)} bytes; at most {MOST_BYTES} are read.")
    try:
        return dict(parse_object(body))
    except JoseError as error:
        raise ClientDocumentError(f"It is not one JSON object: {error}") from None


def freshness(headers: Mapping[str, str]) -> float:
    """RFC 9111 section 5.2.2: the seconds of `max-age`, within our bounds."""
    control = headers.get("cache-control", "")
    if re.search(r"\bno-(?:store|cache)\b", control, re.IGNORECASE):
        return LEAST
    said = _MAX_AGE.search(control)
    return USUAL if said is None else min(max(float(said[1]), LEAST), LONGEST)


def _within(stored: Client, setting: ClientDocuments, config: Config) -> Client:
    """What was known of it, within what the settings give by now."""
    allowed = setting.scopes if setting.scopes is not None else config.scopes
    values = scope.join(value for value in scope.parse(stored.scope) if value in allowed)
    return replace(stored, scope=values, audiences=setting.audiences)


def merged(said: Client, stored: Client) -> Client:
    """What the document says, with what the store knows of the client."""
    return replace(said, epoch=stored.epoch, created_at=stored.created_at, updated_at=stored.updated_at)
