"""Definitions of scope values, claims and audiences: one for each kind and name, changed by compare and swap."""

import pytest
from msgspec.structs import replace

from carnet.issuer.definition import AudienceDefinition, ClaimDefinition, ScopeDefinition
from carnet.issuer.storage.ports import AlreadyExistsError, StaleError, Store

SCOPE = ScopeDefinition(name="orders", description={"en": "See your orders"}, claims=("department",))
CLAIM = ClaimDefinition(name="department", attribute="department")
AUDIENCE = AudienceDefinition(name="orders", scopes=("orders",), access_token_lifetime=60)


class TestDefinitions:
    async def test_definitions_are_listed_by_kind_and_name_as_they_were_added(self, store: Store) -> None:
        for definition in (SCOPE, CLAIM, AUDIENCE, replace(SCOPE, name="invoices")):
            await store.definitions.add(definition)
        assert await store.definitions.list() == [AUDIENCE, CLAIM, replace(SCOPE, name="invoices"), SCOPE]

    async def test_a_name_is_taken_once_for_each_kind(self, store: Store) -> None:
        await store.definitions.add(SCOPE)
        await store.definitions.add(AUDIENCE)
        with pytest.raises(AlreadyExistsError):
            await store.definitions.add(ScopeDefinition(name="orders"))

    async def test_a_definition_is_replaced_as_it_was_read_or_not_at_all(self, store: Store) -> None:
        await store.definitions.add(SCOPE)
        changed = replace(SCOPE, claims=())
        await store.definitions.replace(SCOPE, changed)
        with pytest.raises(StaleError):
            await store.definitions.replace(SCOPE, replace(SCOPE, claims=("name",)))
        with pytest.raises(StaleError):
            await store.definitions.replace(changed, replace(changed, name="other"))
        assert await store.definitions.list() == [changed]

    async def test_a_definition_is_removed_as_it_was_read_or_not_at_all(self, store: Store) -> None:
        await store.definitions.add(SCOPE)
        with pytest.raises(StaleError):
            await store.definitions.remove(replace(SCOPE, claims=()))
        await store.definitions.remove(SCOPE)
        with pytest.raises(StaleError):
            await store.definitions.remove(SCOPE)
        assert await store.definitions.list() == []
