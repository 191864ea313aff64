"""RFC 6749 section 4.1.2, RFC 9700 section 4.14: artifacts are redeemed once, and known when they come again."""

import pytest

from carnet.issuer.storage.ports import AlreadyExistsError, Fresh, Spent, StorageError, Store
from carnet.issuer.storage.records import Artifact
from carnet.testing.storage.samples import (
    DAY,
    NOW,
    account,
    artifact,
    client,
    digest,
    lives,
    ownerless,
    revocation,
    rotate,
    session,
    settle,
)


class TestArtifacts:
    async def test_what_is_put_is_found_by_its_kind_and_digest_alone(self, store: Store) -> None:
        await settle(store)
        code = artifact("code", "code", document=b'{"nonce":"\xc3\xa9"}')
        assert await store.artifacts.put(code)
        assert await store.artifacts.get("code", digest("code"), at=NOW) == code
        assert await store.artifacts.get("refresh_token", digest("code"), at=NOW) is None
        assert await store.artifacts.get("code", digest("another"), at=NOW) is None

    @pytest.mark.parametrize(
        "owner",
        [
            {"family": None},
            {"family": None, "subject": None, "sid": None},
            {"family": None, "subject": None, "client_id": None, "sid": None},
            {"subject": None, "client_id": None, "sid": None},
            {"sid": None},
        ],
    )
    async def test_an_artifact_comes_back_with_the_owner_it_was_given(
        self, store: Store, owner: dict[str, None]
    ) -> None:
        await settle(store)
        put = artifact("ticket", "ticket", **owner)
        assert await store.artifacts.put(put)
        assert await store.artifacts.get("ticket", digest("ticket"), at=NOW) == put
        assert await store.artifacts.spend("ticket", digest("ticket"), at=NOW) == Fresh(put)

    async def test_it_expires_at_the_very_second_that_it_names(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("code", "code", expires_at=NOW + 60))
        assert await lives(store, "code", "code", at=NOW + 59)
        assert await store.artifacts.get("code", digest("code"), at=NOW + 60) is None
        assert await store.artifacts.spend("code", digest("code"), at=NOW + 60) is None
        assert isinstance(await store.artifacts.spend("code", digest("code"), at=NOW + 59), Fresh)

    async def test_a_digest_is_stored_once(self, store: Store) -> None:
        await settle(store)
        assert await store.artifacts.put(ownerless("jti"))
        for again in (ownerless("jti"), artifact("jti", "code"), artifact("jti", family=None)):
            with pytest.raises(AlreadyExistsError):
                await store.artifacts.put(again)
        assert await store.artifacts.get("replay_id", digest("jti"), at=NOW) == ownerless("jti")

    async def test_a_spent_one_is_remembered_as_a_ownerless(self, store: Store) -> None:
        await store.artifacts.put(ownerless("jti"))
        await store.artifacts.spend("replay_id", digest("jti"), at=NOW)
        with pytest.raises(AlreadyExistsError):
            await store.artifacts.put(ownerless("jti"))

    async def test_only_the_first_to_spend_it_is_fresh_and_the_second_learns_what_happened(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        assert await rotate(store, "r0", "r1", at=NOW + 5) == Fresh(artifact("r0"))
        spent = Spent(artifact("r0"), spent_at=NOW + 5, receipt=b"r1", successor_unused=True, replays=0)
        assert await rotate(store, "r0", "r2", at=NOW + 6) == spent
        assert await store.artifacts.get("refresh_token", digest("r0"), at=NOW + 6) == spent
        assert await lives(store, "r1")
        assert await store.artifacts.get("refresh_token", digest("r2"), at=NOW + 6) is None

    async def test_a_spent_one_tells_when_its_successor_has_been_used(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        await rotate(store, "r0", "r1")
        await rotate(store, "r1", "r2")
        spent = await store.artifacts.get("refresh_token", digest("r0"), at=NOW)
        assert isinstance(spent, Spent)
        assert not spent.successor_unused

    async def test_spending_into_a_digest_that_is_there_changes_nothing(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        await store.artifacts.put(artifact("other", family="f2"))
        with pytest.raises(AlreadyExistsError):
            await rotate(store, "r0", "other", family="f2")
        assert await lives(store, "r0")
        assert await lives(store, "other")

    async def test_spending_into_what_may_not_be_put_changes_nothing(self, store: Store) -> None:
        await settle(store, "ada", "bob")
        await store.artifacts.put(artifact("r0"))
        into = [artifact("r1"), artifact("b1", family="f2", subject="bob", sid="s2")]
        await store.sessions.end("s2", at=NOW)
        assert await store.artifacts.spend("refresh_token", digest("r0"), at=NOW, into=into) is None
        assert await lives(store, "r0")
        assert not await lives(store, "r1")
        assert await store.artifacts.get("refresh_token", digest("b1"), at=NOW) is None

    async def test_what_is_unknown_is_none_and_what_it_was_to_become_is_not_stored(self, store: Store) -> None:
        await settle(store)
        assert await rotate(store, "unknown", "r1") is None
        assert not await lives(store, "r1")

    @pytest.mark.spec("RFC 9700", "4.14.2", "SHOULD")
    async def test_one_that_is_nobodys_is_spent_into_the_first_of_a_family_or_not_at_all(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(ownerless("pushed", "pushed_request"))
        code = artifact("code", "code", family="f9")
        nobodys = artifact("code", "code", family="f9", subject="nobody")
        assert await store.artifacts.spend("pushed_request", digest("pushed"), at=NOW, into=[nobodys]) is None
        assert await lives(store, "pushed", "pushed_request")
        won = await store.artifacts.spend("pushed_request", digest("pushed"), at=NOW, into=[code])
        assert won == Fresh(ownerless("pushed", "pushed_request"))
        assert await store.artifacts.get("code", digest("code"), at=NOW) == code
        again = await store.artifacts.spend(
            "pushed_request", digest("pushed"), at=NOW, into=[artifact("other", "code")]
        )
        assert isinstance(again, Spent)
        assert not await lives(store, "other", "code")

    async def test_the_reuse_of_a_spent_one_is_seen_for_as_long_as_its_family_lives(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("code", "code", expires_at=NOW + 60))
        await store.artifacts.spend("code", digest("code"), at=NOW, into=[artifact("r0", expires_at=NOW + 30 * DAY)])
        for day in range(20, 121, 20):
            before, after = f"r{day - 20}", f"r{day}"
            fresh = await rotate(store, before, after, at=NOW + day * DAY, expires_at=NOW + (day + 30) * DAY)
            assert isinstance(fresh, Fresh)
        at = NOW + 149 * DAY
        while await store.sweep(at=at):
            pass
        assert isinstance(await store.artifacts.get("code", digest("code"), at=at), Spent)
        assert isinstance(await rotate(store, "r0", "thief", at=at), Spent)
        assert await store.artifacts.get("refresh_token", digest("r0"), at=at + DAY) is None
        assert await store.artifacts.get("code", digest("code"), at=at + DAY) is None

    async def test_a_family_has_one_subject_and_one_client(self, store: Store) -> None:
        await settle(store, "ada", "bob")
        await store.clients.add(client("office"))
        await store.artifacts.put(artifact("r0"))
        for stranger in (artifact("x", subject="bob"), artifact("x", client_id="office")):
            with pytest.raises(StorageError):
                await store.artifacts.put(stranger)
        assert not await lives(store, "x")

    async def test_nothing_is_put_for_who_is_not_there(self, store: Store) -> None:
        await settle(store)
        await store.accounts.add(account("eve", disabled_at=NOW))
        for stranger in (
            artifact("a", family=None, subject="nobody", sid=None),
            artifact("b", family="f2", subject="eve", sid=None),
            artifact("c", family="f3", client_id="nobody"),
            artifact("d", family="f4", sid="nothing"),
        ):
            assert not await store.artifacts.put(stranger)
            assert await store.artifacts.get(stranger.kind, stranger.digest, at=NOW) is None

    async def test_a_receipt_is_given_again_within_the_window_while_the_successor_is_unused(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        assert await self._replay(store, at=NOW) is None
        await rotate(store, "r0", "r1", at=NOW)
        assert await self._replay(store, at=NOW + 9) == b"r1"
        assert await self._replay(store, at=NOW + 10) is None
        assert await self._replay(store, at=NOW - 10) is None
        await rotate(store, "r1", "r2", at=NOW + 5)
        assert await self._replay(store, at=NOW + 6) is None

    async def test_a_receipt_is_not_given_again_when_the_successor_was_revoked(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        await rotate(store, "r0", "r1")
        await store.artifacts.revoke_family("f1", at=NOW)
        assert await self._replay(store, at=NOW) is None

    async def test_no_receipt_is_given_where_none_was_left(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        await store.artifacts.spend("refresh_token", digest("r0"), at=NOW, into=[artifact("r1")])
        assert await self._replay(store, at=NOW) is None
        assert await store.artifacts.replay("refresh_token", digest("none"), at=NOW, window=10, per_hour=3) is None

    async def test_a_family_has_so_many_replays_an_hour_and_no_more(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        await rotate(store, "r0", "r1", at=NOW)
        assert [await self._replay(store, at=NOW + second) for second in range(4)] == [b"r1", b"r1", b"r1", None]
        await rotate(store, "r1", "r2", at=NOW + 60)
        spent = await store.artifacts.get("refresh_token", digest("r1"), at=NOW + 60)
        assert isinstance(spent, Spent)
        assert spent.replays == 3
        assert await self._replay(store, "r1", at=NOW + 60) is None
        await rotate(store, "r2", "r3", at=NOW + 3602)
        assert await self._replay(store, "r2", at=NOW + 3602) == b"r3"

    async def test_one_that_is_renewed_lives_longer_and_counts_as_made_then(self, store: Store) -> None:
        await settle(store)
        first = artifact("r0", expires_at=NOW + 60)
        await store.artifacts.put(first)
        assert await store.artifacts.renew(first, at=NOW + 59, until=NOW + 200)
        found = await store.artifacts.get("refresh_token", digest("r0"), at=NOW + 199)
        assert found == artifact("r0", created_at=NOW + 59, expires_at=NOW + 200)
        assert not await store.artifacts.renew(first, at=NOW + 200, until=NOW + 300)
        assert await rotate(store, "r0", "r1", at=NOW + 199) == Fresh(found)
        assert not await store.artifacts.renew(found, at=NOW + 199, until=NOW + 300)

    async def test_nothing_is_renewed_of_what_has_ended(self, store: Store) -> None:
        await settle(store)
        token, other = artifact("r0"), artifact("r9", family="f9")
        await store.artifacts.put(token)
        await store.artifacts.put(other)
        await store.artifacts.revoke_family("f1", at=NOW)
        assert not await store.artifacts.renew(token, at=NOW, until=NOW + 40 * DAY)
        await store.sessions.end("s1", at=NOW)
        assert not await store.artifacts.renew(other, at=NOW, until=NOW + 40 * DAY)

    async def test_a_family_ends_as_a_whole(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("code", "code"))
        into = [artifact("r0"), artifact("x0", expires_at=NOW + 10)]
        await store.artifacts.spend("code", digest("code"), at=NOW, into=into)
        await store.artifacts.put(artifact("another", family="f2"))
        entry = revocation("f1", "family")
        assert await store.artifacts.revoke_family("f1", at=NOW + 10, revocations=[entry]) == 1
        assert await store.artifacts.get("code", digest("code"), at=NOW) is None
        assert await store.artifacts.get("refresh_token", digest("r0"), at=NOW) is None
        assert await rotate(store, "r0", "r1") is None
        assert not await store.artifacts.put(artifact("r2"))
        assert await lives(store, "another")
        assert await store.revocations.find("family", "f1", at=NOW) == entry
        assert await store.artifacts.revoke_family("f1", at=NOW) == 0
        assert await store.artifacts.revoke_family("unknown", at=NOW) == 0

    async def test_the_live_artifacts_of_a_subject_are_listed_newest_first(self, store: Store) -> None:
        await settle(store, "ada", "bob")
        await store.artifacts.put(artifact("a0", family="fa", created_at=NOW))
        await store.artifacts.put(artifact("b0", family="fb", created_at=NOW + 1))
        await store.artifacts.put(artifact("c0", family="fc", expires_at=NOW + 5))
        await store.artifacts.put(artifact("d0", family=None, created_at=NOW + 2))
        await store.artifacts.put(artifact("e0", family="fe", subject="bob", sid="s2"))
        await store.artifacts.put(artifact("f0", family="ff"))
        await store.artifacts.put(artifact("code", "code", family="fg"))
        await store.artifacts.revoke_family("ff", at=NOW)
        await rotate(store, "a0", "a1", family="fa", created_at=NOW + 3)
        listed = await store.artifacts.families("ada", at=NOW + 5)
        assert [one.document for one in listed] == [b"a1", b"d0", b"b0"]
        assert listed[0] == artifact("a1", family="fa", created_at=NOW + 3)
        codes = await store.artifacts.families("ada", at=NOW + 5, kind="code")
        assert codes == [artifact("code", "code", family="fg")]

    async def test_what_belongs_to_nobody_is_listed_page_by_page_in_the_order_of_its_ends(self, store: Store) -> None:
        await settle(store)
        ends = {"a": 30, "b": 10, "c": 20, "d": 20, "e": 5}
        tokens = {name: ownerless(name, "registration_token", expires_at=NOW + end) for name, end in ends.items()}
        for one in (*tokens.values(), ownerless("other"), artifact("owned", "registration_token")):
            await store.artifacts.put(one)
        await store.artifacts.spend("registration_token", digest("b"), at=NOW)
        twins = sorted((tokens["c"], tokens["d"]), key=lambda token: token.digest)
        expected = [*twins, tokens["a"]]
        assert await store.artifacts.ownerless("registration_token", at=NOW + 5) == expected
        first = await store.artifacts.ownerless("registration_token", at=NOW + 5, limit=1)
        place = first[0].expires_at, first[0].digest
        rest = await store.artifacts.ownerless("registration_token", at=NOW + 5, after=place)
        assert [*first, *rest] == expected

    async def test_the_family_of_a_renewed_session_goes_on_with_it(self, store: Store) -> None:
        await settle(store)
        await store.artifacts.put(artifact("r0"))
        assert await store.sessions.start(session("s9"), ending="s1")
        assert await rotate(store, "r0", "r1") == Fresh(artifact("r0", sid="s9"))
        found = await store.artifacts.get("refresh_token", digest("r1"), at=NOW)
        assert isinstance(found, Artifact)
        assert found.sid == "s9"

    async def test_what_no_database_can_hold_is_not_there_and_is_refused(self, store: Store) -> None:
        await settle(store)
        with pytest.raises(StorageError):
            await store.artifacts.put(artifact("x", family="nul\0"))
        with pytest.raises(StorageError):
            await store.artifacts.put(artifact("y", family="\ud800"))
        assert await store.clients.get("shop\0") is None
        assert await store.accounts.by_email("ada@example.org\0") is None
        assert await store.accounts.get("\ud800") is None

    @staticmethod
    async def _replay(store: Store, name: str = "r0", *, at: int) -> bytes | None:
        return await store.artifacts.replay("refresh_token", digest(name), at=at, window=10, per_hour=3)
