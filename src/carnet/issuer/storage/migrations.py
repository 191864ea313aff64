"""The schema, as a tuple of versions: each runs once, in one transaction, in this order.

Records are kept as JSON documents beside the columns that are looked up or compared, so that a new member of a record needs
no migration. A version that has been released is never changed: add the next one.
"""

from carnet.issuer.storage.dialect import Dialect
from carnet.issuer.storage.ports import StorageError
from carnet.issuer.storage.statements import Statement, Verb

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE account (
            subject TEXT PRIMARY KEY,
            email_key TEXT NOT NULL UNIQUE,
            name_key TEXT NOT NULL,
            disabled_at INTEGER,
            document BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE client (
            client_id TEXT PRIMARY KEY,
            document BLOB NOT NULL
        ) STRICT""",
        # `kept_until` is not an end but the time to look again whether anybody can still need the row (see sweeping.py).
        """CREATE TABLE session (
            sid TEXT PRIMARY KEY,
            digest BLOB NOT NULL UNIQUE,
            subject TEXT NOT NULL REFERENCES account (subject) ON DELETE CASCADE,
            created_at INTEGER NOT NULL,
            seen_at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL,
            ended_at INTEGER,
            kept_until INTEGER NOT NULL,
            document BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX session_subject ON session (subject)",
        "CREATE INDEX session_kept_until ON session (kept_until)",
        """CREATE TABLE consent (
            subject TEXT NOT NULL REFERENCES account (subject) ON DELETE CASCADE,
            client_id TEXT NOT NULL REFERENCES client (client_id) ON DELETE CASCADE,
            document BLOB NOT NULL,
            PRIMARY KEY (subject, client_id)
        ) STRICT""",
        "CREATE INDEX consent_client ON consent (client_id)",
        # Whose the artifacts are is kept once for each family: a rotation writes two rows and nothing else, and an end is
        # one row however often a family has rotated.
        """CREATE TABLE family (
            family TEXT PRIMARY KEY,
            subject TEXT REFERENCES account (subject) ON DELETE CASCADE,
            client_id TEXT REFERENCES client (client_id) ON DELETE CASCADE,
            sid TEXT REFERENCES session (sid) ON DELETE CASCADE,
            revoked_at INTEGER,
            kept_until INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX family_subject ON family (subject)",
        "CREATE INDEX family_client ON family (client_id)",
        "CREATE INDEX family_sid ON family (sid)",
        "CREATE INDEX family_kept_until ON family (kept_until)",
        """CREATE TABLE artifact (
            digest BLOB PRIMARY KEY,
            kind TEXT NOT NULL,
            family TEXT REFERENCES family (family) ON DELETE CASCADE,
            created_at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL,
            spent_at INTEGER,
            receipt BLOB,
            successors BLOB,
            document BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX artifact_family ON artifact (family, spent_at)",
        "CREATE INDEX artifact_expires_at ON artifact (expires_at) WHERE family IS NULL",
        """CREATE TABLE replay (
            family TEXT NOT NULL,
            at INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX replay_family ON replay (family, at)",
        "CREATE INDEX replay_at ON replay (at)",
        """CREATE TABLE signing_key (
            kid TEXT PRIMARY KEY,
            created_at INTEGER NOT NULL,
            document BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE revocation (
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            epoch INTEGER,
            expires_at INTEGER NOT NULL,
            sequence INTEGER UNIQUE,
            PRIMARY KEY (kind, value)
        ) STRICT""",
        "CREATE INDEX revocation_expires_at ON revocation (expires_at)",
        """CREATE TABLE unpublished (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            value TEXT NOT NULL
        ) STRICT""",
        """CREATE TABLE counter (
            name TEXT PRIMARY KEY,
            value INTEGER NOT NULL
        ) STRICT""",
        "INSERT INTO counter (name, value) VALUES ('revocations', 0), ('signing_keys', 0)",
        """CREATE TABLE stream (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            name TEXT NOT NULL,
            key BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE throttle (
            key BLOB PRIMARY KEY,
            hits INTEGER NOT NULL,
            ends_at INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX throttle_ends_at ON throttle (ends_at)",
        """CREATE TABLE event (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            subject TEXT,
            document BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX event_subject ON event (subject, number)",
    ),
    (
        """CREATE TABLE participant (
            sid TEXT NOT NULL REFERENCES session (sid) ON DELETE CASCADE,
            client_id TEXT NOT NULL REFERENCES client (client_id) ON DELETE CASCADE,
            subject TEXT NOT NULL,
            told TEXT NOT NULL,
            tries INTEGER NOT NULL,
            due_at INTEGER,
            PRIMARY KEY (sid, client_id, told)
        ) STRICT""",
        "CREATE INDEX participant_client ON participant (client_id)",
        "CREATE INDEX participant_subject ON participant (subject)",
        "CREATE INDEX participant_due ON participant (due_at) WHERE due_at IS NOT NULL",
    ),
    (
        "ALTER TABLE event ADD COLUMN client_id TEXT",
        "ALTER TABLE event ADD COLUMN name TEXT",
        "ALTER TABLE event ADD COLUMN actor TEXT",
        "ALTER TABLE event ADD COLUMN at INTEGER",
        """UPDATE event SET
            client_id = CAST(document AS TEXT) ->> 'client_id',
            name = CAST(document AS TEXT) ->> 'name',
            actor = CAST(document AS TEXT) ->> 'actor',
            at = CAST(CAST(document AS TEXT) ->> 'at' AS INTEGER)""",
        "CREATE INDEX event_client ON event (client_id, number)",
        "CREATE INDEX event_name ON event (name, number)",
        "CREATE INDEX event_at ON event (at)",
        """CREATE TABLE definition (
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            document BLOB NOT NULL,
            PRIMARY KEY (kind, name)
        ) STRICT""",
    ),
    (
        """CREATE TABLE signal_stream (
            stream_id TEXT PRIMARY KEY,
            client_id TEXT NOT NULL REFERENCES client (client_id) ON DELETE CASCADE,
            status TEXT NOT NULL,
            pushed INTEGER NOT NULL,
            tries INTEGER NOT NULL,
            next_try_at INTEGER NOT NULL,
            document BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX signal_stream_client ON signal_stream (client_id)",
        """CREATE TABLE signal_interest (
            stream_id TEXT NOT NULL REFERENCES signal_stream (stream_id) ON DELETE CASCADE,
            event TEXT NOT NULL,
            PRIMARY KEY (stream_id, event)
        ) STRICT""",
        # No account owns these: that it is gone is the last thing to be told, or not to be told, of it.
        """CREATE TABLE signal_exclusion (
            stream_id TEXT NOT NULL REFERENCES signal_stream (stream_id) ON DELETE CASCADE,
            subject TEXT NOT NULL,
            PRIMARY KEY (stream_id, subject)
        ) STRICT""",
        "CREATE INDEX signal_exclusion_subject ON signal_exclusion (subject)",
        """CREATE TABLE signal (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            stream_id TEXT NOT NULL REFERENCES signal_stream (stream_id) ON DELETE CASCADE,
            event TEXT NOT NULL,
            subject TEXT,
            at INTEGER NOT NULL,
            cause INTEGER,
            document BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX signal_stream_number ON signal (stream_id, number)",
    ),
    (
        # What pairwise clients know somebody, or one of their sessions, as (OpenID Connect Core section 8).
        """CREATE TABLE pseudonym (
            value TEXT PRIMARY KEY,
            sector TEXT NOT NULL,
            subject TEXT NOT NULL REFERENCES account (subject) ON DELETE CASCADE,
            sid TEXT REFERENCES session (sid) ON DELETE CASCADE
        ) STRICT""",
        "CREATE INDEX pseudonym_subject ON pseudonym (subject)",
        "CREATE INDEX pseudonym_sid ON pseudonym (sid)",
    ),
    (
        """CREATE TABLE feed_report (
            node TEXT PRIMARY KEY,
            told_at INTEGER NOT NULL,
            document BLOB NOT NULL
        ) STRICT""",
        "INSERT INTO counter (name, value) VALUES ('longest_access_token', 0), ('longest_access_token_until', 0)",
    ),
    (
        """CREATE TABLE listed_token (
            list_id TEXT NOT NULL,
            place INTEGER NOT NULL,
            jti TEXT NOT NULL,
            family TEXT,
            sid TEXT,
            subject TEXT NOT NULL,
            epoch INTEGER NOT NULL,
            client_id TEXT NOT NULL,
            kid TEXT NOT NULL,
            expires_at INTEGER NOT NULL,
            kept_until INTEGER NOT NULL,
            PRIMARY KEY (list_id, place)
        ) STRICT""",
        "CREATE INDEX listed_token_expires_at ON listed_token (list_id, expires_at)",
        "CREATE INDEX listed_token_kept_until ON listed_token (kept_until)",
    ),
    (
        # No session owns these any more: whoever takes part in one is told of its end when its account, and so it, is gone.
        """CREATE TABLE participant_next (
            sid TEXT NOT NULL,
            client_id TEXT NOT NULL REFERENCES client (client_id) ON DELETE CASCADE,
            subject TEXT NOT NULL,
            told TEXT NOT NULL,
            tries INTEGER NOT NULL,
            due_at INTEGER,
            PRIMARY KEY (sid, client_id, told)
        ) STRICT""",
        """INSERT INTO participant_next (sid, client_id, subject, told, tries, due_at)
            SELECT sid, client_id, subject, told, tries, due_at FROM participant""",
        "DROP TABLE participant",
        "ALTER TABLE participant_next RENAME TO participant",
        "CREATE INDEX participant_client ON participant (client_id)",
        "CREATE INDEX participant_subject ON participant (subject)",
        "CREATE INDEX participant_due ON participant (due_at) WHERE due_at IS NOT NULL",
    ),
    (
        # Of a client that nobody has registered: the time to look again whether anything hangs on it (see sweeping.py).
        "ALTER TABLE client ADD COLUMN kept_until INTEGER",
        "UPDATE client SET kept_until = 0 WHERE CAST(document AS TEXT) ->> 'from_document' IS NOT NULL",
        "CREATE INDEX client_kept_until ON client (kept_until) WHERE kept_until IS NOT NULL",
    ),
)

LATEST = len(MIGRATIONS)


def migrate(dialect: Dialect) -> Verb[int]:
    """Bring the schema to this version's; a second process that does the same waits and then finds nothing to do.

    Raises:
        StorageError: the schema is newer than this version of Carnet.
    """
    if dialect.migration_lock is not None:
        yield Statement(dialect.migration_lock)
    yield Statement("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    found = yield Statement("SELECT max(version) FROM schema_version")
    version: int = found[0][0] or 0
    if version > LATEST:
        raise StorageError(
            f"The database has schema {version}, and this version of Carnet knows schemas up to {LATEST}: "
            "start the newer version of Carnet that made it."
        )
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        for sql in statements:
            yield Statement(dialect.render_table(sql))
        yield Statement("INSERT INTO schema_version (version) VALUES (?)", (number,))
    return LATEST
