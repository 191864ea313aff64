"""RFC 7591 section 2: which of the registered clients stay in memory."""

import pytest

from carnet.testing.storage.samples import client

pytestmark = pytest.mark.anyio


async def test_a_client_is_decoded_once_and_again_when_it_has_changed(store):
    await store.clients.add(client())
    seen = await store.clients.get("shop")
    assert await store.clients.get("shop") is seen
    await store.clients.replace(client(), client(client_name="Mart"))
    assert await store.clients.get("shop") == client(client_name="Mart")


async def test_a_client_with_a_long_registration_does_not_stay_in_memory(store):
    long = client(metadata={"contacts": ["x" * 5_000]})
    await store.clients.add(long)
    seen = await store.clients.get("shop")
    assert seen == await store.clients.get("shop") == long
    assert await store.clients.get("shop") is not seen
