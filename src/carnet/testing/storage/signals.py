"""OpenID Shared Signals Framework section 8: whatever happens to a person is told to the streams, in the same transaction."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from carnet.issuer.storage.ports import StaleError, Store
from carnet.issuer.storage.records import Happening, PasswordHash, Signal, SignalStream, Totp
from carnet.oauth import acr
from carnet.oauth.security_events import (
    ACCOUNT_DISABLED,
    ACCOUNT_ENABLED,
    ACCOUNT_PURGED,
    ASSURANCE_LEVEL_CHANGE,
    CREDENTIAL_CHANGE,
    RECOVERY_INFORMATION_CHANGED,
    SESSION_REVOKED,
    STREAM_UPDATED,
    SUPPORTED,
    TOKEN_CLAIMS_CHANGE,
    VERIFICATION,
)
from carnet.testing.storage.samples import DAY, NOW, account, client, revocation, session, settle

MOST = 3
LATER = NOW + 5

OLD, NEW = PasswordHash(phc="$old"), PasswordHash(phc="$new")
APP = Totp(sealed=b"sealed", enrolled_at=NOW, last_step=0)


def stream(stream_id: str = "w1", **members: Any) -> SignalStream:
    given = {
        "stream_id": stream_id,
        "client_id": "shop",
        "events_requested": SUPPORTED,
        "created_at": NOW,
        "updated_at": NOW,
        **members,
    }
    return SignalStream(**given)


async def listening(store: Store, *streams: SignalStream) -> None:
    await settle(store, "ada", "bob")
    for one in streams or (stream(),):
        assert await store.signals.add(one, most=MOST)


async def waiting(store: Store, stream_id: str = "w1") -> list[Signal]:
    found, _ = await store.signals.waiting(stream_id, limit=100)
    return found


def said(signals: list[Signal]) -> list[tuple[str, str | None, str | None]]:
    return [(signal.happening.event, signal.subject, signal.happening.sid) for signal in signals]


ENDS: dict[str, tuple[Callable[[Store], Coroutine[Any, Any, object]], list[tuple[str, str | None, str | None]]]] = {
    "the session is ended": (
        lambda store: store.sessions.end("s1", at=LATER, revocations=(revocation("s1"),)),
        [(SESSION_REVOKED, "ada", "s1")],
    ),
    "the subject signs out everywhere": (
        lambda store: store.sessions.end_all("ada", at=LATER, lifetime=400),
        [(SESSION_REVOKED, "ada", None)],
    ),
    "another person signs in": (
        lambda store: store.sessions.start(session("s9", subject="bob", created_at=LATER), ending="s1"),
        [(SESSION_REVOKED, "ada", "s1")],
    ),
    "the account is disabled": (
        lambda store: store.accounts.replace(account(), account(disabled_at=LATER, epoch=1)),
        [(ACCOUNT_DISABLED, "ada", None), (SESSION_REVOKED, "ada", None)],
    ),
    "the account is deleted": (
        lambda store: store.accounts.remove("ada", at=LATER),
        [(ACCOUNT_PURGED, "ada", None), (SESSION_REVOKED, "ada", None)],
    ),
    "the roles are changed": (
        lambda store: store.accounts.replace(account(), account(roles=("AUDITOR",), updated_at=LATER)),
        [(TOKEN_CLAIMS_CHANGE, "ada", None)],
    ),
    "a password is set, and all sessions end": (
        lambda store: store.accounts.replace(account(), account(password=NEW, epoch=1), ending_at=LATER),
        [(CREDENTIAL_CHANGE, "ada", None), (SESSION_REVOKED, "ada", None)],
    ),
    "a second factor is enrolled": (
        lambda store: store.accounts.replace(account(), account(totp=APP), at=LATER),
        [(CREDENTIAL_CHANGE, "ada", None)],
    ),
    "the email is another one": (
        lambda store: store.accounts.replace(account(), account(email="a@example.org", updated_at=LATER)),
        [(RECOVERY_INFORMATION_CHANGED, "ada", None)],
    ),
}

QUIET: dict[str, Callable[[Store], Coroutine[Any, Any, object]]] = {
    "a session that is not there is ended": lambda store: store.sessions.end("s7", at=LATER),
    "a stranger signs out everywhere": lambda store: store.sessions.end_all("eve", at=LATER, lifetime=400),
    "an account that is not there is deleted": lambda store: store.accounts.remove("eve", at=LATER),
    "the same person signs in again": lambda store: store.sessions.start(session("s9", created_at=LATER), ending="s1"),
    "the name is changed": lambda store: store.accounts.replace(account(), account(name="Ada")),
}


class TestSignals:
    @pytest.mark.parametrize("end", ENDS)
    async def test_what_happens_to_a_person_is_told(self, store: Store, end: str) -> None:
        await listening(store)
        happen, expected = ENDS[end]
        await happen(store)
        found = await waiting(store)
        assert said(found) == expected
        assert {signal.at for signal in found} == {LATER}
        assert {signal.cause for signal in found} == {found[0].number}
        for signal in found:
            if "/caep/" in signal.happening.event:
                assert signal.happening.claims["event_timestamp"] == LATER
                assert signal.happening.claims["reason_admin"]["en"]

    async def test_what_does_not_happen_is_not_told(self, store: Store) -> None:
        await listening(store)
        for name, happen in QUIET.items():
            await happen(store)
            assert await waiting(store) == [], name

    async def test_a_session_is_told_of_once(self, store: Store) -> None:
        await listening(store)
        for _ in range(2):
            await store.sessions.end("s1", at=LATER)
        assert len(await waiting(store)) == 1

    async def test_a_change_that_somebody_else_won_is_not_told(self, store: Store) -> None:
        await listening(store)
        with pytest.raises(StaleError):
            await store.accounts.replace(account(name="Eve"), account(name="Eve", roles=("ADMIN",)))
        assert await waiting(store) == []

    async def test_the_end_of_a_session_is_told_under_all_its_names(self, store: Store) -> None:
        await listening(store)
        await store.sessions.start(session("s8", created_at=NOW + 1), ending="s1")
        await store.sessions.start(session("s9", created_at=NOW + 2), ending="s8")
        await store.sessions.end("s9", at=NOW + 3)
        assert {sid for _, _, sid in said(await waiting(store))} == {"s1", "s8", "s9"}

    async def test_a_hash_that_is_made_anew_is_no_change_of_the_password(self, store: Store) -> None:
        await listening(store)
        await store.accounts.replace(account(), account(password=OLD))
        await store.accounts.replace(account(password=OLD), account(password=NEW))
        assert await waiting(store) == []

    async def test_a_credential_is_created_updated_and_deleted(self, store: Store) -> None:
        await listening(store)
        passwords = (None, OLD, NEW, None)
        accounts = [account(password=password, epoch=epoch) for epoch, password in enumerate(passwords)]
        for before, after in pairwise(accounts):
            await store.accounts.replace(before, after)
        told = [signal.happening.claims for signal in await waiting(store)]
        assert {claims["credential_type"] for claims in told} == {"password"}
        assert [claims["change_type"] for claims in told] == ["create", "update", "delete"]

    async def test_an_account_is_enabled_again(self, store: Store) -> None:
        await listening(store)
        await store.accounts.replace(account(), account(disabled_at=NOW))
        await store.accounts.replace(account(disabled_at=NOW), account(updated_at=LATER))
        assert said(await waiting(store))[-1] == (ACCOUNT_ENABLED, "ada", None)

    async def test_a_stronger_or_weaker_sign_in_is_told_under_the_name_of_the_session_before(
        self, store: Store
    ) -> None:
        await listening(store)
        await store.sessions.start(session("s7", acr=acr.ONE_FACTOR))
        await store.sessions.start(session("s8", acr=acr.TWO_FACTORS, created_at=LATER), ending="s7")
        await store.sessions.start(session("s9", acr=acr.ONE_FACTOR, created_at=LATER), ending="s8")
        found = await waiting(store)
        assert said(found) == [(ASSURANCE_LEVEL_CHANGE, "ada", "s7"), (ASSURANCE_LEVEL_CHANGE, "ada", "s8")]
        up, down = (signal.happening.claims for signal in found)
        assert (up["previous_level"], up["current_level"]) == (acr.ONE_FACTOR, acr.TWO_FACTORS)
        assert (up["change_direction"], down["change_direction"]) == ("increase", "decrease")

    async def test_each_stream_is_told_what_it_asked_for(self, store: Store) -> None:
        wanted = stream("w2", events_requested=(ACCOUNT_DISABLED, "https://example.org/unheard-of"))
        await listening(store, stream("w1", events_requested=None), wanted)
        await store.accounts.replace(account(), account(disabled_at=LATER))
        assert await waiting(store, "w1") == []
        assert said(await waiting(store, "w2")) == [(ACCOUNT_DISABLED, "ada", None)]

    async def test_a_stream_is_told_nothing_of_whom_it_excludes(self, store: Store) -> None:
        await listening(store)
        for _ in range(2):
            await store.signals.exclude("w1", "ada")
        await store.signals.exclude("w7", "ada")
        await store.sessions.end("s1", at=LATER)
        await store.sessions.end("s2", at=LATER)
        assert said(await waiting(store)) == [(SESSION_REVOKED, "bob", "s2")]
        await store.signals.include("w1", "ada")
        await store.sessions.end_all("ada", at=LATER, lifetime=400)
        assert len(await waiting(store)) == 2

    async def test_of_whom_it_excludes_not_even_the_end_is_told(self, store: Store) -> None:
        await listening(store)
        await store.signals.exclude("w1", "ada")
        await store.accounts.remove("ada", at=LATER)
        assert await waiting(store) == []

    async def test_a_client_has_so_many_streams_and_no_more(self, store: Store) -> None:
        await settle(store)
        for number in range(MOST):
            assert await store.signals.add(stream(f"w{number}"), most=MOST)
        assert not await store.signals.add(stream("w9"), most=MOST)
        assert not await store.signals.add(stream("w9", client_id="nobody"), most=MOST)
        assert [one.stream_id for one in await store.signals.of("shop")] == ["w0", "w1", "w2"]

    async def test_of_many_that_are_made_at_once_so_many_are_kept(self, store: Store, peer: Store) -> None:
        await settle(store)
        made = await asyncio.gather(
            *(
                node.signals.add(stream(f"w{number}{index}"), most=MOST)
                for number in range(4)
                for index, node in enumerate((store, peer))
            )
        )
        assert sum(made) == MOST == len(await store.signals.of("shop"))

    async def test_streams_are_listed_with_what_waits(self, store: Store) -> None:
        await listening(store, stream("w1"), stream("w2"))
        await store.signals.put("w2", Happening(event=VERIFICATION), at=NOW)
        assert [(one.stream_id, count) for one, count in await store.signals.list()] == [("w1", 0), ("w2", 1)]
        assert [one.stream_id for one, _ in await store.signals.list(after="w1", limit=1)] == ["w2"]

    async def test_of_two_changes_of_one_stream_one_wins(self, store: Store) -> None:
        await listening(store)
        paused = stream(status="paused", updated_at=LATER)
        await store.signals.replace(stream(), paused)
        with pytest.raises(StaleError):
            await store.signals.replace(stream(), stream(status="disabled"))
        with pytest.raises(StaleError):
            await store.signals.replace(paused, replace(paused, client_id="other"))
        assert await store.signals.get("w1") == paused

    async def test_other_events_are_told_once_the_stream_asks_for_others(self, store: Store) -> None:
        await listening(store)
        await store.signals.replace(stream(), stream(events_requested=(ACCOUNT_PURGED, ACCOUNT_PURGED)))
        await store.sessions.end("s1", at=LATER)
        await store.accounts.remove("ada", at=LATER)
        assert said(await waiting(store)) == [(ACCOUNT_PURGED, "ada", None)]

    @pytest.mark.spec("OpenID Shared Signals Framework", "8.1.2.1", "MUST NOT")
    async def test_a_paused_stream_holds_its_events_and_gives_them_when_it_is_enabled(self, store: Store) -> None:
        await listening(store)
        paused = stream(status="paused", reason="Upkeep.")
        await store.signals.replace(stream(), paused, telling=True)
        await store.sessions.end("s1", at=LATER)
        [notice] = await waiting(store)
        assert notice.happening == Happening(event=STREAM_UPDATED, claims={"status": "paused", "reason": "Upkeep."})
        await store.signals.replace(paused, stream())
        assert [event for event, _, _ in said(await waiting(store))] == [STREAM_UPDATED, SESSION_REVOKED]

    @pytest.mark.spec("OpenID Shared Signals Framework", "8.1.2.1", "MUST NOT")
    async def test_a_disabled_stream_holds_nothing(self, store: Store) -> None:
        await listening(store)
        await store.sessions.end("s1", at=LATER)
        disabled = stream(status="disabled")
        await store.signals.replace(stream(), disabled)
        await store.sessions.end("s2", at=LATER)
        assert not await store.signals.put("w1", Happening(event=VERIFICATION), at=NOW)
        await store.signals.replace(disabled, stream())
        assert await waiting(store) == []
        assert await store.signals.put("w1", Happening(event=VERIFICATION), at=NOW)

    async def test_a_disabled_stream_is_told_that_it_is(self, store: Store) -> None:
        await listening(store)
        await store.signals.replace(stream(), stream(status="disabled"), telling=True)
        assert [event for event, _, _ in said(await waiting(store))] == [STREAM_UPDATED]

    async def test_the_oldest_come_first_and_what_was_delivered_goes(self, store: Store) -> None:
        await listening(store, stream("w1"), stream("w2"))
        for number in range(3):
            for name in ("w1", "w2"):
                await store.signals.put(name, Happening(event=VERIFICATION, claims={"state": str(number)}), at=NOW)
        page, more = await store.signals.waiting("w1", limit=2)
        assert ([signal.happening.claims["state"] for signal in page], more) == (["0", "1"], True)
        assert await store.signals.waiting("w1", limit=0) == ([], True)
        await store.signals.delivered("w2", [(signal.number, signal.at) for signal in page])
        await store.signals.delivered("w1", [(signal.number, signal.at + 1) for signal in page])
        assert len(await waiting(store, "w1")) == len(await waiting(store, "w2")) == 3
        await store.signals.delivered("w1", [(signal.number, signal.at) for signal in page])
        rest, more = await store.signals.waiting("w1", limit=2)
        assert ([signal.happening.claims["state"] for signal in rest], more) == (["2"], False)

    async def test_each_stream_is_pushed_to_by_one_node(self, store: Store, peer: Store) -> None:
        url = "https://shop.example/events"
        await settle(store)
        names = [f"w{number}" for number in range(6)]
        for name in [*names, "idle"]:
            await store.signals.add(stream(name, endpoint_url=url), most=10)
        await store.signals.add(stream("polled"), most=10)
        for name in [*names, "polled"]:
            await store.signals.put(name, Happening(event=VERIFICATION), at=NOW)
        taken = await asyncio.gather(
            *(node.signals.due(at=NOW, lease=60, limit=2) for node in (store, peer) for _ in range(4))
        )
        assert sorted(one.stream_id for some in taken for one, _ in some) == names
        assert await store.signals.due(at=NOW + 59, lease=60) == []
        assert len(await store.signals.due(at=NOW + 60, lease=60)) == len(names)

    async def test_one_to_which_nothing_could_be_pushed_rests(self, store: Store) -> None:
        await listening(store, stream(endpoint_url="https://shop.example/events"))
        await store.signals.put("w1", Happening(event=VERIFICATION), at=NOW)
        [(_, tries)] = await store.signals.due(at=NOW, lease=60)
        assert tries == 0
        await store.signals.rest("w1", until=NOW + 600, tries=1)
        assert await store.signals.due(at=NOW + 599, lease=60) == []
        [(_, tries)] = await store.signals.due(at=NOW + 600, lease=60)
        assert tries == 1

    async def test_nothing_but_the_word_of_it_is_pushed_to_a_paused_stream(self, store: Store) -> None:
        before = stream(endpoint_url="https://shop.example/events")
        await listening(store, before)
        await store.signals.put("w1", Happening(event=VERIFICATION), at=NOW)
        after = replace(before, status="paused")
        await store.signals.replace(before, after)
        assert await store.signals.due(at=NOW, lease=60) == []
        await store.signals.replace(after, replace(after, reason="Upkeep."), telling=True)
        assert len(await store.signals.due(at=NOW, lease=60)) == 1
        assert [event for event, _, _ in said(await waiting(store))] == [STREAM_UPDATED]

    @pytest.mark.spec("OpenID Shared Signals Framework", "8.1.5", "MUST")
    @pytest.mark.parametrize(("count", "at"), [(6, NOW), (1, NOW + DAY)])
    async def test_a_stream_whose_events_nobody_takes_is_paused_and_told_so(
        self, store: Store, count: int, at: int
    ) -> None:
        await listening(store, stream("w1"), stream("w2"))
        for number in range(count):
            await store.signals.put("w1", Happening(event=VERIFICATION, claims={"state": str(number)}), at=NOW)
        assert await store.signals.restrain(at=at - 1 if count == 1 else at, most=10, age=DAY) == []
        [paused] = await store.signals.restrain(at=at, most=5, age=DAY)
        assert (paused.stream_id, paused.status) == ("w1", "paused")
        assert await store.signals.get("w1") == paused
        assert [signal.happening.event for signal in await waiting(store)] == [STREAM_UPDATED]
        assert await store.signals.restrain(at=at, most=5, age=DAY) == []
        [(_, kept), _] = await store.signals.list()
        assert kept <= 5
        for _ in range(6):
            await store.signals.put("w1", Happening(event=VERIFICATION), at=at)
        assert await store.signals.restrain(at=at, most=5, age=DAY) == []
        [(_, kept), _] = await store.signals.list()
        assert kept == 5
        other = await store.signals.get("w2")
        assert other is not None
        assert other.status == "enabled"

    async def test_they_go_with_their_client(self, store: Store) -> None:
        await listening(store, stream("w1"), stream("w2"))
        await store.sessions.end("s1", at=LATER)
        seen = await store.signals.get("w1")
        assert seen is not None
        with pytest.raises(StaleError):
            await store.signals.remove("w1", seen=replace(seen, description="Another"))
        assert await store.signals.remove("w1", seen=seen)
        assert not await store.signals.remove("w1")
        await store.clients.remove("shop", at=LATER)
        assert await store.signals.get("w2") is None
        await store.clients.add(client())
        assert await store.signals.add(stream("w1"), most=MOST)
        assert await waiting(store) == []
