"""Entries of the epoch map: how long they live, and the ones that follow from common changes."""

from msgspec.structs import replace

from carnet.ambient import Instant
from carnet.issuer.config import Config
from carnet.issuer.storage.ports import Store
from carnet.issuer.storage.records import Revocation, RevocationKind

_MARGIN = 100
"""Seconds: guards' leeway 60, a token that is being issued meanwhile 10, lag 30."""


_KEYS_KEPT = 86_400
"""Seconds for which a guard that cannot fetch the key set goes on with its last one: whoever has a key makes tokens that
expire when they like."""


async def outliving(config: Config, store: Store, *, at: Instant) -> Config:
    """The settings with the bound that living access tokens have: an older one, for a while after it was lowered."""
    longest = await store.revocations.longest_token(config.lifetimes.longest_access_token, at=at)
    return replace(config, lifetimes=replace(config.lifetimes, longest_access_token=longest))


def entry_lifetime(config: Config) -> int:
    """Seconds that an entry lives: until the last access token that it could concern has expired everywhere.

    `config` is `outliving`, as the desk's is.
    """
    return config.lifetimes.longest_access_token + _MARGIN


def entry(kind: RevocationKind, value: str, config: Config, *, at: Instant, epoch: int | None = None) -> Revocation:
    """The entry that takes `value` back from `at` on."""
    lifetime = entry_lifetime(config) + (_KEYS_KEPT if kind == "key" else 0)
    return Revocation(kind=kind, value=value, epoch=epoch, expires_at=at + lifetime)
