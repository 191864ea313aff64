"""RFC 7517 section 5, rule J22: when to fetch an issuer's key set, and what to make of the answers. No I/O, no clock.

A driver asks `next` what to do, does it, and reports with `answered` or `failed`, until `next` says to wait. All instants are
seconds of a monotonic clock. One machine serves one issuer; what it has learnt is never lost by a failure.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from carnet.guard.metadata import Metadata, MetadataError, metadata_urls, read_metadata
from carnet.jose import JoseError, KeySet
from carnet.jose.strict_json import parse_object

Jitter: TypeAlias = Callable[[], float]
"""A fraction between 0 and 1, anew at each call: so that a thousand guards do not fetch in the same second."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The figures of rule A3, in seconds."""

    cooldown: float = 10
    """At least so long between two fetches that unknown keys ask for."""
    unknown: float = 60
    """A `kid` that was not found is not looked for again for so long."""
    unknown_limit: int = 256
    """So many of them are remembered."""
    keep: float = 24 * 3600
    """The last good set is used for so long when it cannot be fetched anew."""
    default_max_age: float = 300
    """For answers without a usable Cache-Control."""
    min_max_age: float = 60
    max_max_age: float = 3600
    first_retry: float = 1
    """After a failure; doubled at each further one."""
    last_retry: float = 60
    limit: int = 256 * 1024
    """Bytes of an answer's body."""
    answer: float = 5
    """What one answer may take in all."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Get this URL, or post a form to it. Redirects are failures (rule A3)."""

    url: str
    etag: str | None
    limit: int
    """Bytes of the answer's body."""
    seconds: float = 5
    """From the first packet to the last byte."""
    form: Mapping[str, str] | None = field(default=None, repr=False)
    authorization: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before that instant."""

    until: float


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: header names are lower-case, the body is at most `Fetch.limit` bytes long."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class KeySetMachine:
    """The life of one issuer's key set."""

    def __init__(
        self, issuer: str, *, algorithms: Sequence[str], jitter: Jitter, at: float, timing: Timing | None = None
    ) -> None:
        """Raises MetadataError if `issuer` is not an https URL (or http to this machine)."""
        self.issuer = issuer
        self.timing = timing or Timing()
        self._algorithms = tuple(algorithms)
        self._jitter = jitter
        self._places = metadata_urls(issuer)
        self._place = 0
        self._keys: KeySet | None = None
        self._listed: frozenset[str] = frozenset()
        """The kids of the set's keys, of those too that cannot be used here."""
        self._metadata: Metadata | None = None
        self._find_again = True
        self._etag: str | None = None
        self._fresh_since = at
        self._due = at
        self._asked_at: float | None = None
        self._unknown: dict[str, float] = {}
        self._failures = 0
        self.last_failure: str | None = None
        """Why the newest fetch failed, for people; None when it did not."""

    @property
    def metadata(self) -> Metadata | None:
        """The newest good metadata."""
        return self._metadata

    def keys(self, at: float) -> KeySet | None:
        """The newest good set; None before the first one, and when it is too old to be trusted."""
        if self._keys is None or at - self._fresh_since > self.timing.keep:
            return None
        return self._keys

    def age(self, at: float) -> float | None:
        """Seconds since the set was last confirmed by the issuer; None before the first."""
        return None if self._keys is None else at - self._fresh_since

    def wanted(self, kid: str, at: float) -> bool:
        """Report that a token names a key that the set lacks; True if a fetch is now due because of it.

        Whoever invents names causes one fetch each `cooldown` at most, and each name is looked for once in `unknown` seconds.
        """
        looked_for = self._unknown.get(kid)
        if looked_for is not None and at - looked_for < self.timing.unknown:
            return False
        if self._asked_at is not None and at - self._asked_at < self.timing.cooldown:
            return False
        self._asked_at = at
        self._unknown.pop(kid, None)
        while len(self._unknown) >= self.timing.unknown_limit:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[kid] = at
        self._due = min(self._due, at)
        return True

    def announced(self, kids: Iterable[str], at: float) -> bool:
        """Report that the issuer says which keys it publishes; True if a fetch is now due because one is not in the set."""
        return any(self.wanted(kid, at) for kid in kids if kid not in self._listed)

    def next(self, at: float) -> Fetch | Wait:
        """What to do now: metadata first, then the key set at the place that it names."""
        if at < self._due:
            return Wait(self._due)
        if self._find_again or self._metadata is None:
            return Fetch(self._places[self._place], None, self.timing.limit, self.timing.answer)
        return Fetch(self._metadata.jwks_uri, self._etag, self.timing.limit, self.timing.answer)

    def answered(self, response: Response, at: float) -> None:
        """Take in what came back for the fetch that `next` asked for."""
        if self._find_again or self._metadata is None:
            self._take_metadata(response, at)
        else:
            self._take_keys(response, at)

    def failed(self, why: str, at: float) -> None:
        """Report that nothing usable came back. What is known stays; the metadata is read again, as places can change."""
        self.last_failure = why
        self._find_again = True
        self._place = 0
        wait = min(self.timing.first_retry * 2.0 ** min(self._failures, 16), self.timing.last_retry)
        self._failures += 1
        self._due = at + wait * (0.75 + 0.25 * self._jitter())

    def _take_metadata(self, response: Response, at: float) -> None:
        if response.status == 404 and self._place + 1 < len(self._places):
            self._place += 1
            return
        if response.status != 200:
            self.failed(f"The metadata answered with status {response.status}.", at)
            return
        try:
            metadata = read_metadata(response.body, issuer=self.issuer)
        except MetadataError as error:
            self.failed(str(error), at)
            return
        if self._metadata is None or metadata.jwks_uri != self._metadata.jwks_uri:
            self._etag = None
        self._metadata = metadata
        self._find_again = False
        self._place = 0

    def _take_keys(self, response: Response, at: float) -> None:
        if response.status == 304 and self._keys is not None and self._etag is not None:
            self._confirmed(response, at)
            return
        if response.status != 200:
            self.failed(f"The key set answered with status {response.status}.", at)
            return
        try:
            keys = KeySet.from_jwks(response.body, algorithms=self._algorithms)
        except JoseError as error:
            self.failed(f"The key set cannot be read: {error}", at)
            return
        if not len(keys):
            self.failed("The key set has no key that can be used here.", at)
            return
        if (
            self._keys is None or keys.to_jwks() != self._keys.to_jwks()
        ):  # the same set: what it verified stays remembered
            self._keys = keys
        self._listed = _kids(response.body)
        self._etag = response.headers.get("etag")
        self._confirmed(response, at)

    def _confirmed(self, response: Response, at: float) -> None:
        """Refresh well before the answer's max-age ends: somewhere between a half and three quarters of it."""
        max_age = _max_age(response.headers, default=self.timing.default_max_age)
        max_age = min(max(max_age, self.timing.min_max_age), self.timing.max_max_age)
        self._fresh_since = at
        self._due = at + max_age * (0.5 + 0.25 * self._jitter())
        self._failures = 0
        self.last_failure = None


def _kids(body: bytes) -> frozenset[str]:
    """All kids in a key set that has been read."""
    listed = parse_object(body)["keys"]
    return frozenset(kid for key in listed if isinstance(key, Mapping) and isinstance(kid := key.get("kid"), str))


def _max_age(headers: Mapping[str, str], *, default: float) -> float:
    """RFC 9111 section 5.2.2.1; `Age` is taken off. 0 for what must not be stored or must be asked about each time."""
    directives = headers.get("cache-control", "").lower()
    if re.search(r"\bno-(store|cache)\b", directives):
        return 0
    found = re.search(r"\bmax-age=\"?(\d{1,9})\b", directives)
    if found is None:
        return default
    age = headers.get("age", "")
    return int(found[1]) - (int(age) if re.fullmatch(r"\d{1,9}", age) else 0)
