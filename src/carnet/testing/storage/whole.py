"""The store as a whole: migrations, the health check, the end."""

import asyncio

import pytest

from carnet.issuer.storage.ports import StorageError, Store
from carnet.testing.storage.samples import NOW, account, settle


class TestStore:
    async def test_migrating_again_changes_nothing(self, store: Store, peer: Store) -> None:
        await settle(store)
        versions = await asyncio.gather(store.migrate(), peer.migrate(), store.migrate(), peer.migrate())
        assert len(set(versions)) == 1
        assert await peer.accounts.get("ada") == account()

    async def test_it_answers(self, store: Store) -> None:
        await store.check()

    async def test_what_one_node_has_written_the_other_reads(self, store: Store, peer: Store) -> None:
        for number in range(20):
            writer, reader = (store, peer) if number % 2 else (peer, store)
            await writer.accounts.add(account(f"a{number}"))
            assert await reader.accounts.get(f"a{number}") == account(f"a{number}")
            assert await reader.accounts.by_email(f"a{number}@example.org") == account(f"a{number}")

    async def test_whoever_asks_a_closed_store_gets_an_error(self, store: Store, peer: Store) -> None:
        await peer.close()
        await peer.close()
        for question in (peer.check, peer.accounts.count, peer.migrate):
            with pytest.raises(StorageError):
                await question()
        with pytest.raises(StorageError):
            await peer.throttle.hit("ada", at=NOW, window=60)
        await store.check()
