"""`carnet backup` and `carnet restore`: nothing that was taken back comes alive again (rule R21)."""

import asyncio
import contextlib
import sqlite3
import stat

import pytest

from carnet.ambient import SYSTEM
from carnet.cli.restore import GENERATION
from carnet.issuer.pairwise import known_as
from carnet.issuer.secret_key import secret_key
from carnet.issuer.storage.records import Artifact, Session, Stream

DAY = 86_400
COOKIE, REFRESH, INVITATION = (bytes([number]) * 32 for number in (1, 2, 3))


@pytest.fixture
def signed_in(carnet, at_store):
    """Ben, with a session and a refresh token; the answer is his account."""
    account = carnet("user", "create", "ben@example.com", "--role", "USER", "--json").json
    subject, now = account["subject"], SYSTEM.now()

    async def work(store):
        session = Session(
            sid="sid-1",
            digest=COOKIE,
            subject=subject,
            auth_time=now,
            amr=("pwd",),
            created_at=now,
            seen_at=now,
            expires_at=now + DAY,
        )
        assert await store.sessions.start(session)
        token = Artifact(
            kind="refresh_token",
            digest=REFRESH,
            family="family-1",
            subject=subject,
            sid="sid-1",
            created_at=now,
            expires_at=now + DAY,
        )
        assert await store.artifacts.put(token)

    at_store(work)
    return account


def test_a_backup_is_its_owners_alone(carnet, signed_in, tmp_path):
    done = carnet("backup", "copy.db", "--json").json
    copy = tmp_path / "copy.db"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert done == {"file": "copy.db", "bytes": copy.stat().st_size}


def test_a_backup_is_made_while_the_issuer_runs(carnet, signed_in, at_store, tmp_path):
    async def work(store):
        assert await asyncio.to_thread(carnet, "backup", "copy.db")
        assert (await store.accounts.by_email("ben@example.com")) is not None

    at_store(work)
    with contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM account").fetchone() == (1,)


def test_a_backup_overwrites_nothing(carnet, signed_in, tmp_path):
    (tmp_path / "copy.db").write_text("precious")
    done = carnet("backup", "copy.db")
    assert (done.status, done.err) == (1, "carnet: copy.db is there already: give a new name.\n")
    assert (tmp_path / "copy.db").read_text() == "precious"


def test_what_was_revoked_after_the_backup_stays_revoked(carnet, signed_in, at_store):
    carnet("backup", "copy.db")
    carnet("user", "sign-out", "ben@example.com")
    assert carnet("restore", "copy.db", "--json").json["accounts"] == 1

    async def work(store):
        now = SYSTEM.now()
        return (
            await store.artifacts.get("refresh_token", REFRESH, at=now),
            (await store.sessions.get("sid-1")).ended_at,
            await store.sessions.of(signed_in["subject"], at=now),
        )

    token, ended_at, live = at_store(work)
    assert token is None
    assert ended_at is not None
    assert live == []


def test_no_epoch_that_was_reached_after_the_backup_is_good_any_more(carnet, signed_in, at_store):
    carnet("backup", "copy.db")
    for _ in range(3):
        carnet("user", "sign-out", "ben@example.com")

    async def epochs(store):
        account = await store.accounts.get(signed_in["subject"])
        entry = await store.revocations.find("subject", account.subject, at=SYSTEM.now())
        return account.epoch, entry.epoch

    reached, _ = at_store(epochs)
    carnet("restore", "copy.db")
    restored, taken_back = at_store(epochs)
    assert restored == taken_back
    assert restored > GENERATION > reached


def test_what_pairwise_clients_knew_somebody_as_after_the_backup_is_taken_back_too(
    carnet, signed_in, at_store, deployment
):
    created = carnet("client", "create", "App", "--pairwise", "--redirect-uri", "https://app.example/cb", "--json").json
    carnet("backup", "backup.db")
    carnet("restore", "backup.db")
    [name] = known_as(signed_in["subject"], ["app.example"], secret_key(deployment, SYSTEM))
    entry = at_store(lambda store: store.revocations.find("subject", name.value, at=SYSTEM.now()))
    assert entry.epoch >= GENERATION
    assert at_store(lambda store: store.clients.get(created["client_id"])).subject_type == "pairwise"


def test_numbers_of_revocations_that_are_given_again_belong_to_another_stream(carnet, signed_in, at_store):
    def stream_of(number: int) -> str:
        async def work(store):
            return (await store.revocations.stream(Stream(name=f"stream-{number}", key=bytes(16)))).name

        return at_store(work)

    assert stream_of(1) == "stream-1"
    carnet("backup", "copy.db")
    carnet("restore", "copy.db")
    assert stream_of(2) == "stream-2"


def test_the_database_before_it_is_kept(carnet, signed_in, deployment):
    carnet("backup", "copy.db")
    carnet("user", "create", "late@example.com")
    kept = carnet("restore", "copy.db", "--json").json["kept"]
    assert [account["email"] for account in carnet("user", "list", "--json").json] == ["ben@example.com"]
    with contextlib.closing(sqlite3.connect(kept)) as before:
        assert before.execute("SELECT count(*) FROM account").fetchone() == (2,)
    assert [path.name for path in deployment.iterdir() if path.name.startswith("restoring-")] == []


def test_the_restoration_stands_in_the_audit_trail(carnet, signed_in, at_store):
    carnet("backup", "copy.db")
    carnet("restore", "copy.db")

    async def newest(store):
        return (await store.events.list(limit=1))[0][1]

    event = at_store(newest)
    assert (event.name, event.actor) == ("database.restored", "cli")


def test_nothing_is_restored_under_a_running_issuer(carnet, signed_in, at_store):
    carnet("backup", "copy.db")

    async def work(store):
        await store.accounts.count()
        return await asyncio.to_thread(carnet, "restore", "copy.db")

    done = at_store(work)
    assert (done.status, done.err) == (1, "carnet: carnet-data/carnet.db is in use: stop `carnet serve` first.\n")
    assert [account["email"] for account in carnet("user", "list", "--json").json] == ["ben@example.com"]


def test_a_damaged_database_can_be_replaced(carnet, signed_in, deployment):
    carnet("backup", "copy.db")
    (deployment / "carnet.db").write_bytes(b"not a database at all" * 100)
    assert carnet("restore", "copy.db").status == 0
    assert [account["email"] for account in carnet("user", "list", "--json").json] == ["ben@example.com"]


@pytest.mark.parametrize(
    ("content", "status", "sentence"),
    [
        (None, 2, "copy.db does not exist."),
        (b"hello" * 200, 1, "copy.db cannot be copied: file is not a database."),
        (b"", 1, "copy.db is no database of Carnet's."),
    ],
)
def test_what_is_no_backup_is_not_restored(carnet, signed_in, tmp_path, content, status, sentence):
    if content is not None:
        (tmp_path / "copy.db").write_bytes(content)
    done = carnet("restore", "copy.db")
    assert (done.status, sentence in done.err) == (status, True)
    assert [account["email"] for account in carnet("user", "list", "--json").json] == ["ben@example.com"]


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["backup", "copy.db", "--database", "postgresql://db/carnet"], "use pg_dump"),
        (["restore", "copy.db", "--database", "postgresql://db/carnet"], "restore into PostgreSQL with pg_restore"),
        (["restore"], "give the FILE"),
    ],
)
def test_each_database_is_copied_by_its_own_tool(carnet, argv, sentence):
    done = carnet(*argv)
    assert (done.status, sentence in done.err) == (2, True)


def test_migrate_says_which_schema_the_database_has(carnet):
    assert carnet("migrate", "--json").json["schema"] >= 1
