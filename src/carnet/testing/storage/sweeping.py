"""Rows that nobody can need any more go, in small steps, and no others."""

from carnet.issuer.storage.ports import Spent, Store
from carnet.testing.storage.samples import (
    DAY,
    NOW,
    artifact,
    client,
    consent,
    digest,
    lives,
    ownerless,
    revocation,
    rotate,
    session,
    settle,
)


async def sweep(store: Store, *, at: int) -> int:
    gone = 0
    while step := await store.sweep(at=at):
        gone += step
    return gone


class TestSweeping:
    async def test_what_is_alive_stays(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        await rotate(store, "r0", "r1")
        await store.artifacts.put(artifact("code", "code", family=None))
        await store.artifacts.put(ownerless("jti", expires_at=NOW + 60))
        await store.revocations.add([revocation("x")])
        assert await sweep(store, at=NOW + 59) == 0
        assert await lives(store, "r1")
        assert await lives(store, "code", "code")
        assert isinstance(await store.artifacts.get("refresh_token", digest("r0"), at=NOW), Spent)
        assert await store.artifacts.get("replay_id", digest("jti"), at=NOW) is not None

    async def test_what_has_expired_goes(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        for number in range(10):
            await rotate(store, f"r{number}", f"r{number + 1}", at=NOW)
        await store.artifacts.put(artifact("code", "code", family=None, expires_at=NOW + 60))
        await store.artifacts.put(ownerless("jti", expires_at=NOW + 60))
        await store.revocations.add([revocation("x")])
        await store.throttle.hit("ada", at=NOW, window=60)
        await store.artifacts.replay("refresh_token", digest("r9"), at=NOW, window=10, per_hour=3)
        # Eleven refresh tokens and a code in two families, a replay id, a session, a replay, an entry, a counter.
        assert await sweep(store, at=NOW + 30 * DAY) == 11 + 1 + 2 + 1 + 1 + 1 + 1 + 1
        for name in ("r0", "r9", "r10"):
            assert await store.artifacts.get("refresh_token", digest(name), at=NOW) is None
        assert await store.sessions.get("s1") is None
        assert await store.artifacts.put(ownerless("jti"))
        assert await sweep(store, at=NOW + 29 * DAY) == 0

    async def test_a_step_is_small_and_the_steps_come_to_an_end(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        for number in range(20):
            await rotate(store, f"r{number}", f"r{number + 1}")
            await store.artifacts.put(ownerless(f"jti{number}"))
        steps = []
        while gone := await store.sweep(at=NOW + 30 * DAY, limit=6):
            steps.append(gone)
        assert max(steps) <= 6
        assert sum(steps) == 20 + 21 + 1 + 1
        assert await store.artifacts.get("refresh_token", digest("r0"), at=NOW) is None

    async def test_a_family_stays_while_access_tokens_may_name_it(self, store: Store) -> None:
        await settle(store)
        await store.consents.grant(consent("openid"))
        await store.artifacts.put(artifact("code", "code", expires_at=NOW + 60))
        await store.artifacts.spend("code", digest("code"), at=NOW)
        assert await sweep(store, at=NOW + 3_600) == 0
        assert await store.consents.withdraw("ada", "shop", at=NOW + 3_600, lifetime=400)
        assert await store.revocations.find("family", "f1", at=NOW) is not None
        await sweep(store, at=NOW + 3_800)
        assert await store.artifacts.get("code", digest("code"), at=NOW) is None

    async def test_a_session_stays_until_its_last_refresh_token_has_expired(self, store: Store) -> None:
        await settle(store)
        await store.sessions.start(session("s2"))
        await store.artifacts.put(artifact("r0"))
        assert await sweep(store, at=NOW + 29 * DAY) == 1
        assert await store.sessions.get("s1") is not None
        assert await store.sessions.get("s2") is None
        await sweep(store, at=NOW + 30 * DAY)
        await sweep(store, at=NOW + 30 * DAY + 1)
        assert await store.sessions.get("s1") is None

    async def test_the_rows_of_a_revoked_family_go_with_its_time_and_it_stays_revoked(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        await store.artifacts.revoke_family("f1", at=NOW)
        await sweep(store, at=NOW + 29 * DAY)
        assert not await store.artifacts.put(artifact("r1"))
        await sweep(store, at=NOW + 30 * DAY)
        assert await rotate(store, "r0", "r1") is None

    async def test_a_client_that_nobody_registered_goes_with_the_last_thing_that_hangs_on_it(
        self, store: Store
    ) -> None:
        await settle(store)
        app = client("https://app.example/client.json", from_document=True)
        await store.clients.add(app)
        await store.clients.add(client("https://registered.example/client.json"))
        await store.consents.grant(consent("openid", client_id=app.client_id))
        await store.artifacts.put(artifact("r0", client_id=app.client_id, expires_at=NOW + DAY))
        await sweep(store, at=NOW + DAY)
        assert await store.clients.get(app.client_id) == app
        await store.consents.withdraw("ada", app.client_id, at=NOW + DAY, lifetime=60)
        await sweep(store, at=NOW + 2 * DAY - 1)
        assert await store.clients.get(app.client_id) == app, "it is looked at once a day"
        await sweep(store, at=NOW + 2 * DAY)
        assert await store.clients.get(app.client_id) is None
        assert len(await store.clients.list()) == 2
        await store.clients.add(app)
        await sweep(store, at=NOW + DAY - 1)
        assert await store.clients.get(app.client_id) == app, "somebody is about to allow it something"

    async def test_a_client_that_nobody_registered_stays_for_as_long_as_its_tokens_can_be_taken_back(
        self, store: Store
    ) -> None:
        await settle(store)
        app = client("https://app.example/client.json", from_document=True)
        await store.clients.add(app)
        await store.artifacts.put(artifact("r0", client_id=app.client_id, expires_at=NOW + 3 * DAY))
        for day in range(1, 3):
            await sweep(store, at=NOW + day * DAY)
            assert await store.clients.get(app.client_id) == app
        await sweep(store, at=NOW + 3 * DAY)
        assert await store.clients.get(app.client_id) is None
