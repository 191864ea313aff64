"""RFC 6749 section 3.3: what a person allowed a client adds up, and can be taken back."""

import pytest
from msgspec.structs import replace

from carnet.issuer.storage.ports import StaleError, Store
from carnet.testing.storage.samples import NOW, artifact, client, consent, digest, lives, revocation, rotate, settle


class TestConsents:
    async def test_what_is_allowed_adds_up(self, store: Store) -> None:
        await settle(store)
        assert await store.consents.get("ada", "shop") is None
        await store.consents.grant(consent("openid", "email"))
        await store.consents.grant(replace(consent("orders", "openid"), granted_at=NOW + 5))
        allowed = replace(consent("openid", "email", "orders"), granted_at=NOW + 5)
        assert await store.consents.get("ada", "shop") == allowed
        for audience in (("mail",), ("files", "mail")):
            await store.consents.grant(replace(consent("openid"), audience=audience))
        found = await store.consents.get("ada", "shop")
        assert found is not None
        assert (found.scope, found.audience) == (("openid", "email", "orders"), ("mail", "files"))

    async def test_the_consents_of_a_subject_are_listed(self, store: Store) -> None:
        await settle(store, "ada", "bob")
        await store.clients.add(client("office"))
        await store.consents.grant(consent("openid"))
        await store.consents.grant(consent("email", client_id="office"))
        await store.consents.grant(consent("openid", subject="bob"))
        assert await store.consents.of("ada") == [consent("email", client_id="office"), consent("openid")]

    async def test_nothing_is_allowed_for_who_is_not_there(self, store: Store) -> None:
        await settle(store)
        for stranger in (consent("openid", subject="nobody"), consent("openid", client_id="nobody")):
            with pytest.raises(StaleError):
                await store.consents.grant(stranger)

    async def test_withdrawing_ends_what_the_client_got_for_that_subject_and_no_more(self, store: Store) -> None:
        await settle(store, "ada", "bob")
        await store.clients.add(client("office"))
        await store.consents.grant(consent("openid"))
        await store.artifacts.put(artifact("r0"))
        await store.artifacts.put(artifact("o0", family="f2", client_id="office"))
        await store.artifacts.put(artifact("b0", family="f3", subject="bob", sid="s2"))
        await store.artifacts.put(artifact("c0", "code", family="f4"))
        await store.artifacts.spend("code", digest("c0"), at=NOW)
        assert await store.consents.withdraw("ada", "shop", at=NOW, lifetime=400)
        assert await store.consents.get("ada", "shop") is None
        assert await rotate(store, "r0", "r1") is None
        assert await lives(store, "o0")
        assert await lives(store, "b0")
        for family in ("f1", "f4"):
            entry = revocation(family, "family", expires_at=NOW + 400)
            assert await store.revocations.find("family", family, at=NOW) == entry
        assert await store.revocations.find("family", "f2", at=NOW) is None
        assert not await store.consents.withdraw("ada", "shop", at=NOW, lifetime=400)

    async def test_a_client_that_needs_no_consent_is_shut_out_as_well(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        assert await store.consents.withdraw("ada", "shop", at=NOW, lifetime=400)
        assert not await lives(store, "r0")
