"""Whether a verified token has been taken back, looked up in memory; and what a route does when nobody can be sure."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

from carnet.feed.epoch_map import Marks, TokenNames
from carnet.feed.follower import Follower
from carnet.feed.roster import checked_name
from carnet.guard.principal import Principal

WhenStale: TypeAlias = Literal["introspect", "reject", "allow"]
"""What a route does with a good token once the feed is older than the bound: `introspect` asks the issuer (RFC 7662), `reject`
answers 503 until the feed is back, `allow` goes on until the token expires."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """How a guard follows the issuer's revocation feed."""

    bound: float = 30.0
    """Seconds, 5 to 300: a feed whose newest signed time is older is stale."""
    when_stale: WhenStale = "reject"
    """For routes that do not say otherwise. `introspect` needs credentials for the introspection endpoint."""
    relay: str | None = None
    """The URL of a relay that carries the feed in the issuer's place (`carnet relay`)."""
    name: str | None = None
    """How this guard names itself to administrators, 1 to 80 printable ASCII characters; None: its audience and a number."""

    def __post_init__(self) -> None:
        """Raises ValueError for a bound that is out of its range, and for a name that is none."""
        if self.name is not None:
            checked_name(self.name)
        if not 5 <= self.bound <= 300:
            raise ValueError(
                "bound is 5 to 300 seconds: below, heartbeats come too seldom; above, tokens have expired."
            )


class Verdict(Enum):
    """What the view says of a token."""

    GOOD = "good"
    TAKEN_BACK = "taken back"
    STALE = "stale"
    """Good as far as is known, but the feed is older than the bound."""
    NOT_READY = "not ready"
    """There was no snapshot yet: nobody can say."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """A token that was looked up: good under a generation of the map."""

    generation: int
    key: bytes
    marks: Marks


class RevocationView:
    """The epoch map as one guard asks it: a token that was seen before costs one look-up and the reading of a clock."""

    def __init__(self, settings: Revocation, follower: Follower, *, remembered: int = 4096) -> None:
        self.settings = settings
        self._follower = follower
        self._remembered = remembered
        self._looked: dict[str, _Looked] = {}

    def judge(self, token: str, principal: Principal, *, monotonic: float) -> Verdict:
        """Look a verified token up. What is known to be taken back is refused however old the feed is."""
        follower = self._follower
        staleness = follower.staleness(monotonic=monotonic)
        if staleness is None:
            return Verdict.NOT_READY
        entries, looked = follower.entries, self._looked.get(token)
        # The generation is read before the look-up: what is applied meanwhile, from another thread, makes it old.
        generation = entries.generation
        if looked is None or looked.generation != generation:
            marks = (
                looked.marks
                if looked is not None and looked.key == entries.key
                else names_of(principal).marks(entries.key)
            )
            if entries.refuses(marks):
                self._looked.pop(token, None)
                return Verdict.TAKEN_BACK
            self._remember(token, _Looked(generation, entries.key, marks))
        return Verdict.GOOD if staleness <= self.settings.bound else Verdict.STALE

    def _remember(self, token: str, looked: _Looked) -> None:
        if len(self._looked) >= self._remembered and token not in self._looked:
            self._looked = {}
        self._looked[token] = looked


def names_of(principal: Principal) -> TokenNames:
    """What a principal's token can be taken back by."""
    return TokenNames(
        subject=principal.subject,
        client_id=principal.client_id,
        jti=principal.token_id,
        kid=principal.key_id,
        sid=principal.session_id,
        epoch=principal.epoch,
    )
