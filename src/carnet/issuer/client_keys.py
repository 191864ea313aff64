"""RFC 7591 section 2, `jwks` and `jwks_uri`: the public keys of clients, with which they sign assertions and requests."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from carnet.ambient import Ambient
from carnet.issuer.egress import Egress, EgressError
from carnet.jose import KeySet
from carnet.jose.errors import MalformedError
from carnet.jose.key_set import MAX_KEYS
from carnet.jose.strict_json import parse_object

ALGORITHMS = ("ES256", "PS256", "RS256", "Ed25519", "EdDSA", "ES384", "ES512", "PS384", "PS512", "RS384", "RS512")
"""With which clients may sign; public-key signatures alone."""

FRESH = 300.0
"""Seconds that a fetched set is used without a look at its URL."""
PAUSE = 10.0
"""Seconds between two fetches of one URL, whatever keys are asked for and whatever fails (rule J22)."""
LAST_GOOD = 86_400.0
"""Seconds that a set is used while its URL does not answer."""
MOST = 1_000
"""Sets that are kept; the one that was fetched first goes first."""


class Published(Protocol):
    """A client, or an issuer of assertions: its keys are in its registration, or at a URL."""

    @property
    def jwks(self) -> dict[str, Any] | None: ...

    @property
    def jwks_uri(self) -> str | None: ...


@dataclass(slots=True)
class _Held:
    document: Mapping[str, Any] | None = None
    fetched_at: float = float("-inf")
    tried_at: float = float("-inf")
    failure: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ClientKeys:
    """Finds the keys of clients; what was fetched is kept within bounds."""

    def __init__(self, egress: Egress, ambient: Ambient) -> None:
        self._egress = egress
        self._ambient = ambient
        self._held: dict[str, _Held] = {}

    async def key_set(self, client: Published, alg: str, kid: str | None) -> KeySet:
        """The client's keys for `alg`. A set without the key `kid` is fetched again, but not more often than each ten seconds.

        A key that does not name its algorithm serves `alg`; whoever calls has held `alg` against an allow-list.

        Raises:
            EgressError: the keys cannot be fetched.
            JoseError: they are not a usable JWK Set.
        """

        def has(document: Mapping[str, Any]) -> bool:
            return KeySet.from_jwks(document, algorithms=(alg,)).get(kid) is not None

        return KeySet.from_jwks(await self.document(client, has=has), algorithms=(alg,))

    async def document(self, client: Published, *, has: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        """The client's JWK Set as it is. One that lacks what is looked for is fetched again, as often as for `key_set`.

        Raises:
            EgressError: it cannot be fetched.
        """
        if client.jwks_uri is None:
            return client.jwks or {"keys": []}
        held = self._entry(client.jwks_uri)
        async with held.lock:  # one fetch for all that wait
            await self._freshen(client.jwks_uri, held, has)
        if held.document is None:
            raise EgressError(held.failure)
        return held.document

    def _entry(self, url: str) -> _Held:
        held = self._held.get(url)
        if held is None:
            while len(self._held) >= MOST:
                del self._held[next(iter(self._held))]
            held = self._held[url] = _Held()
        return held

    async def _freshen(self, url: str, held: _Held, has: Callable[[Mapping[str, Any]], bool]) -> None:
        now = self._ambient.monotonic()
        if now - held.tried_at < PAUSE:
            return
        if now - held.fetched_at < FRESH and held.document is not None and has(held.document):
            return
        held.tried_at = now
        try:
            document = _read(await self._egress.get(url, accept="application/jwk-set+json, application/json"))
        except (EgressError, MalformedError) as error:
            held.failure = f"The keys at {url!r} cannot be had: {error}"
            if now - held.fetched_at >= LAST_GOOD:
                held.document = None
            return
        held.document, held.fetched_at = document, now


def _read(answer: bytes) -> Mapping[str, Any]:
    document = parse_object(answer)
    if not isinstance(document.get("keys"), tuple):
        raise MalformedError("It has no array 'keys'.")
    if len(document["keys"]) > MAX_KEYS:
        raise MalformedError(f"It has more than {MAX_KEYS} keys: each is tried where one is looked for.")
    return document
