"""How a guard or a relay follows an issuer's revocation feed: what to ask for, and what to make of the answers. No I/O, no clock.

A driver asks `next` what to do, does it, and reports with `answered`, `listening`, `event`, `ended` or `failed`. Signatures
alone decide what is believed; whoever carries the feed can only keep it back, and that shows in the follower's staleness.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlencode

from carnet.ambient import Instant
from carnet.feed.channel import Signed
from carnet.feed.follower import Follower, Outcome
from carnet.feed.messages import SNAPSHOT_LIMIT, RefusedError, Snapshot, feed_verifier, read_message, read_snapshot
from carnet.feed.roster import Introduction
from carnet.guard.event_stream import Event
from carnet.guard.key_set import Fetch, Jitter, Response, Wait
from carnet.guard.metadata import Metadata
from carnet.jose import JoseError, KeySet, Verified
from carnet.jose.errors import SignatureInvalidError, UnknownKeyError
from carnet.jose.header import parse_header
from carnet.jose.strict_json import parse_object

SILENCE = 12.0
"""Seconds without a message after which a stream is given up: twice the heartbeat and a margin."""

_FIRST_RETRY = 0.25
_LAST_RETRY = 5.0
_POLLING = 300.0
"""Seconds of polling before streaming is tried again, where a proxy seems to hold streams back."""
_WITHOUT_A_FEED = 60.0
"""Seconds until the metadata of an issuer without a feed is looked at again."""
_SILENT_STREAMS = 2
"""So many streams that end without one message are a proxy that holds them back."""
_SNAPSHOT_SECONDS = 60.0
_POLL_SECONDS = 30.0
"""The issuer holds a poll for up to 25."""
_POLL_LIMIT = 64 * 1024 * 1024
_MOST_KIDS = 16
"""So many are told at most."""
_TELL_AGAIN = 10.0
"""Seconds after which a relay that has more to say of those who listen to it comes again."""
_NO_KEYS = KeySet(())


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Fetch all that counts."""

    fetch: Fetch


@dataclass(frozen=True, slots=True)
class Listen:
    """Get this URL as an event stream, and go on until the machine says otherwise or nothing came for `SILENCE` seconds."""

    url: str


@dataclass(frozen=True, slots=True)
class Poll:
    """Fetch what is new."""

    fetch: Fetch


Step: TypeAlias = TakeSnapshot | Listen | Poll | Wait


class UnknownFeedKeyError(Exception):
    """The feed is signed with a key that the key set lacks; it may be one that the issuer has begun to use since."""

    def __init__(self, kid: str) -> None:
        super().__init__(f"The feed is signed with the unknown key {kid!r}.")
        self.kid = kid


class Tap(Protocol):
    """Whoever passes on what is followed gets it as it came, once it has been believed."""

    def message(self, signed: Signed) -> None:
        """A message that joined on to what was known."""

    def snapshot(self, snapshot: Snapshot, body: bytes) -> None:
        """A snapshot that took the place of what was known."""

    def introduction(self, name: str, kids: tuple[str, ...]) -> Introduction:
        """What is said further up, where these keys are held: for itself, and for those to whom it passes on."""


class FeedMachine:
    """The life of one connection to one issuer's feed, directly or through a relay."""

    def __init__(
        self,
        issuer: str,
        *,
        algorithms: Sequence[str],
        jitter: Jitter,
        at: float,
        relay: str | None = None,
        optional: bool = False,
        name: str | None = None,
        tap: Tap | None = None,
    ) -> None:
        """`relay`: the URL of a relay that carries the feed in the issuer's place.

        `optional`: an issuer whose metadata names no feed has none, and that is no failure. `name`: how it names itself where
        it listens. `tap`: whoever passes on what comes.
        """
        self.issuer = issuer
        self.follower = Follower()
        self._relay = relay
        self._optional = optional
        self._name = name
        self._tap = tap
        self._introduced: Introduction | None = None
        self._introduced_at = at
        self.announced: tuple[str, ...] = ()
        """The keys that the issuer publishes, as the newest message that says so has them."""
        self._announced_at: Instant = 0
        self._jitter = jitter
        self._verifier = feed_verifier(_NO_KEYS, issuer=issuer, algorithms=algorithms, admit=self._refuse_taken_back)
        self._due = at
        self._failures = 0
        self._gaps = 0
        self._silent = 0
        self._spoke = False
        self._polling_until = at
        self._told: str | None = None
        self.last_failure: str | None = None
        """Why the feed is not followed at the moment, for people; None while it is."""

    def news(self) -> str | None:
        """A failure that has not been told yet, for the log."""
        failure = None if self.last_failure == self._told else self.last_failure
        self._told = self.last_failure
        return failure

    def follows(self, metadata: Metadata | None) -> bool:
        """Whether there is a feed that tokens are to be looked up in."""
        return not self._optional or metadata is None or self._places(metadata) is not None

    def next(self, metadata: Metadata | None, at: float, keys: KeySet | None = None) -> Step:
        """What to do now; `keys` are told to whoever carries the feed, if it has a name to tell them under."""
        if at < self._due:
            return Wait(self._due)
        places = self._places(metadata)
        if places is None:
            if metadata is not None and self._optional:
                return Wait(at + _WITHOUT_A_FEED)
            missing = "could not be read" if metadata is None else "names no revocation feed"
            self.failed(f"The issuer's metadata {missing}.", at)
            return Wait(self._due)
        feed, snapshot = places
        if self.follower.wants_snapshot:
            return TakeSnapshot(_whole(snapshot))
        place: dict[str, Any] = {"stream": self.follower.stream, "after": self.follower.sequence}
        self._introduced, self._introduced_at = self._introduction(keys), at
        url = f"{feed}?{urlencode(place | _written(self._introduced), doseq=True)}"
        return Poll(Fetch(url, None, _POLL_LIMIT, _POLL_SECONDS)) if at < self._polling_until else Listen(url)

    def snapshot_fetch(self, metadata: Metadata | None) -> Fetch | None:
        """What gets the snapshot of this moment, out of turn; None where there is no feed."""
        places = self._places(metadata)
        return None if places is None else _whole(places[1])

    def believed(self, body: bytes, keys: KeySet | None, *, now: Instant) -> Snapshot:
        """Read a snapshot without taking it in.

        Raises:
            UnknownFeedKeyError: fetch the key set anew, and ask again.
            RefusedError: it is not one of this issuer's.
        """
        with _naming_the_key(body.partition(b"\n")[0].decode("ascii", "replace")):
            return read_snapshot(body, self._verifier, at=now, keys=keys or _NO_KEYS)

    def answered(
        self, step: TakeSnapshot | Poll, response: Response, keys: KeySet | None, *, now: Instant, at: float
    ) -> None:
        """Take in what came back; `now` is the wall clock.

        Raises:
            UnknownFeedKeyError: fetch the key set anew, and report the same answer again.
        """
        if response.status == 410:
            self._gap(at)
        elif response.status != 200:
            self.failed(f"The feed answered with status {response.status}.", at)
        elif isinstance(step, TakeSnapshot):
            self._take_snapshot(response.body, keys, now, at)
        else:
            self._take_messages(response.body, keys, now, at)

    def event(self, event: Event, keys: KeySet | None, *, now: Instant, at: float) -> bool:
        """Take in an event of a stream; False if the stream is of no more use.

        Raises:
            UnknownFeedKeyError: fetch the key set anew, and report the same event again.
        """
        if event.kind == "gap":
            self._gap(at)
            return False
        return self._take_message(event.data, keys, now, at)

    def _take_message(self, token: str, keys: KeySet | None, now: Instant, at: float) -> bool:
        try:
            with _naming_the_key(token):
                message = read_message(token, self._verifier, at=now, keys=keys or _NO_KEYS)
        except RefusedError as error:
            self.failed(str(error), at)
            return False
        self._spoke = True
        if message.kids is not None and message.issued_at >= self._announced_at:
            self.announced, self._announced_at = message.kids, message.issued_at
        if self.follower.take_message(message, at=now, monotonic=at) is Outcome.GAP:
            self._gap(at)
            return False
        if self._tap is not None and message.sequence == self.follower.sequence:  # else it was known long before
            self._tap.message(Signed(message, token))
        self._gaps = 0
        self._works()
        return not self.follower.wants_snapshot and not self._has_to_come_again(keys, at)

    def _has_to_come_again(self, keys: KeySet | None, at: float) -> bool:
        """With other keys it comes again, and tells them: a guard at once, one who speaks for many after a while."""
        if self._tap is not None:
            if at - self._introduced_at < _TELL_AGAIN:
                return False
            self._introduced_at = at
        return self._introduction(keys) != self._introduced

    def _introduction(self, keys: KeySet | None) -> Introduction | None:
        if self._name is None:
            return None
        kids = tuple(sorted(key.kid for key in keys or () if key.kid is not None))[:_MOST_KIDS]
        return Introduction(self._name, kids) if self._tap is None else self._tap.introduction(self._name, kids)

    def _take_snapshot(self, body: bytes, keys: KeySet | None, now: Instant, at: float) -> None:
        try:
            snapshot = self.believed(body, keys, now=now)
            self.follower.take_snapshot(snapshot, at=now, monotonic=at)
        except RefusedError as error:
            self.failed(str(error), at)
        else:
            if self._tap is not None:
                self._tap.snapshot(snapshot, body)
            self._works()

    def _take_messages(self, body: bytes, keys: KeySet | None, now: Instant, at: float) -> None:
        try:
            tokens = parse_object(body).get("messages")
        except JoseError as error:
            self.failed(f"The feed's answer cannot be read: {error}", at)
            return
        if not isinstance(tokens, tuple) or not all(isinstance(token, str) for token in tokens):
            self.failed("The feed answered without messages.", at)
            return
        for token in tokens:
            if not self._take_message(token, keys, now, at):
                return

    def listening(self, status: int, at: float) -> bool:
        """A stream's answer has begun; False if it is none."""
        self._spoke = False
        if status == 410:
            self._gap(at)
        elif status != 200:
            self.failed(f"The feed answered with status {status}.", at)
        return status == 200

    def ended(self, why: str, at: float) -> None:
        """A stream has ended, or nothing came for too long."""
        if self._spoke:
            self._silent = 0
        else:
            self._silent += 1
            if self._silent >= _SILENT_STREAMS:
                self._silent = 0
                self._polling_until = at + _POLLING
        self.failed(why, at)

    def failed(self, why: str, at: float) -> None:
        """Nothing usable came back. What is known stays; time goes on, and staleness with it."""
        self.last_failure = why
        wait = min(_FIRST_RETRY * 2.0 ** min(max(self._failures, self._gaps), 16), _LAST_RETRY)
        self._failures += 1
        self._due = at + wait * (0.5 + 0.5 * self._jitter())

    def _gap(self, at: float) -> None:
        """The other side cannot join on to where we are: only a snapshot helps. If that did not help before, wait longer."""
        self.follower.wants_snapshot = True
        self._gaps += 1
        if self._gaps > 1:
            self.failed("The feed does not join on to its own snapshot.", at)

    def _works(self) -> None:
        self._failures = 0
        self.last_failure = None

    def _places(self, metadata: Metadata | None) -> tuple[str, str] | None:
        if self._relay is not None:
            return f"{self._relay}/revocations", f"{self._relay}/revocations/snapshot"
        if metadata is None or metadata.revocations_endpoint is None or metadata.revocations_snapshot_endpoint is None:
            return None
        return metadata.revocations_endpoint, metadata.revocations_snapshot_endpoint

    def _refuse_taken_back(self, verified: Verified) -> None:
        """A key that was compromised does not speak for the feed either."""
        kid = verified.header.get("kid")
        if kid is not None and self.follower.taken_back("key", kid):
            raise SignatureInvalidError("The key that signed this was taken back.")


def _whole(url: str) -> Fetch:
    return Fetch(url, None, SNAPSHOT_LIMIT, _SNAPSHOT_SECONDS)


def _written(introduction: Introduction | None) -> dict[str, Any]:
    """As `carnet.outlet` reads it."""
    if introduction is None:
        return {}
    said: dict[str, Any] = {"guard": introduction.name}
    if introduction.kids is not None:
        said["keys"] = " ".join(introduction.kids)
    if introduction.guards != 1:
        said["guards"] = introduction.guards
    return said | ({"lacking": introduction.lacking} if introduction.lacking else {})


@contextmanager
def _naming_the_key(token: str) -> Iterator[None]:
    """What a key set lacks, it may have after a fetch: that is not the feed's fault."""
    try:
        yield
    except RefusedError as error:
        if isinstance(error.__cause__, UnknownKeyError):
            kid = parse_header(token.partition(".")[0].encode("ascii")).get("kid")
            if kid is not None:
                raise UnknownFeedKeyError(kid) from error
        raise
