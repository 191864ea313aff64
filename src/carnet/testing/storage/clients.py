"""RFC 7591 section 2: clients are kept with whatever metadata they were registered with."""

import pytest
from msgspec.structs import replace

from carnet.issuer.storage.ports import AlreadyExistsError, StaleError, Store
from carnet.testing.storage.samples import NOW, artifact, client, consent, digest, lives, revocation, rotate, settle


class TestClients:
    async def test_a_client_comes_back_as_it_was_added(self, store: Store) -> None:
        shop = client(
            secret_digest=digest("secret"),
            redirect_uris=("https://shop.example/cb",),
            audiences=("orders",),
            metadata={"logo_uri": "https://shop.example/ø.png", "contacts": ["a", "b"], "x": {"y": None, "z": 1.5}},
        )
        await store.clients.add(shop)
        assert await store.clients.get("shop") == shop
        assert await store.clients.get("SHOP") is None
        with pytest.raises(AlreadyExistsError):
            await store.clients.add(client())
        assert await store.clients.get("shop") == shop

    async def test_clients_are_listed_page_by_page_in_the_order_of_client_ids(self, store: Store) -> None:
        for client_id in ("b", "B", "a", "é", "_"):
            await store.clients.add(client(client_id))
        first = await store.clients.list(limit=3)
        rest = await store.clients.list(after=first[-1].client_id, limit=3)
        assert [one.client_id for one in (*first, *rest)] == ["B", "_", "a", "b", "é"]

    async def test_a_record_is_replaced_only_if_it_is_as_it_was_read(self, store: Store) -> None:
        before = client(metadata={"tos_uri": "https://shop.example/tos", "n": [1, 2]})
        await store.clients.add(before)
        read = await store.clients.get("shop")
        assert read is not None
        after = replace(read, epoch=1, secret_digest=digest("new"))
        entry = revocation("shop", "client", epoch=1)
        await store.clients.replace(read, after, revocations=[entry])
        assert await store.clients.get("shop") == after
        assert await store.revocations.find("client", "shop", at=NOW) == entry
        for stale in (read, client("gone")):
            with pytest.raises(StaleError):
                await store.clients.replace(stale, replace(stale, client_name="Evil"))
        with pytest.raises(StaleError):
            await store.clients.replace(after, replace(after, client_id="mart"))

    async def test_removing_takes_everything_of_the_client_with_it(self, store: Store) -> None:
        await settle(store)
        await store.clients.add(client("office"))
        await store.consents.grant(consent("openid"))
        await store.artifacts.put(artifact("r0"))
        await store.artifacts.put(artifact("o0", family="f2", client_id="office"))
        entry = revocation("shop", "client", epoch=1)
        assert await store.clients.remove("shop", at=NOW, revocations=[entry])
        assert await store.clients.get("shop") is None
        assert await store.consents.of("ada") == []
        assert await rotate(store, "r0", "r1") is None
        assert not await store.artifacts.put(artifact("r2", family="f3"))
        assert await lives(store, "o0")
        assert await store.revocations.find("client", "shop", at=NOW) == entry
        assert not await store.clients.remove("shop", at=NOW, revocations=[revocation("x")])
        assert await store.revocations.find("session", "x", at=NOW) is None

    async def test_a_client_is_removed_only_if_it_is_as_it_was_seen(self, store: Store) -> None:
        await store.clients.add(client())
        after = client(client_name="Mart")
        await store.clients.replace(client(), after)
        with pytest.raises(StaleError):
            await store.clients.remove("shop", at=NOW, revocations=[revocation("x")], seen=client())
        assert await store.clients.get("shop") == after
        assert await store.revocations.find("session", "x", at=NOW) is None
        assert await store.clients.remove("shop", at=NOW, seen=after)
        assert not await store.clients.remove("shop", at=NOW, seen=after)

    async def test_a_client_that_comes_back_under_its_old_name_inherits_nothing(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        await store.clients.remove("shop", at=NOW)
        await store.clients.add(client())
        assert await rotate(store, "r0", "r1") is None
        assert await store.consents.of("ada") == []
