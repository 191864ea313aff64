"""RFC 9106, RFC 8265 section 4.2: passwords are kept as Argon2id hashes, made in a bounded pool of threads of their own."""

import asyncio
import base64
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from carnet.ambient import Ambient
from carnet.issuer.storage.records import PasswordHash

MAX_BYTES = 1024
"""Of a password in UTF-8. A longer one is refused, never cut."""

_SALT_LENGTH = 16
_TAG_LENGTH = 32

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cost:
    """RFC 9106 section 3.1: what one hash takes."""

    memory: int
    """KiB."""
    passes: int
    lanes: int


COST = Cost(memory=19 * 1024, passes=2, lanes=1)
"""The only place where the cost is set: OWASP's figure for Argon2id, about 20 ms a hash on one core."""


class PasswordsBusyError(Exception):
    """More hashes are waiting than can be made in reasonable time: answer 503 with Retry-After."""


def prepare(password: str) -> str:
    """RFC 8265 section 4.2.2: any space is a plain space, and the text is in normalization form C."""
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in password)
    return unicodedata.normalize("NFC", spaced)


class Passwords:
    """Makes and checks hashes without ever holding up the event loop."""

    def __init__(self, ambient: Ambient, *, cost: Cost = COST, threads: int | None = None, waiting: int = 64) -> None:
        """`threads` hash at once (default: all cores but one), and at most `waiting` more wait for their turn."""
        threads = threads or max(1, (os.cpu_count() or 1) - 1)
        self._ambient = ambient
        self._hasher = PasswordHasher(
            time_cost=cost.passes,
            memory_cost=cost.memory,
            parallelism=cost.lanes,
            hash_len=_TAG_LENGTH,
            salt_len=_SALT_LENGTH,
        )
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._room = BoundedSemaphore(threads + waiting)
        salt, tag = (_unpadded(ambient.entropy(length)) for length in (_SALT_LENGTH, _TAG_LENGTH))
        self._nobodys = PasswordHash(f"$argon2id$v=19$m={cost.memory},t={cost.passes},p={cost.lanes}${salt}${tag}")
        # Nobody knows a password for it: what is checked against it costs the same as a real one and fails.

    async def hash(self, password: str) -> PasswordHash:
        """Hash a password that has been accepted.

        Raises:
            PasswordsBusyError: too many are waiting.
            ValueError: it is longer than `MAX_BYTES`.
        """
        prepared = prepare(password).encode()
        if len(prepared) > MAX_BYTES:
            raise ValueError(f"A password has at most {MAX_BYTES} bytes.")
        salt = self._ambient.entropy(_SALT_LENGTH)
        return PasswordHash(await self._run(lambda: self._hasher.hash(prepared, salt=salt)))

    async def verify(self, password: str, stored: PasswordHash | None) -> bool:
        """Whether this is the password.

        Rule O11: an account that does not exist, or has no password (`stored` is None), costs the same as one that does.

        Raises:
            PasswordsBusyError: too many are waiting.
        """
        prepared = prepare(password).encode()
        against = self._nobodys if stored is None or len(prepared) > MAX_BYTES else stored
        return await self._run(lambda: self._matches(against, prepared[:MAX_BYTES]))

    def outdated(self, stored: PasswordHash) -> bool:
        """Whether it was made at another cost than today's: then it is made anew at the next sign-in."""
        return self._hasher.check_needs_rehash(stored.phc)

    def close(self) -> None:
        """End the threads; hashes that wait are given up."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _matches(self, stored: PasswordHash, prepared: bytes) -> bool:
        try:
            return self._hasher.verify(stored.phc, prepared)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._room.acquire(blocking=False):
            raise PasswordsBusyError("Too many passwords are waiting to be checked.")
        try:
            job = self._pool.submit(work)
        except RuntimeError:  # the pool is closed
            self._room.release()
            raise
        job.add_done_callback(self._leave)  # not when the caller goes: a thread that began a hash ends it
        return await asyncio.wrap_future(job)

    def _leave(self, job: Future[Any]) -> None:
        self._room.release()


def _unpadded(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")
