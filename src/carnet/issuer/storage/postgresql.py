"""PostgreSQL, or any engine that speaks its protocol: any number of issuer nodes on one database.

Verbs run at READ COMMITTED, and lock the rows that they decide by (`families.py` has the order). A transaction that was the
victim of a deadlock, or whose connection broke before its commit, is run again. High availability is PostgreSQL's own.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import asyncpg

from carnet.ambient import Ambient
from carnet.issuer.config import Config, ConfigError
from carnet.issuer.storage.dialect import POSTGRESQL, Dialect
from carnet.issuer.storage.ports import AlreadyExistsError, StaleError, StorageError, Store
from carnet.issuer.storage.statements import Batch, Row, Statement, Undo, Verb, storable
from carnet.issuer.storage.store import EngineStore

T = TypeVar("T")

CONNECTIONS = 10
"""Of each issuer process, at most."""
_TRIES = 8
_PATIENCE = 10.0  # seconds for a free connection, and for one statement
_SETTINGS = {
    "application_name": "carnet",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "10000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "15000",  # a node that died does not keep its locks
}
_GONE = (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InterfaceError, OSError)
_AGAIN = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,  # another node has migrated the schema
)
_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


def _failure(error: Exception) -> StorageError:
    """The error of the port for one of the driver's. Parameters are not repeated: only what the server says of itself."""
    if isinstance(error, asyncpg.UniqueViolationError):
        return AlreadyExistsError("There is a record with this key already.")
    if isinstance(error, asyncpg.ForeignKeyViolationError):
        return StaleError("A record that this one belongs to is gone.")
    if isinstance(error, asyncpg.PostgresError):
        return StorageError(f"PostgreSQL: {error.message} (SQLSTATE {error.sqlstate}).")
    if isinstance(error, TimeoutError):
        return StorageError(f"PostgreSQL did not answer within {_PATIENCE:.0f} s.")
    if isinstance(error, OSError):
        return StorageError(f"PostgreSQL cannot be reached: {error.strerror or type(error).__name__}.")
    return StorageError(f"PostgreSQL could not do what was asked: {type(error).__name__}.")


async def _keep(_: object) -> None:
    """Nothing to reset when a connection goes back to the pool: verbs leave no state behind."""


def _lost(connection: Any) -> bool:
    """Whether the server cannot be reached by it any more: then the pool has taken it back already."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


async def _run(connection: Any, request: Statement | Batch) -> list[Row]:
    sql = POSTGRESQL.render(request.sql)
    if isinstance(request, Statement):
        return cast(list[Row], await connection.fetch(sql, *request.parameters))
    await connection.executemany(sql, request.rows)
    return []


async def _drive(connection: Any, verb: Verb[T], *, writing: bool) -> T:
    rows: list[Row] | None = None
    while True:
        try:
            request = verb.send(cast(list[Row], rows))
        except StopIteration as stop:
            return cast(T, stop.value)
        if storable(request):
            rows = await _run(connection, request)
        elif writing:
            raise StorageError("A text that is not valid Unicode, or has U+0000 in it, cannot be stored.")
        else:
            rows = []  # what cannot be stored is not there


async def _transaction(connection: Any, verb: Verb[T]) -> T:
    transaction = connection.transaction()
    await transaction.start()
    try:
        answer = await _drive(connection, verb, writing=True)
    except Undo as undo:
        await transaction.rollback()
        return cast(T, undo.answer)
    except BaseException:
        if not _lost(connection):
            await transaction.rollback()
        raise
    try:
        await transaction.commit()
    except _GONE as error:
        raise StorageError(
            "The connection to PostgreSQL broke while a transaction was committed: whether it was is not known."
        ) from error
    return answer


async def _look_up(connection: Any, verb: Verb[T]) -> T:
    return await _drive(connection, verb, writing=False)


class PostgresqlEngine:
    """Drives verbs over a pool of connections, which belongs to the event loop that first uses it."""

    def __init__(self, url: str, ambient: Ambient, *, connections: int = CONNECTIONS) -> None:
        self._url = url
        self._ambient = ambient
        self._connections = connections
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    @property
    def dialect(self) -> Dialect:
        return POSTGRESQL

    async def write(self, verb: Callable[[], Verb[T]]) -> T:
        return await self._use(_transaction, verb)

    async def overhaul(self, verb: Callable[[], Verb[T]]) -> T:
        return await self.write(verb)

    async def read(self, verb: Callable[[], Verb[T]]) -> T:
        return await self._use(_look_up, verb)

    async def scan(self, verb: Callable[[], Verb[T]]) -> T:
        return await self.read(verb)

    async def close(self) -> None:
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def _use(self, work: Callable[[Any, Verb[T]], Coroutine[Any, Any, T]], verb: Callable[[], Verb[T]]) -> T:
        pool = self._pool or await self._open()
        for attempt in range(1, _TRIES + 1):
            try:
                async with pool.acquire(timeout=_PATIENCE) as connection:
                    try:
                        return await work(connection, verb())
                    except _ERRORS as error:
                        # A connection that broke before the commit has changed nothing (`_transaction` sees to the commit).
                        if attempt == _TRIES or not (isinstance(error, _AGAIN) or _lost(connection)):
                            raise
            except _ERRORS as error:
                raise _failure(error) from error
            await asyncio.sleep(self._ambient.entropy(1)[0] * 2**attempt / 256_000)
        raise AssertionError("The last try returns or raises.")

    async def _open(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._connecting:
            if self._closed:
                raise StorageError("The store is closed.")
            if self._pool is None:
                self._pool = await self._connect()
            return self._pool

    async def _connect(self) -> "asyncpg.Pool[asyncpg.Record]":
        try:
            return await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=self._connections,
                command_timeout=_PATIENCE,
                timeout=_PATIENCE,
                reset=_keep,
                server_settings=_SETTINGS,
            )
        except ValueError:
            # The driver's sentence may repeat a part of the URL, which has a password in it.
            raise ConfigError(
                "database is not a URL that PostgreSQL's driver can read: see that it is quoted."
            ) from None
        except _ERRORS as error:
            raise _failure(error) from error


def open_store(config: Config, ambient: Ambient) -> Store:
    """Open the database of `config.database`; connections are made when they are first needed."""
    if config.database is None:
        raise ConfigError("PostgreSQL needs the URL of a database.")
    return EngineStore(PostgresqlEngine(config.database, ambient))
