"""RFC 7517, RFC 9700: the issuer's keys: published, then signing, then published until their last token has expired."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from carnet.ambient import Ambient, Instant, lapsed
from carnet.issuer.acknowledgement import lacking
from carnet.issuer.config import Config
from carnet.issuer.revoking import entry
from carnet.issuer.storage.ports import Store
from carnet.issuer.storage.records import KeyPurpose, Lacking, SigningKeyRecord
from carnet.jose import KeySet, SigningKey, VerifyingKey
from carnet.jose.encryption_keys import DecryptionKey
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

    def of(self, purpose: KeyPurpose, alg: str | None = None, *, at: Instant) -> tuple[SigningKeyRecord, ...]:
        """The published ones for a purpose, and of an algorithm where it matters."""
        return tuple(key for key in self.published(at=at) if key.purpose == purpose and alg in {None, key.alg})

    def chosen(self, purpose: KeyPurpose, alg: str | None = None, *, at: Instant) -> SigningKeyRecord | None:
        """The newest key whose time has come; before that of any has, the next one: better early than not at all."""
        published = self.of(purpose, alg, at=at)
        ready = [record for record in published if record.signs_from <= at]
        overtaken = {record.follows for record in ready}  # one that waited longer than the one after it
        return max(
            (record for record in ready if record.kid not in overtaken),
            key=_age,
            default=min(published, key=_age, default=None),
        )


def _age(record: SigningKeyRecord) -> tuple[bool, Instant, Instant, str]:
    """The last one of all is the one that has no end yet."""
    return record.retires_at is None, record.created_at, record.signs_from, record.kid


class Keyring:
    """The keys in the store, read again every few seconds. What cannot be read is not signed with."""

    def __init__(self, config: Config, store: Store, secret: bytes, ambient: Ambient) -> None:
        self._config = config
        self._keys = store.signing_keys
        self._reports = store.feed_reports
        self._ambient = ambient
        self._sealer = Sealer(secret, "signing-key", ambient=ambient)
        self._ring: _Ring | None = None
        self._latest: tuple[_Ring, Instant, SigningKey] | None = None
        """The key that signs, of which keys and since when: chosen once for all tokens of a second."""
        self._opened: dict[str, SigningKey] = {}
        self._decrypting: dict[str, DecryptionKey] = {}
        self._public: dict[str, VerifyingKey] = {}
        self._reading = asyncio.Lock()

    async def signing_key(self, alg: str | None = None) -> SigningKey:
        """The key that signs now; for another `alg` than that one's a further key, made when it is first asked for.

        Raises:
            StorageError: the store does not answer.
            SealBrokenError: it was sealed under another secret key.
            KeyringError: there is none.
        """
        ring, now = await self._current(), self._ambient.now()
        if self._latest is None or self._latest[0] is not ring or self._latest[1] != now:
            record = ring.chosen("tokens", at=now)
            if record is None:
                raise KeyringError("There is no signing key: make one with `carnet key rotate`.")
            self._latest = ring, now, self._open(record)
        key = self._latest[2]
        return key if alg is None or alg == key.alg else self._open(await self._standing("further", alg))

    async def decryption_keys(self) -> tuple[DecryptionKey, ...]:
        """Those that clients encrypt to, and those that they may have fetched just before their end."""
        now = self._ambient.now()
        return tuple(
            self._open_decrypting(record)
            for record in (await self._current()).records
            if record.purpose == "encryption"
            and record.compromised_at is None
            and (record.retires_at is None or not lapsed(record.retires_at + self._publication, at=now))
        )

    async def key_set(self) -> KeySet:
        """The published keys that sign, to verify our own tokens with."""
        return self._key_set((await self._current()).published(at=self._ambient.now()))

    async def all_keys(self) -> KeySet:
        """The retired ones too: to recognise what was once ours, and to let nobody in."""
        records = (await self._current()).records
        return self._key_set(tuple(record for record in records if record.compromised_at is None))

    async def jwks(self) -> dict[str, Any]:
        """RFC 7517 section 5: the published keys, those that do not sign yet included."""
        published = (await self._current()).published(at=self._ambient.now())
        return {"keys": [record.public for record in published]}

    async def in_use(self) -> frozenset[str]:
        """The kids of those that sign now."""
        ring, now = await self._current(), self._ambient.now()
        further = {key.alg for key in ring.of("further", at=now)}
        chosen = (ring.chosen("tokens", at=now), *(ring.chosen("further", alg, at=now) for alg in further))
        return frozenset(key.kid for key in chosen if key is not None)

    async def token_kids(self) -> tuple[str, ...]:
        """The published keys that guards verify tokens with, those that do not sign yet included."""
        return tuple(sorted(key.kid for key in (await self._current()).of("tokens", at=self._ambient.now())))

    async def lacking(self, kid: str) -> Lacking:
        """The guards that listen to the feed and have not acknowledged that they hold this key."""
        return await lacking(self._reports, kid, at=self._ambient.now())

    async def list(self) -> list[SigningKeyRecord]:
        """All keys, oldest first."""
        return await self._keys.list()

    async def begin(self) -> None:
        """Make the first keys where there are none, and further ones where the settings name other algorithms than before."""
        now = self._ambient.now()
        if not (await self._current()).of("tokens", at=now):
            known = any(record.purpose == "tokens" for record in (await self._current()).records)
            await self._add(await self._fresh("tokens", self._config.signing_algorithm, now), only_if_none=not known)
        newest = max((await self._current()).of("tokens", at=now), key=_age, default=None)
        if newest is not None and newest.alg != self._config.signing_algorithm:
            with suppress(KeyringError):  # another process that starts with the same settings has made it
                await self.rotate()
        await self._begin_decrypting()
        await self.signing_key()

    async def rotate(self, *, after: int | None = None) -> SigningKeyRecord:
        """Make a new key for tokens, which is published for `lifetimes.key_publication` seconds before it signs.

        It then waits until every guard that listens to the feed has acknowledged that it holds it, for
        `lifetimes.key_acknowledgement` seconds at most. `after`: it signs so many seconds from now, whoever holds it. The key
        before it stays published until the last token that it can have signed has expired.

        Raises:
            KeyringError: another process rotated at the same time.
        """
        now = self._ambient.now()
        last = max((await self._reread()).of("tokens", at=now), key=_age, default=None)
        return await self._succeed(last, "tokens", self._config.signing_algorithm, after=after)

    async def rotate_others(self) -> tuple[SigningKeyRecord, ...]:
        """The same for each algorithm that clients are registered for, and for the keys that they encrypt to.

        Raises:
            KeyringError: another process rotated at the same time.
        """
        ring, now = await self._reread(), self._ambient.now()
        others = {(key.purpose, key.alg): key for key in sorted(ring.published(at=now), key=_age)}
        made = [
            await self._succeed(last, purpose, alg) for (purpose, alg), last in others.items() if purpose != "tokens"
        ]
        return tuple(made)

    async def retire(self, kid: str, *, compromised: bool = False) -> None:
        """Stop publishing a key now; `compromised`: guards refuse what it has signed at once.

        If it was the one that signs, the next one signs from now on, and one is made if there is none.

        Raises:
            KeyringError: there is no such key.
        """
        now = self._ambient.now()
        tokens = (await self._reread()).of("tokens", at=now)
        if all(record.kid == kid for record in tokens):
            await self._add(await self._fresh("tokens", self._config.signing_algorithm, now))
        revocations = (entry("key", kid, self._config, at=now),) if compromised else ()
        if not await self._keys.retire(kid, at=now, compromised=compromised, revocations=revocations):
            raise KeyringError(f"There is no key {kid!r}: `carnet key list` shows those that there are.")
        left = (await self._reread()).of("tokens", at=now)
        if all(record.retires_at is not None for record in left):  # it was to take the place of one that has its end
            await self.rotate()
        await self._begin_decrypting()

    async def _begin_decrypting(self) -> None:
        """A key for each algorithm of the settings, and the end of those for others."""
        algorithms, now = self._config.encryption_algorithms, self._ambient.now()
        for alg in algorithms:
            await self._standing("encryption", alg)
        for record in (await self._current()).of("encryption", at=now):
            if record.alg not in algorithms and record.retires_at is None:
                await self._keys.retire(record.kid, at=now + self._publication)

    async def _standing(self, purpose: KeyPurpose, alg: str) -> SigningKeyRecord:
        """The key of an algorithm; where there is none it is made, once, whoever asks."""
        now = self._ambient.now()
        found = (await self._current()).chosen(purpose, alg, at=now)
        if found is None:
            await self._add(await self._fresh(purpose, alg, now), only_if_none=True)
            found = (await self._current()).chosen(purpose, alg, at=now)
        if found is None:
            raise KeyringError(f"There is no key for {alg}, and none could be made.")
        return found

    async def _succeed(
        self, last: SigningKeyRecord | None, purpose: KeyPurpose, alg: str, *, after: int | None = None
    ) -> SigningKeyRecord:
        """Make the key after `last`, and give that one its end."""
        now = self._ambient.now()
        signs_from = now if last is None else now + (self._publication if after is None else after)
        fresh = await self._fresh(purpose, alg, signs_from)
        if purpose == "tokens" and last is not None:
            fresh = replace(fresh, follows=last.kid)
            if after is None:
                signs_from += self._config.lifetimes.key_acknowledgement
                fresh = replace(fresh, signs_from=signs_from, ready_from=fresh.signs_from)
        ends_at = signs_from if purpose == "encryption" else signs_from + self._longest_token()
        if last is None or last.retires_at is not None:
            await self._add(fresh)
        elif not await self._keys.add(fresh, retiring=last.kid, retires_at=ends_at):
            raise KeyringError("The keys were rotated by another process at the same moment.")
        await self._reread()
        return fresh

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
        records = await self._keys.list()
        if await self._brought_forward(records):
            records = await self._keys.list()
        self._ring = _Ring(read_at, tuple(records))
        kids = {record.kid for record in self._ring.records if record.compromised_at is None}
        self._opened = {kid: key for kid, key in self._opened.items() if kid in kids}
        self._decrypting = {kid: key for kid, key in self._decrypting.items() if kid in kids}
        return self._ring

    async def _brought_forward(self, records: Iterable[SigningKeyRecord]) -> bool:
        """Whether a key signs now that waited for guards, all of which hold it by now."""
        now = self._ambient.now()
        waiting = [
            key
            for key in records
            if key.ready_from is not None
            and key.ready_from <= now < key.signs_from
            and key.compromised_at is None
            and (key.retires_at is None or not lapsed(key.retires_at, at=now))
        ]
        held = [key.kid for key in waiting if not (await self.lacking(key.kid)).count]
        ends_at = now + self._longest_token()
        return any([await self._keys.bring_forward(kid, signs_from=now, retires_at=ends_at) for kid in held])

    async def _fresh(self, purpose: KeyPurpose, alg: str, signs_from: Instant) -> SigningKeyRecord:
        generate = DecryptionKey.generate if purpose == "encryption" else SigningKey.generate
        key: SigningKey | DecryptionKey = await asyncio.to_thread(generate, alg)  # RSA takes its time
        public = key.public()
        kid = public.thumbprint()
        return SigningKeyRecord(
            kid=kid,
            alg=key.alg,
            public=public.to_jwk(),
            sealed=self._sealer.seal(msgspec.json.encode(key.to_jwk()), context=kid.encode("ascii")),
            created_at=self._ambient.now(),
            signs_from=signs_from,
            purpose=purpose,
        )

    async def _add(self, record: SigningKeyRecord, *, only_if_none: bool = False) -> None:
        await self._keys.add(record, only_if_none=only_if_none)
        await self._reread()

    def _open(self, record: SigningKeyRecord) -> SigningKey:
        key = self._opened.get(record.kid)
        if key is None:
            key = SigningKey.from_jwk(self._private(record), alg=record.alg)
            self._opened[record.kid] = key
        return key

    def _open_decrypting(self, record: SigningKeyRecord) -> DecryptionKey:
        key = self._decrypting.get(record.kid)
        if key is None:
            key = DecryptionKey.from_jwk(self._private(record), alg=record.alg)
            self._decrypting[record.kid] = key
        return key

    def _private(self, record: SigningKeyRecord) -> dict[str, Any]:
        sealed = self._sealer.open(record.sealed, context=record.kid.encode("ascii"))
        return msgspec.json.decode(sealed, type=dict[str, Any])

    def _key_set(self, records: tuple[SigningKeyRecord, ...]) -> KeySet:
        records = tuple(record for record in records if record.purpose != "encryption")
        for record in records:
            if record.kid not in self._public:
                self._public[record.kid] = VerifyingKey.from_jwk(record.public, alg=record.alg)
        return KeySet(self._public[record.kid] for record in records)

    @property
    def _publication(self) -> int:
        return self._config.lifetimes.key_publication

    def _longest_token(self) -> int:
        lifetimes = self._config.lifetimes
        return max(lifetimes.longest_access_token, lifetimes.id_token) + _MARGIN
