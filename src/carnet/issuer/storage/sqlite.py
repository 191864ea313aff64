"""SQLite: one thread writes, and commits the verbs that wait for it as one transaction; reads run beside it.

The file is in write-ahead-log mode with full synchronisation (https://www.sqlite.org/wal.html): when a verb has answered, what
it did survives a loss of power. Another process (the `carnet` command) may work on the same file.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar, cast

from carnet.ambient import Ambient
from carnet.issuer.config import Config
from carnet.issuer.storage.dialect import SQLITE, Dialect
from carnet.issuer.storage.ports import AlreadyExistsError, StaleError, StorageError, Store
from carnet.issuer.storage.statements import Batch, Row, Statement, Undo, Verb, storable
from carnet.issuer.storage.store import EngineStore

T = TypeVar("T")

FILE_NAME = "carnet.db"
_OLDEST = (3, 37, 0)  # STRICT tables; RETURNING came with 3.35
_BUSY_SECONDS = 5.0
_GROUP = 128
"""At most so many verbs are committed together: it bounds how long the first one waits for the last."""
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


def _run(connection: sqlite3.Connection, request: Statement | Batch) -> list[Row]:
    sql = SQLITE.render(request.sql)
    if isinstance(request, Statement):
        return connection.execute(sql, request.parameters).fetchall()
    connection.executemany(sql, request.rows)
    return []


def _drive(connection: sqlite3.Connection, verb: Verb[T], *, writing: bool) -> T:
    rows: list[Row] | None = None
    while True:
        try:
            request = verb.send(cast(list[Row], rows))
        except StopIteration as stop:
            return cast(T, stop.value)
        if storable(request):
            rows = _run(connection, request)
        elif writing:
            raise StorageError("A text that is not valid Unicode, or has U+0000 in it, cannot be stored.")
        else:
            rows = []  # what cannot be stored is not there


class _Job(Generic[T]):
    """A verb that waits for the writer, and where its answer goes."""

    __slots__ = ("answer", "error", "future", "loop", "verb")

    def __init__(self, verb: Callable[[], Verb[T]], loop: asyncio.AbstractEventLoop) -> None:
        self.verb = verb
        self.loop = loop
        self.future: asyncio.Future[T] = loop.create_future()
        self.answer: T | None = None
        self.error: Exception | None = None

    def resolve(self) -> None:
        """Runs on the loop that waits."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(cast(T, self.answer))


class _Writer:
    """The one thread that writes."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._waiting: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="carnet-sqlite-writer", daemon=True)
        self._thread.start()

    def submit(self, job: _Job[T]) -> None:
        if self._waiting.qsize() >= _WAITING:
            raise StorageError(f"More than {_WAITING} writes are waiting: try again later.")
        self._waiting.put(job)

    def close(self) -> None:
        """Finish what waits, then stop."""
        self._waiting.put(None)
        self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        open_ = True
        while open_:
            group: list[_Job[Any]] = []
            job = self._waiting.get()
            while job is not None:
                group.append(job)
                if len(group) >= _GROUP:
                    break
                try:
                    job = self._waiting.get_nowait()
                except Empty:
                    break
            open_ = job is not None
            if group:
                self._commit(group)
                _answer(group)

    def _commit(self, group: list[_Job[Any]]) -> None:
        """Run a group as one transaction; if that fails as a whole, each on its own, so that one cannot spoil the others."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for job in group:
                self._savepoint(job)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            if len(group) == 1:
                group[0].answer, group[0].error = None, _failure(error)
                return
            for job in group:
                self._commit([job])

    def _savepoint(self, job: _Job[Any]) -> None:
        job.answer = job.error = None
        self._connection.execute("SAVEPOINT verb")
        try:
            job.answer = _drive(self._connection, job.verb(), writing=True)
        except Undo as undo:
            self._connection.execute("ROLLBACK TO verb")
            job.answer = undo.answer
        except Exception as error:
            # Whatever goes wrong goes to the caller who waits, not to this thread.
            if not self._connection.in_transaction:
                # SQLite has rolled everything back by itself (https://www.sqlite.org/lang_transaction.html, section 3).
                raise sqlite3.OperationalError(str(error)) from error
            self._connection.execute("ROLLBACK TO verb")
            job.error = _failure(error) if isinstance(error, _UNSTORABLE) else error
        self._connection.execute("RELEASE verb")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _answer(group: list[_Job[Any]]) -> None:
    for loop in {job.loop for job in group}:
        jobs = [job for job in group if job.loop is loop]
        try:
            loop.call_soon_threadsafe(_resolve, jobs)
        except RuntimeError:  # the loop was closed: nobody waits any more
            continue


def _resolve(jobs: list[_Job[Any]]) -> None:
    for job in jobs:
        job.resolve()


class SqliteEngine:
    """Drives verbs against one SQLite file."""

    def __init__(self, path: Path) -> None:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise StorageError(f"SQLite {sqlite3.sqlite_version} is too old: Carnet needs 3.37 or newer.")
        try:
            prepare_file(path)
            self._scanner = connect(path)
            # Looking a few rows up takes less time than handing the question to a thread: it is done in place, and never waits.
            self._reader = connect(path)
            self._reader.execute("PRAGMA busy_timeout = 0")
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
        job = _Job(verb, asyncio.get_running_loop())
        self._writer.submit(job)
        return await job.future

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
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        self._scans.shutdown()
        self._reader.close()
        self._scanner.close()
        self._writer.close()

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
