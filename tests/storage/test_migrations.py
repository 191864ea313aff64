"""Migrations run by themselves, once, whoever else starts at the same time; a newer schema is refused."""

import asyncio

import msgspec
import pytest

from carnet.issuer.storage import migrations
from carnet.issuer.storage.migrations import LATEST
from carnet.issuer.storage.ports import StorageError
from carnet.issuer.storage.records import Event
from carnet.issuer.storage.statements import Statement
from carnet.testing.storage.samples import NOW, account, client, settle

pytestmark = pytest.mark.anyio


def run(*statements):
    def verb():
        rows = []
        for sql in statements:
            rows = yield Statement(sql)
        return [tuple(row) for row in rows]

    return verb


async def test_of_many_that_migrate_an_empty_database_at_once_one_does_and_the_others_wait(opened):
    nodes = [opened() for _ in range(4)]
    assert await asyncio.gather(*(node.migrate() for node in nodes)) == [LATEST] * 4
    versions = await nodes[0]._engine.read(run("SELECT version FROM schema_version ORDER BY version"))
    assert versions == [(number,) for number in range(1, LATEST + 1)]
    for node in nodes:
        await node.close()


async def test_a_schema_that_is_newer_than_this_version_is_refused_and_left_alone(store):
    await store.accounts.add(account())
    await store._engine.write(run(f"INSERT INTO schema_version (version) VALUES ({LATEST + 1})"))
    with pytest.raises(StorageError, match=f"has schema {LATEST + 1}, .* up to {LATEST}: start the newer version"):
        await store.migrate()
    assert await store.accounts.get("ada") == account()


async def test_only_what_is_missing_runs(store, monkeypatch):
    await store.accounts.add(account())
    more = (*migrations.MIGRATIONS, ("CREATE TABLE later (name TEXT PRIMARY KEY) STRICT",))
    monkeypatch.setattr(migrations, "MIGRATIONS", more)
    monkeypatch.setattr(migrations, "LATEST", len(more))
    assert await store.migrate() == LATEST + 1
    assert await store._engine.read(run("SELECT count(*) FROM later")) == [(0,)]
    assert await store.accounts.get("ada") == account()


async def test_a_migration_that_fails_leaves_the_schema_as_it_was(store, monkeypatch):
    broken = (*migrations.MIGRATIONS, ("CREATE TABLE later (name TEXT PRIMARY KEY) STRICT", "CREATE TABLE nonsense ("))
    monkeypatch.setattr(migrations, "MIGRATIONS", broken)
    with pytest.raises(StorageError):
        await store.migrate()
    versions = await store._engine.read(run("SELECT max(version) FROM schema_version"))
    assert versions == [(LATEST,)]
    with pytest.raises(StorageError):
        await store._engine.read(run("SELECT count(*) FROM later"))


async def test_a_store_that_was_not_migrated_says_so_as_an_error_of_storage(opened):
    store = opened()
    with pytest.raises(StorageError):
        await store.accounts.get("ada")
    await store.close()


async def migrated_to(node, monkeypatch, place):
    """Migrate as the version did that had so many migrations."""
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:place])
        patched.setattr(migrations, "LATEST", place)
        await node.migrate()


def place_of(sql):
    """How many migrations there were before the one that has this in it."""
    return next(number for number, steps in enumerate(migrations.MIGRATIONS) if any(sql in step for step in steps))


async def test_old_lines_of_the_audit_trail_are_found_by_what_they_say(opened, monkeypatch):
    node = opened()
    await migrated_to(node, monkeypatch, 2)
    event = Event(at=1_700_000_000, name="client.changed", client_id="shop", actor="cli", detail={"changed": ["scope"]})

    def old():
        yield Statement("INSERT INTO event (subject, document) VALUES (?, ?)", (None, msgspec.json.encode(event)))

    await node._engine.write(old)
    await node.migrate()
    [(_, found)] = await node.events.list(client_id="shop", name="client.changed", actor="cli", since=event.at)
    assert found == event
    assert await node.events.sweep(before=event.at + 1) == 1
    await node.close()


async def test_who_takes_part_in_a_session_stays_so_when_their_table_is_made_anew(opened, monkeypatch):
    node = opened()
    await migrated_to(node, monkeypatch, place_of("participant_next"))
    await settle(node)
    assert await node.participants.join("s1", "shop", at=NOW)
    assert await node.migrate() == LATEST
    assert [one.client_id for one in await node.participants.of("s1")] == ["shop"]
    await node.sessions.end("s1", at=NOW + 1)
    assert len(await node.participants.due(at=NOW + 1, pauses=(10,))) == 1
    await node.close()


async def test_clients_that_nobody_registered_are_swept_as_new_ones_are(opened, monkeypatch):
    node = opened()
    await migrated_to(node, monkeypatch, place_of("kept_until = 0"))
    for name, members in (("app", {"from_document": True}), ("registered", {})):
        old = client(f"https://{name}.example/", **members)

        def add(old=old):
            document = msgspec.json.encode(old)
            yield Statement("INSERT INTO client (client_id, document) VALUES (?, ?)", (old.client_id, document))

        await node._engine.write(add)
    assert await node.migrate() == LATEST
    await node.sweep(at=NOW)
    assert [one.client_id for one in await node.clients.list()] == ["https://registered.example/"]
    await node.close()
