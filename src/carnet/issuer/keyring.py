"""RFC 7517, RFC 9700: the issuer's signing keys: published, then signing, then published until their last token has expired."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from carnet.ambient import Ambient, Instant, lapsed
from carnet.issuer.config import Config
from carnet.issuer.revoking import LONGEST_ACCESS_TOKEN, entry
from carnet.issuer.storage.ports import SigningKeys
from carnet.issuer.storage.records import SigningKeyRecord
from carnet.jose import KeySet, SigningKey, VerifyingKey
from carnet.sealing import Sealer

REFRESH = 2.0
"""Seconds after which the keys are read again: so soon does a running issuer see what another process has changed."""

_MARGIN = 60
"""Seconds for which a key stays published beyond its last token: verifiers' leeway."""


class KeyringError(Exception):
    """A change of the keys that cannot be made; the message is a sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class _Ring:
    """The keys as they were read at one moment of the monotonic clock."""

    read_at: float
    records: tuple[SigningKeyRecord, ...]

    def published(self, *, at: Instant) -> tuple[SigningKeyRecord, ...]:
        return tuple(
            record
            for record in self.records
            if record.compromised_at is None and (record.retires_at is None or not lapsed(record.retires_at, at=at))
        )

    def signing(self, *, at: Instant) -> SigningKeyRecord | None:
        """The newest key whose time has come; before that of any has, the next one: better early than not at all."""
        published = self.published(at=at)
        ready = [record for record in published if record.signs_from <= at]
        if ready:
            return max(ready, key=_age)
        return min(published, key=_age, default=None)


def _age(record: SigningKeyRecord) -> tuple[Instant, Instant, str]:
    return record.signs_from, record.created_at, record.kid


class Keyring:
    """The signing keys in the store, read again every few seconds. What cannot be read is not signed with."""

    def __init__(self, config: Config, keys: SigningKeys, secret: bytes, ambient: Ambient) -> None:
        self._config = config
        self._keys = keys
        self._ambient = ambient
        self._sealer = Sealer(secret, "signing-key", ambient=ambient)
        self._ring: _Ring | None = None
        self._opened: dict[str, SigningKey] = {}
        self._public: dict[str, VerifyingKey] = {}
        self._reading = asyncio.Lock()

    async def signing_key(self) -> SigningKey:
        """The key that signs now.

        Raises:
            StorageError: the store does not answer.
            SealBrokenError: it was sealed under another secret key.
            KeyringError: there is none.
        """
        record = (await self._current()).signing(at=self._ambient.now())
        if record is None:
            raise KeyringError("There is no signing key: make one with `carnet key rotate`.")
        return self._open(record)

    async def key_set(self) -> KeySet:
        """The published keys, to verify our own tokens with."""
        return self._key_set((await self._current()).published(at=self._ambient.now()))

    async def all_keys(self) -> KeySet:
        """The retired ones too: to recognise what was once ours, and to let nobody in."""
        records = (await self._current()).records
        return self._key_set(tuple(record for record in records if record.compromised_at is None))

    async def jwks(self) -> dict[str, Any]:
        """RFC 7517 section 5: the published keys, those that do not sign yet included."""
        published = (await self._current()).published(at=self._ambient.now())
        return {"keys": [record.public for record in published]}

    async def list(self) -> list[SigningKeyRecord]:
        """All keys, oldest first."""
        return await self._keys.list()

    async def begin(self) -> None:
        """Make the first key where there is none; another one where the settings name another algorithm than before."""
        now = self._ambient.now()
        if not (await self._current()).published(at=now):
            await self._add(await self._fresh(signs_from=now), only_if_none=not (await self._current()).records)
        newest = max((await self._current()).published(at=now), key=_age, default=None)
        if newest is not None and newest.alg != self._config.signing_algorithm:
            with suppress(KeyringError):  # another process that starts with the same settings has made it
                await self.rotate()
        await self.signing_key()

    async def rotate(self) -> SigningKeyRecord:
        """Make a new key, which is published for `lifetimes.key_publication` seconds before it signs.

        The key before it stays published until the last token that it can have signed has expired.

        Raises:
            KeyringError: another process rotated at the same time.
        """
        now = self._ambient.now()
        last = max((await self._reread()).published(at=now), key=_age, default=None)
        signs_from = now if last is None else now + self._config.lifetimes.key_publication
        fresh = await self._fresh(signs_from=signs_from)
        if last is None or last.retires_at is not None:
            await self._add(fresh)
        elif not await self._keys.add(fresh, retiring=last.kid, retires_at=signs_from + self._longest_token()):
            raise KeyringError("The keys were rotated by another process at the same moment.")
        await self._reread()
        return fresh

    async def retire(self, kid: str, *, compromised: bool = False) -> None:
        """Stop publishing a key now; `compromised`: guards refuse what it has signed at once.

        If it was the one that signs, the next one signs from now on, and one is made if there is none.

        Raises:
            KeyringError: there is no such key.
        """
        now = self._ambient.now()
        records = (await self._reread()).published(at=now)
        if all(record.kid == kid for record in records):
            await self._add(await self._fresh(signs_from=now))
        revocations = (entry("key", kid, self._config, at=now),) if compromised else ()
        if not await self._keys.retire(kid, at=now, compromised=compromised, revocations=revocations):
            raise KeyringError(f"There is no key {kid!r}: `carnet key list` shows those that there are.")
        await self._reread()

    async def _current(self) -> _Ring:
        ring = self._ring
        if ring is None or self._ambient.monotonic() - ring.read_at >= REFRESH:
            async with self._reading:
                if self._ring is ring:  # nobody has read it while this call waited
                    return await self._reread()
                ring = self._ring
        return ring if ring is not None else await self._reread()

    async def _reread(self) -> _Ring:
        read_at = self._ambient.monotonic()
        self._ring = _Ring(read_at, tuple(await self._keys.list()))
        kids = {record.kid for record in self._ring.records if record.compromised_at is None}
        self._opened = {kid: key for kid, key in self._opened.items() if kid in kids}
        return self._ring

    async def _fresh(self, *, signs_from: Instant) -> SigningKeyRecord:
        key = await asyncio.to_thread(SigningKey.generate, self._config.signing_algorithm)  # RSA takes its time
        kid = key.public().thumbprint()
        return SigningKeyRecord(
            kid=kid,
            alg=key.alg,
            public=key.public().to_jwk(),
            sealed=self._sealer.seal(msgspec.json.encode(key.to_jwk()), context=kid.encode("ascii")),
            created_at=self._ambient.now(),
            signs_from=signs_from,
        )

    async def _add(self, record: SigningKeyRecord, *, only_if_none: bool = False) -> None:
        await self._keys.add(record, only_if_none=only_if_none)
        await self._reread()

    def _open(self, record: SigningKeyRecord) -> SigningKey:
        key = self._opened.get(record.kid)
        if key is None:
            private = self._sealer.open(record.sealed, context=record.kid.encode("ascii"))
            key = SigningKey.from_jwk(msgspec.json.decode(private), alg=record.alg)
            self._opened[record.kid] = key
        return key

    def _key_set(self, records: tuple[SigningKeyRecord, ...]) -> KeySet:
        for record in records:
            if record.kid not in self._public:
                self._public[record.kid] = VerifyingKey.from_jwk(record.public, alg=record.alg)
        return KeySet(self._public[record.kid] for record in records)

    def _longest_token(self) -> int:
        lifetimes = self._config.lifetimes
        return max(lifetimes.access_token, LONGEST_ACCESS_TOKEN, lifetimes.id_token) + _MARGIN
