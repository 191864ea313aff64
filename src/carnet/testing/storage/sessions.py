"""OpenID Connect Front-Channel Logout section 3: sessions have a name, `sid`; ended ones stay ended."""

import pytest

from carnet.issuer.storage.ports import AlreadyExistsError, Store
from carnet.testing.storage.samples import DAY, NOW, account, artifact, digest, lives, session, settle


class TestSessions:
    async def test_a_session_comes_back_as_it_was_started(self, store: Store) -> None:
        await store.accounts.add(account())
        one = session(amr=("pwd", "otp"), acr="2", user_agent="Browser/1 é", address="2001:db8::1")
        assert await store.sessions.start(one)
        assert await store.sessions.get("s1") == one
        assert await store.sessions.by_digest(one.digest) == one
        assert await store.sessions.get("s2") is None
        assert await store.sessions.by_digest(digest("x")) is None

    async def test_no_session_is_started_for_an_account_that_is_disabled_or_gone(self, store: Store) -> None:
        await store.accounts.add(account("eve", disabled_at=NOW))
        assert not await store.sessions.start(session(subject="eve"))
        assert not await store.sessions.start(session(subject="nobody"))
        assert await store.sessions.get("s1") is None

    async def test_a_sid_and_a_digest_are_used_once(self, store: Store) -> None:
        await settle(store)
        for again in (session(digest=digest("other")), session("s2", digest=session().digest)):
            with pytest.raises(AlreadyExistsError):
                await store.sessions.start(again, ending="s1")
        [live] = await store.sessions.of("ada", at=NOW)
        assert live.sid == "s1"

    async def test_the_live_sessions_of_a_subject_are_listed_newest_first(self, store: Store) -> None:
        await settle(store, "ada", "bob")
        await store.sessions.start(session("s3", created_at=NOW + 5))
        await store.sessions.start(session("s4", expires_at=NOW + 10))
        await store.sessions.start(session("s5"))
        await store.sessions.end("s5", at=NOW)
        assert [one.sid for one in await store.sessions.of("ada", at=NOW + 10)] == ["s3", "s1"]

    async def test_a_session_that_is_seen_moves_on_and_never_back(self, store: Store) -> None:
        await settle(store)
        for at, seen_at in ((NOW + 9, NOW + 9), (NOW + 3, NOW + 9)):
            await store.sessions.touch("s1", at=at)
            assert await store.sessions.get("s1") == session(seen_at=seen_at)
        await store.sessions.end("s1", at=NOW + 10)
        await store.sessions.touch("s1", at=NOW + 20)
        await store.sessions.touch("unknown", at=NOW + 20)
        assert await store.sessions.get("s1") == session(seen_at=NOW + 9, ended_at=NOW + 10)

    async def test_an_ended_or_expired_session_is_still_found_so_that_the_caller_applies_the_rule(
        self, store: Store
    ) -> None:
        await settle(store)
        assert await store.sessions.end("s1", at=NOW + 1)
        found = await store.sessions.by_digest(session().digest)
        assert found == session(ended_at=NOW + 1)

    async def test_a_new_session_takes_the_place_of_an_old_one_with_its_artifacts(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        await store.artifacts.put(artifact("t0", "ticket", family=None))
        assert await store.sessions.start(session("s2", created_at=NOW + 7), ending="s1")
        assert await store.sessions.get("s1") == session(ended_at=NOW + 7)
        assert await lives(store, "r0")
        assert await lives(store, "t0", "ticket")
        assert await store.sessions.end("s2", at=NOW + 8)
        assert not await lives(store, "r0")
        assert not await lives(store, "t0", "ticket")

    async def test_what_had_ended_is_not_brought_back_by_a_new_session(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        await store.sessions.end("s1", at=NOW + 1)
        assert await store.sessions.start(session("s2"), ending="s1")
        assert not await lives(store, "r0")
        ended = await store.sessions.get("s1")
        assert ended is not None
        assert ended.ended_at == NOW + 1

    async def test_another_persons_artifacts_do_not_pass_to_a_new_session(self, store: Store) -> None:
        await settle(store)
        await store.accounts.add(account("bob"))
        await store.artifacts.put(artifact("r0"))
        assert await store.sessions.start(session("s2", subject="bob"), ending="s1")
        assert not await lives(store, "r0")

    async def test_a_refresh_token_may_outlive_the_time_of_its_session(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        at = NOW + 20 * DAY
        while await store.sweep(at=at):
            pass
        assert await lives(store, "r0", at=at)
        assert await store.sessions.end("s1", at=at)
        assert not await lives(store, "r0", at=at)

    async def test_a_session_lives_on_in_those_that_took_its_place_one_after_another(self, store: Store) -> None:
        await settle(store, "ada", "bob")
        assert await store.sessions.heir("s1") == session()
        await store.sessions.start(session("s3", created_at=NOW + 10), ending="s1")
        third = session("s4", created_at=NOW + 500)
        await store.sessions.start(third, ending="s3")
        await store.sessions.start(session("s5", subject="bob", created_at=NOW + 500))
        for sid in ("s1", "s3", "s4"):
            assert await store.sessions.heir(sid) == third
        await store.sessions.end("s4", at=NOW + 600)
        for sid in ("s1", "s3", "s4", "unknown"):
            assert await store.sessions.heir(sid) is None

    async def test_a_session_whose_place_another_person_took_has_ended(self, store: Store) -> None:
        await settle(store, "ada", "bob")
        await store.sessions.start(session("s3", subject="bob", created_at=NOW + 10), ending="s1")
        assert await store.sessions.heir("s1") is None
