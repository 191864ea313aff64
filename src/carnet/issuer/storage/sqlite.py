"""SQLite: one connection writes, and commits the verbs that wait for it as one transaction; reads run beside it.

The file is in write-ahead-log mode with full synchronisation (https://www.sqlite.org/wal.html): when a verb has answered, what
it did survives a loss of power. Other processes (further workers, the `carnet` command) work on the same file: they take turns.
"""

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar, TypeVarTuple, cast

from carnet.ambient import Ambient
from carnet.issuer.config import Config
from carnet.issuer.storage.dialect import SQLITE, Dialect
from carnet.issuer.storage.ports import AlreadyExistsError, StaleError, StorageError, Store
from carnet.issuer.storage.statements import Row, Statement, Undo, Verb, storable
from carnet.issuer.storage.store import EngineStore
from carnet.issuer.storage.turn import Turn

T = TypeVar("T")
A = TypeVarTuple("A")

FILE_NAME = "carnet.db"
_OLDEST = (3, 38, 0)  # the operator ->>; STRICT tables came with 3.37, RETURNING with 3.35
_BUSY_SECONDS = 5
_BEGIN = "BEGIN IMMEDIATE"
_WAIT, _NEVER_WAIT = f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}", "PRAGMA busy_timeout = 0"
_GROUP = 128
"""At most so many verbs are committed together: it bounds how long the first one waits for the last."""
_CHECKPOINT = 4_000
"""Pages of 4 KiB in the log until a commit brings them into the file, and waits twice more for the disk."""
_WAITING = 4_096
"""More waiting writes than that are refused at once: whoever is that late would not be answered in time."""


def _failure(error: Exception) -> StorageError:
    """The error of the port for one of SQLite's. What was asked may hold secrets, so nothing of it is repeated."""
    if isinstance(error, sqlite3.IntegrityError):
        if error.sqlite_errorname in {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}:
            return AlreadyExistsError("There is a record with this key already.")
        if error.sqlite_errorname == "SQLITE_CONSTRAINT_FOREIGNKEY":
            return StaleError("A record that this one belongs to is gone.")
    if isinstance(error, sqlite3.Error):
        return StorageError(f"SQLite: {error}.")
    return StorageError("A value cannot be stored.")


_UNSTORABLE = (sqlite3.Error, UnicodeError, OverflowError)


def _busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def connect(path: Path) -> sqlite3.Connection:
    """Open the file as every part of Carnet does: durably, and waiting a while for another process's lock."""
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute("PRAGMA trusted_schema = OFF")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def prepare_file(path: Path) -> None:
    """Make the file, and the directory if it is not there, so that nobody else on this machine can read them."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # SQLite syncs the files that it makes, and this one it finds
    finally:
        os.close(folder)


def _drive(connection: sqlite3.Connection, verb: Verb[T], *, writing: bool) -> T:
    render = SQLITE.render
    try:
        request = next(verb)
        while True:
            rows: list[Row] = []
            if storable(request):
                if isinstance(request, Statement):
                    rows = connection.execute(render(request.sql), request.parameters).fetchall()
                else:
                    connection.executemany(render(request.sql), request.rows)
            elif writing:
                raise StorageError("A text that is not valid Unicode, or has U+0000 in it, cannot be stored.")
            # else: what cannot be stored is not there
            request = verb.send(rows)
    except StopIteration as stop:
        return cast(T, stop.value)


class _LockedError(sqlite3.OperationalError):
    """What SQLite would say if it had been asked."""

    sqlite_errorcode = sqlite3.SQLITE_BUSY


class _Job(Generic[T]):
    """A verb that waits for its turn to write, and where its answer goes."""

    __slots__ = ("answer", "error", "future", "long", "verb")

    def __init__(self, verb: Callable[[], Verb[T]], future: "asyncio.Future[T]", *, long: bool) -> None:
        self.verb = verb
        self.future = future
        self.long = long
        self.answer: T | None = None
        self.error: Exception | None = None

    def fail(self, error: sqlite3.Error | None) -> None:
        """What happened to its transaction; None: it is committed, and what the verb itself has answered or raised stands."""
        if error is not None:
            self.answer, self.error = None, _failure(error)

    def resolve(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(cast(T, self.answer))


class _Writer:
    """The one connection that writes. It belongs to the event loop that first uses it.

    Verbs of a few rows run on the loop, each takes as long as a look-up; whatever may wait (for the disk, for another process's
    lock) or has many rows to change runs in a thread. So the two hand the interpreter's lock over twice for each group, and
    not twice for each statement.
    """

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._connection.execute(_NEVER_WAIT)
        self._turn = Turn(path.parent)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="carnet-sqlite-writer")
        self._waiting: deque[_Job[Any]] = deque()
        self._work: asyncio.Task[None] | None = None

    def submit(self, verb: Callable[[], Verb[T]], *, long: bool) -> "asyncio.Future[T]":
        if len(self._waiting) >= _WAITING:
            raise StorageError(f"More than {_WAITING} writes are waiting: try again later.")
        loop = asyncio.get_running_loop()
        if self._work is not None and self._work.get_loop() is not loop:
            raise RuntimeError("A store belongs to the event loop that used it first.")
        job = _Job(verb, loop.create_future(), long=long)
        self._waiting.append(job)
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._commit_what_waits())
        return job.future

    async def close(self) -> None:
        """Finish what waits, then stop."""
        if self._work is not None:
            await asyncio.wait([self._work])
        self._thread.shutdown()
        self._connection.close()
        self._turn.close()

    async def _commit_what_waits(self) -> None:
        """As one transaction; if that fails as a whole, each on its own, so that one cannot spoil the others."""
        while self._waiting:
            error = await self._begin()
            # Whatever has come while others had their turn goes along.
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _GROUP))]
            if error is None:
                error = await self._write(group)
            if error is not None and len(group) > 1 and not _busy(error):
                for job in group:
                    job.fail(await self._begin() or await self._write([job]))
            else:
                for job in group:
                    job.fail(error)
            for job in group:
                job.resolve()

    async def _begin(self) -> sqlite3.Error | None:
        try:
            if not await self._turn.take(_BUSY_SECONDS):
                raise _LockedError("database is locked")
            try:
                self._connection.execute(_BEGIN)
            except sqlite3.Error as error:
                if not _busy(error):
                    raise
                await self._apart(self._begin_patiently)
        except sqlite3.Error as error:
            self._turn.give()
            return error
        return None

    async def _write(self, group: list[_Job[Any]]) -> sqlite3.Error | None:
        """End what has begun."""
        try:
            if any(job.long for job in group):
                await self._apart(self._run_each, group)
            elif not self._run_together(group):
                error = await self._begin()
                if error is not None:
                    return error
                self._run_each(group)
            await self._apart(self._end, "COMMIT")
        except sqlite3.Error as error:
            await self._apart(self._roll_back)
            return error
        finally:
            self._turn.give()  # it was, unless something went wrong
        return None

    def _begin_patiently(self) -> None:
        """A program that knows nothing of turns writes: wait for it."""
        self._connection.execute(_WAIT)
        try:
            self._connection.execute(_BEGIN)
        finally:
            self._connection.execute(_NEVER_WAIT)

    async def _apart(self, work: Callable[[*A], object], *args: *A) -> None:
        """Run it in the thread. A task that is cancelled (its loop is about to end) first commits what it was given."""
        running = asyncio.get_running_loop().run_in_executor(self._thread, work, *args)
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        running.result()

    def _run_each(self, group: list[_Job[Any]]) -> None:
        for job in group:
            self._savepoint(job)

    def _run_together(self, group: list[_Job[Any]]) -> bool:
        """False: one of them raised, and nothing was done: the transaction has ended.

        Verbs that undo what they did are rare: only a group with one of them is run anew, each verb in a savepoint.
        """
        try:
            for job in group:
                job.answer, job.error = _drive(self._connection, job.verb(), writing=True), None
        except Exception:  # noqa: BLE001 - it is raised again where it is known whose it is
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            return False
        return True

    def _savepoint(self, job: _Job[Any]) -> None:
        job.answer = job.error = None
        self._connection.execute("SAVEPOINT verb")
        try:
            job.answer = _drive(self._connection, job.verb(), writing=True)
        except Undo as undo:
            self._connection.execute("ROLLBACK TO verb")
            job.answer = undo.answer
        except Exception as error:
            # Whatever goes wrong goes to the caller who waits, and to nobody else of the group.
            if not self._connection.in_transaction:
                # SQLite has rolled everything back by itself (https://www.sqlite.org/lang_transaction.html, section 3).
                raise sqlite3.OperationalError(str(error)) from error
            self._connection.execute("ROLLBACK TO verb")
            job.error = _failure(error) if isinstance(error, _UNSTORABLE) else error
        self._connection.execute("RELEASE verb")

    def _end(self, how: str) -> None:
        """In the thread, so that the turn is given on while the loop still has other things to do."""
        try:
            self._connection.execute(how)
        finally:
            self._turn.give()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._end("ROLLBACK")


class SqliteEngine:
    """Drives verbs against one SQLite file."""

    def __init__(self, path: Path) -> None:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise StorageError(f"SQLite {sqlite3.sqlite_version} is too old: Carnet needs 3.38 or newer.")
        try:
            prepare_file(path)
            self._scanner = connect(path)
            # Looking a few rows up takes less time than handing the question to a thread: it is done in place, and never waits.
            self._reader = connect(path)
            self._reader.execute(_NEVER_WAIT)
            self._writer = _Writer(path)
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"{path} cannot be used as a SQLite database: {error}.") from error
        self._scans = ThreadPoolExecutor(1, thread_name_prefix="carnet-sqlite-reader")
        self._closed = False

    @property
    def dialect(self) -> Dialect:
        return SQLITE

    async def write(self, verb: Callable[[], Verb[T]]) -> T:
        self._check_open()
        return await self._writer.submit(verb, long=False)

    async def overhaul(self, verb: Callable[[], Verb[T]]) -> T:
        self._check_open()
        return await self._writer.submit(verb, long=True)

    async def read(self, verb: Callable[[], Verb[T]]) -> T:
        self._check_open()
        try:
            return _drive(self._reader, verb(), writing=False)
        except sqlite3.Error as error:
            if _busy(error):  # another process recovers or closes the log: wait for it where waiting is allowed
                return await self.scan(verb)
            raise _failure(error) from error

    async def scan(self, verb: Callable[[], Verb[T]]) -> T:
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._scans, self._scan, verb)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._writer.close()
        await asyncio.get_running_loop().run_in_executor(None, self._scans.shutdown)
        self._reader.close()
        self._scanner.close()

    def _scan(self, verb: Callable[[], Verb[T]]) -> T:
        try:
            return _drive(self._scanner, verb(), writing=False)
        except sqlite3.Error as error:
            raise _failure(error) from error

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("The store is closed.")


def open_store(config: Config, _ambient: Ambient) -> Store:
    """Open `carnet.db` in the data directory."""
    return EngineStore(SqliteEngine(config.data / FILE_NAME))
