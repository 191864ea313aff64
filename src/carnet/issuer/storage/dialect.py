"""The few places where SQLite and PostgreSQL speak differently: everything else is written once.

Statements are written with `?` for parameters and with PostgreSQL's locking clauses; tables with SQLite's types.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

_LOCKING = re.compile(r"\s+FOR (?:KEY SHARE|SHARE|NO KEY UPDATE|UPDATE)(?: OF \w+)?(?: SKIP LOCKED)?")
_NUMBERED = "INTEGER PRIMARY KEY AUTOINCREMENT"
_TYPES = (
    # A document as JSON, for a migration that takes a member of it into a column: `CAST(document AS TEXT) ->> 'name'`.
    ("CAST(document AS TEXT)", "convert_from(document, 'UTF8')::json"),
    (_NUMBERED, "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    ("INTEGER", "BIGINT"),
    ("BLOB", "BYTEA"),
    # Pages are cut by the order of text: it must not depend on the locale that a database was made with.
    ("TEXT", 'TEXT COLLATE "C"'),
    (" WITHOUT ROWID, STRICT", ""),
    (" STRICT", ""),
)


@dataclass(frozen=True, slots=True)
class Dialect:
    name: str
    render: Callable[[str], str]
    """A statement in the words of this database."""
    render_table: Callable[[str], str]
    """A statement of a migration in the words of this database."""
    migration_lock: str | None
    """What makes a second process wait until the first has migrated, where the transaction itself does not."""


@lru_cache(maxsize=512)
def _without_locks(sql: str) -> str:
    # One writer at a time holds the whole file: row locks have nothing to add.
    return _LOCKING.sub("", sql)


@lru_cache(maxsize=512)
def _with_numbers(sql: str) -> str:
    head, *rest = sql.split("?")
    return head + "".join(f"${number}{part}" for number, part in enumerate(rest, start=1))


def _with_types(sql: str) -> str:
    for ours, theirs in _TYPES:
        sql = sql.replace(ours, theirs)
    return sql


SQLITE = Dialect("SQLite", _without_locks, str, None)
POSTGRESQL = Dialect("PostgreSQL", _with_numbers, _with_types, "SELECT pg_advisory_xact_lock(7164772395)")
