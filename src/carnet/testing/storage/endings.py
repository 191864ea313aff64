"""An end and the revocations that follow from it are one transaction; afterwards nothing is handed out for what has ended."""

from carnet.issuer.storage.ports import Store
from carnet.testing.storage.samples import NOW, account, artifact, digest, lives, revocation, rotate, session, settle


class TestEndings:
    async def test_ending_a_session_ends_its_artifacts_and_writes_the_revocations(self, store: Store) -> None:
        await settle(store, "ada", "bob")
        await store.artifacts.put(artifact("r0"))
        await rotate(store, "r0", "r1")
        await store.artifacts.put(artifact("code", "code", family=None))
        await store.artifacts.put(artifact("offline", family="f2", sid=None))
        entry = revocation("s1")
        assert await store.sessions.end("s1", at=NOW + 5, revocations=[entry])
        for name in ("r0", "r1"):
            assert await store.artifacts.get("refresh_token", digest(name), at=NOW) is None
            assert await rotate(store, name, "next") is None
        assert await store.artifacts.spend("code", digest("code"), at=NOW) is None
        assert await store.artifacts.replay("refresh_token", digest("r0"), at=NOW, window=10, per_hour=3) is None
        assert await store.artifacts.revoke_family("f1", at=NOW) == 0
        assert not await store.artifacts.put(artifact("r2", family="f9"))
        assert await lives(store, "offline")
        assert await store.revocations.find("session", "s1", at=NOW) == entry

    async def test_tokens_that_name_a_session_that_was_replaced_are_taken_back_with_its_successor(
        self, store: Store
    ) -> None:
        await settle(store, "ada", "bob")
        await store.sessions.start(session("s3", created_at=NOW + 10), ending="s1")
        await store.sessions.start(session("s4", created_at=NOW + 500), ending="s3")
        await store.sessions.start(session("s5", created_at=NOW + 505))
        entry = revocation("s4", expires_at=NOW + 600 + 400)
        assert await store.sessions.end("s4", at=NOW + 600, revocations=[entry])
        assert await store.revocations.find("session", "s4", at=NOW) == entry
        before = revocation("s3", expires_at=NOW + 500 + 400)
        assert await store.revocations.find("session", "s3", at=NOW) == before
        for name in ("s1", "s2", "s5"):  # what named the first has expired long since; the others are not its
            assert await store.revocations.find("session", name, at=NOW) is None

    async def test_ending_what_has_ended_changes_nothing(self, store: Store) -> None:
        await settle(store)
        await store.sessions.end("s1", at=NOW + 5)
        assert not await store.sessions.end("s1", at=NOW + 6, revocations=[revocation("s1")])
        assert not await store.sessions.end("unknown", at=NOW, revocations=[revocation("unknown")])
        assert await store.sessions.get("s1") == session(ended_at=NOW + 5)
        assert await store.revocations.find("session", "s1", at=NOW) is None
        assert await store.revocations.find("session", "unknown", at=NOW) is None

    async def test_signing_out_everywhere_raises_the_epoch_and_ends_everything_of_the_subject(
        self, store: Store
    ) -> None:
        await settle(store, "ada", "bob")
        await store.sessions.start(session("s3"))
        await store.artifacts.put(artifact("r0"))
        await store.artifacts.put(artifact("offline", family="f2", sid=None))
        await store.artifacts.put(artifact("b0", family="f3", subject="bob", sid="s2"))
        assert await store.sessions.end_all("ada", at=NOW + 5, lifetime=400) == 1
        assert await store.accounts.get("ada") == account(epoch=1)
        assert await store.sessions.of("ada", at=NOW) == []
        assert not await lives(store, "r0")
        assert not await lives(store, "offline")
        assert await lives(store, "b0")
        entry = revocation("ada", "subject", epoch=1, expires_at=NOW + 405)
        assert await store.revocations.find("subject", "ada", at=NOW) == entry
        assert await store.sessions.end_all("ada", at=NOW + 6, lifetime=400) == 2
        assert len(await store.revocations.publish()) == 1
        assert await store.sessions.end_all("nobody", at=NOW, lifetime=400) == 0
        assert await store.revocations.find("subject", "nobody", at=NOW) is None

    async def test_who_has_signed_out_everywhere_can_sign_in_again(self, store: Store) -> None:
        await settle(store)
        await store.sessions.end_all("ada", at=NOW, lifetime=400)
        assert await store.sessions.start(session("s9"))
        assert await store.artifacts.put(artifact("r0", family="f9", sid="s9"))
        assert await lives(store, "r0")
