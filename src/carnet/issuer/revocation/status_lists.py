"""Token Status List (draft-ietf-oauth-status-list-21): the state of the revocation feed, for those who do not follow it.

An access token of a client that is registered for it names its place in a list of bits, which anybody may fetch and keep for
a minute. The bits are made of the epoch map when they are asked for, so that nothing has to be flipped.
"""

import asyncio
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from carnet.ambient import Ambient, Instant
from carnet.issuer.config import Config
from carnet.issuer.keyring import Keyring
from carnet.issuer.revocation.publisher import fresh_stream
from carnet.issuer.storage.ports import Store
from carnet.issuer.storage.records import ListedToken
from carnet.jose import base64url, sign_jwt
from carnet.oauth.access_token import AccessToken

TYP: Final = "statuslist+jwt"
MEDIA_TYPE: Final = "application/statuslist+jwt"

PATH: Final = "/status-lists"
SIZE: Final = 2**20
"""Places in a list."""
PERIOD: Final = 3_600
"""Seconds for which tokens are given places in one list; the next ones come into another."""
TTL: Final = 60
"""Section 5.1, `ttl`: seconds for which a list is good enough."""
EXPIRY: Final = 180
"""Section 5.1, `exp`: seconds after which a list says nothing any more."""
AGE: Final = 5.0
"""Seconds for which a list that was made, and the list of lists, serve whoever asks."""

REREAD: Final = 60.0
"""Seconds for which the bits of a list are those that were read, as long as nothing has been taken back since: it is only
signed anew. Until then it may have bits of tokens that have expired, of which nobody asks."""

_TRIES = 4
"""Random places that are tried in a list before it is taken to be full, and another one is begun."""


@dataclass(frozen=True, slots=True)
class _Made:
    token: str
    at: float
    """The monotonic clock when it was begun."""
    bits: bytes
    """As `compressed`."""
    read_at: float
    """The monotonic clock before its bits were read."""
    head: int | None
    """The number of the newest entry of the revocation feed before its bits were read; None: there were others without one."""


@dataclass(frozen=True, slots=True)
class _Published:
    uris: list[str]
    at: float
    """As of `_Made`."""


def compressed(places: Iterable[int], size: int = SIZE) -> bytes:
    """Section 4.1: one bit for each place, the lowest first, as ZLIB has it."""
    bits = bytearray(size // 8)
    for place in places:
        bits[place >> 3] |= 1 << (place & 7)
    return zlib.compress(bits, level=9)


class StatusLists:
    """One node's lists; all nodes on a database publish the same bits."""

    def __init__(self, config: Config, store: Store, keyring: Keyring, ambient: Ambient) -> None:
        self._config = config
        self._store = store
        self._keyring = keyring
        self._ambient = ambient
        self._made: dict[str, _Made] = {}
        self._published: _Published | None = None
        self._making = asyncio.Lock()

    async def with_place(self, token: AccessToken, kid: str) -> AccessToken:
        """Give a token that is about to be signed by the key `kid` its place: a random one, so that it says nothing of others."""
        period = token.issued_at // PERIOD
        # After an old database was put back there are other lists: nobody knows the places that are taken in those of before.
        stream = await self._store.revocations.stream(fresh_stream(self._ambient))
        listed = ListedToken(
            list_id="",
            index=0,
            token_id=token.token_id,
            subject=token.subject,
            client_id=token.client_id,
            sid=token.sid,
            epoch=token.epoch or 0,
            kid=kid,
            expires_at=token.expires_at,
            kept_until=max((period + 1) * PERIOD, token.expires_at + EXPIRY),
        )
        tries = 0
        while True:
            list_id = f"{period}-{tries // _TRIES}-{stream.name[:8]}"
            index = int.from_bytes(self._ambient.entropy(4), "big") % SIZE
            if await self._store.status_lists.place(structs.replace(listed, list_id=list_id, index=index)):
                return structs.replace(token, status={"status_list": {"idx": index, "uri": self._uri(list_id)}})
            tries += 1

    async def published(self) -> list[str]:
        """Section 9.3: the URIs of all lists; those who ask at the same time, or soon after, share one look at them."""
        async with self._making:
            known, monotonic = self._published, self._ambient.monotonic()
            if known is None or monotonic - known.at >= AGE:
                lists = await self._store.status_lists.published(at=self._ambient.now())
                known = self._published = _Published([self._uri(list_id) for list_id in lists], monotonic)
            return known.uris

    async def signed(self, list_id: str) -> str | None:
        """Section 5.1: a list; those who ask at the same time, or soon after, get the same one. None: there is none."""
        async with self._making:
            made = self._made.get(list_id)
            if made is not None and self._ambient.monotonic() - made.at < AGE:
                return made.token
            at, monotonic = self._ambient.now(), self._ambient.monotonic()
            head = await self._store.revocations.settled()  # before the bits: what comes meanwhile has a higher number
            if made is not None and (made.head is None or made.head != head or monotonic - made.read_at >= REREAD):
                made = None
            bits = await self._bits(list_id, made, at=at)
            if bits is None:
                self._made.pop(list_id, None)
                return None
            token = await self._sign(list_id, bits, at=at)
            read_at = monotonic if made is None else made.read_at
            self._made = {known: made for known, made in self._made.items() if monotonic - made.read_at < REREAD}
            self._made[list_id] = _Made(token, monotonic, bits, read_at, head)
            return token

    async def _bits(self, list_id: str, made: _Made | None, *, at: Instant) -> bytes | None:
        """Those of the list that was made, if it still holds; None: there is no such list any more."""
        if made is not None:
            return made.bits if await self._store.status_lists.there(list_id, at=at) else None
        places = await self._store.status_lists.taken_back(list_id, at=at)
        return None if places is None else await asyncio.to_thread(compressed, places)

    async def _sign(self, list_id: str, bits: bytes, *, at: Instant) -> str:
        claims = {
            "iss": self._config.issuer,
            "sub": self._uri(list_id),
            "iat": at,
            "exp": at + EXPIRY,
            "ttl": TTL,
            "status_list": {
                "bits": 1,
                "lst": base64url.text(bits),
                "aggregation_uri": self._config.issuer + PATH,
            },
        }
        return sign_jwt(claims, await self._keyring.signing_key(), typ=TYP)

    def _uri(self, list_id: str) -> str:
        return f"{self._config.issuer}{PATH}/{list_id}"
