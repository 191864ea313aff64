"""The revocation feed as a guard meets it: what the issuer takes back is in a signed snapshot and in signed messages."""

import asyncio
import json
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import AsyncMock

import httpx2
import pytest
from msgspec import structs

from carnet.feed.epoch_map import TokenNames
from carnet.feed.follower import Follower, Outcome
from carnet.feed.messages import feed_verifier, read_message, read_snapshot
from carnet.feed.roster import Introduction, Listener
from carnet.guard import Checkpoint, RefusedRequestError
from carnet.guard.revocation import Revocation as Following
from carnet.issuer import clients
from carnet.issuer.accounts import people
from carnet.issuer.keyring import KeyringError
from carnet.issuer.revocation import publisher
from carnet.issuer.rotation import WINDOW
from carnet.issuer.storage.records import Lacking, Revocation
from carnet.jose import KeySet, base64url

pytestmark = pytest.mark.anyio


class Watcher:
    """A follower over the issuer's HTTP endpoints."""

    def __init__(self, issuer):
        self.issuer = issuer
        self.follower = Follower()

    @property
    def clocks(self):
        return {"at": self.issuer.clock.now(), "monotonic": self.issuer.clock.monotonic()}

    async def verifier(self):
        keys = KeySet.from_jwks((await self.issuer.direct.get("/jwks")).content, algorithms=("ES256",))
        return feed_verifier(keys, issuer=self.issuer.desk.config.issuer, algorithms=("ES256",))

    async def begin(self):
        answer = await self.issuer.direct.get("/revocations/snapshot")
        assert answer.status_code == 200
        snapshot = read_snapshot(answer.content, await self.verifier(), at=self.issuer.clock.now())
        self.follower.take_snapshot(snapshot, **self.clocks)
        return self

    async def poll(self):
        place = {"stream": self.follower.stream, "after": self.follower.sequence}
        answer = await self.issuer.direct.get("/revocations", params=place)
        assert answer.status_code == 200, answer.text
        verifier = await self.verifier()
        for token in answer.json()["messages"]:
            message = read_message(token, verifier, at=self.issuer.clock.now())
            assert self.follower.take_message(message, **self.clocks) is Outcome.APPLIED

    def refuses(self, token, claims):
        claims = claims(token)
        names = TokenNames(
            subject=claims["sub"],
            client_id=claims["client_id"],
            jti=claims["jti"],
            kid=json.loads(base64url.decode(token.partition(".")[0].encode()))["kid"],
            sid=claims.get("sid"),
            epoch=claims.get("sep", 0),
        )
        return self.follower.refuses(self.follower.marks(names))


@pytest.fixture
async def watcher(issuer):
    return await Watcher(issuer).begin()


class Direct(httpx2.AsyncBaseTransport):
    """Gets metadata and keys from the issuer; the feed is brought by a `Watcher`, message by message."""

    def __init__(self, issuer):
        self.app = httpx2.ASGITransport(issuer.app)

    async def handle_async_request(self, request):
        if request.url.path.startswith("/revocations"):
            return httpx2.Response(503)
        return await self.app.handle_async_request(request)


@pytest.fixture
async def service_guard(issuer, watcher):
    """A service's guard, which knows what the watcher hears."""
    checkpoint = Checkpoint(
        issuer=issuer.desk.config.issuer,
        audience="orders",
        ambient=issuer.clock.ambient,
        transport=Direct(issuer),
        revocation=Following(),
    )
    watcher.follower = checkpoint.feed
    await watcher.begin()
    await checkpoint.source.load()

    async def refusal(token):
        try:
            await checkpoint.admit([f"Bearer {token}".encode()])
        except RefusedRequestError as error:
            return error.refused.code, error.refused.status
        return None

    yield refusal
    await checkpoint.stop()


@pytest.fixture
async def app(issuer, request):
    await issuer.sign_in()
    return await issuer.register(subject_type=getattr(request, "param", "public"), audiences=("orders",))


class Case:
    """What is done, by name, to somebody whose app has these tokens."""

    def __init__(self, issuer, app, tokens):
        self.issuer, self.app, self.tokens = issuer, app, tokens
        self.desk = issuer.desk
        self.subject = issuer.accounts["ann@example.com"].subject

    async def form(self, page, path, **given):
        """Fill in a form of ours in the browser."""
        sent = self.issuer.fields(await self.issuer.http.get(page)) | given
        answer = await self.issuer.submit(path, sent)
        assert answer.status_code in {200, 303}, answer.text

    async def sign_out(self):
        page = await self.issuer.http.get("/end_session", params={"id_token_hint": self.tokens["id_token"]})
        if page.status_code == 200:
            await self.issuer.submit("/end_session", self.issuer.fields(page))

    async def sign_out_everywhere(self):
        await people.sign_out_everywhere(self.desk, self.subject, by=people.CLI)

    async def end_a_session_on_the_account_page(self):
        sid = (await self.desk.store.sessions.of(self.subject, at=self.issuer.clock.now()))[0].sid
        await self.form("/account", "/account/sessions/end", sid=sid)

    async def take_an_app_s_access_on_the_account_page(self):
        await self.form("/account", "/account/apps/revoke", client_id=self.app.client_id)

    async def change_the_password(self):
        await people.set_password(self.desk, self.subject, "another lantern on the quay", by=people.CLI)

    async def disable_the_account(self):
        await people.disable(self.desk, self.subject, by=people.CLI)

    async def delete_the_account(self):
        await people.remove(self.desk, self.subject, by=people.CLI)

    async def delete_the_client(self):
        await clients.remove(self.desk, self.app.client_id, actor="test")

    async def use_a_refresh_token_twice(self):
        await self.app.refresh(self.tokens["refresh_token"])
        self.issuer.clock.advance(WINDOW)
        assert (await self.app.refresh(self.tokens["refresh_token"])).status_code == 400

    async def redeem_a_code_twice(self):
        code = await self.app.code()
        self.tokens |= (await self.app.redeem(code)).json()
        self.issuer.clock.advance(WINDOW)
        assert (await self.app.redeem(code)).status_code == 400

    async def retire_a_compromised_key(self):
        await self.desk.keyring.retire((await self.desk.keyring.signing_key()).kid, compromised=True)

    async def revoke_the_access_token(self):
        await self.app.post("/revoke", token=self.tokens["access_token"])

    async def revoke_the_refresh_token(self):
        await self.app.post("/revoke", token=self.tokens["refresh_token"])

    async def sign_out_as_an_administrator(self):
        await self.as_an_administrator("sign-out")

    async def disable_as_an_administrator(self):
        await self.as_an_administrator("disable")

    async def as_an_administrator(self, act):
        await self.issuer.person("root@example.com", roles=("ADMIN",))
        await self.issuer.sign_in("root@example.com")
        await self.form("/admin/people/invite", f"/admin/people/{self.subject}/{act}")


CAUSES = [name for name in vars(Case) if not name.startswith("_") and name not in {"form", "as_an_administrator"}]


@pytest.mark.parametrize("app", ["public", "pairwise"], indirect=True)
@pytest.mark.parametrize("cause", CAUSES)
async def test_what_is_taken_back_is_refused_at_the_next_message_and_in_the_next_snapshot(
    issuer, app, watcher, claims, cause, service_guard
):
    case = Case(issuer, app, await app.tokens())
    service = await issuer.service(audiences=("orders",))
    assert await service_guard(case.tokens["access_token"]) is None
    await getattr(case, cause)()
    taken = case.tokens["access_token"]
    kept = (await service.post(grant_type="client_credentials")).json()["access_token"]
    assert not watcher.refuses(taken, claims)
    await issuer.desk.publisher.turn()
    await watcher.poll()
    assert watcher.refuses(taken, claims)
    assert not watcher.refuses(kept, claims)
    assert await service_guard(taken) == ("revoked", 401)
    assert await service_guard(kept) is None
    issuer.clock.advance(publisher.SNAPSHOT_AGE)
    late = await Watcher(issuer).begin()
    assert late.refuses(taken, claims)
    assert not late.refuses(kept, claims)


@pytest.mark.parametrize("takes_back", [True, False])
async def test_a_change_of_roles_takes_tokens_back_where_that_is_wished(
    config, watcher, issuer, app, claims, takes_back, service_guard
):
    desk = replace(issuer.desk, config=structs.replace(config, roles_take_back=takes_back))
    tokens = await app.tokens()
    subject = issuer.accounts["ann@example.com"].subject
    await people.set_roles(desk, subject, ["CLERK"], by=people.CLI)
    await issuer.desk.publisher.turn()
    issuer.clock.advance(publisher.SNAPSHOT_AGE)
    await watcher.begin()  # a poll would wait for what does not come
    assert watcher.refuses(tokens["access_token"], claims) == takes_back
    assert await service_guard(tokens["access_token"]) == (("revoked", 401) if takes_back else None)
    fresh = (await app.refresh(tokens["refresh_token"])).json()["access_token"]
    assert claims(fresh)["roles"] == ("CLERK",)
    assert not watcher.refuses(fresh, claims)


async def test_a_snapshot_that_is_a_little_old_is_brought_up_to_date_by_the_messages(issuer, app, watcher, claims):
    case = Case(issuer, app, await app.tokens())
    await case.sign_out_everywhere()
    late = await Watcher(issuer).begin()
    await late.poll()
    assert late.refuses(case.tokens["access_token"], claims)


async def test_what_is_issued_after_signing_out_everywhere_is_accepted(issuer, app, watcher, claims):
    await Case(issuer, app, None).sign_out_everywhere()
    await issuer.sign_in()
    tokens = await app.tokens()
    await issuer.desk.publisher.turn()
    await watcher.poll()
    assert not watcher.refuses(tokens["access_token"], claims)


async def test_a_poll_waits_for_what_comes(issuer, watcher):
    waiting = asyncio.create_task(watcher.poll())
    while issuer.desk.publisher.channel.listeners == 0:
        await asyncio.sleep(0)
    await issuer.desk.store.revocations.add([Revocation(kind="session", value="s1", expires_at=2_000_000_000)])
    await issuer.desk.publisher.turn()
    await waiting
    assert watcher.follower.taken_back("session", "s1")


async def test_a_heartbeat_tells_the_time_when_nothing_else_is_to_be_told(issuer, watcher):
    issuer.clock.advance(publisher.HEARTBEAT)
    assert watcher.follower.staleness(monotonic=issuer.clock.monotonic()) == publisher.HEARTBEAT
    await issuer.desk.publisher.turn()
    place = {"stream": watcher.follower.stream, "after": watcher.follower.sequence}
    listener = issuer.desk.publisher.channel.listen(**place)
    message = (await anext(listener)).message
    await listener.aclose()
    assert watcher.follower.take_message(message, **watcher.clocks) is Outcome.APPLIED
    assert watcher.follower.staleness(monotonic=issuer.clock.monotonic()) == 0


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"stream": "one"},
        {"after": "1"},
        {"stream": "one", "after": "-1"},
        {"stream": "one", "after": "x"},
        {"stream": "one", "after": "1" * 17},
        {"stream": "one", "after": "\u0661"},
    ],
)
async def test_a_place_that_is_none_is_refused(issuer, place):
    answer = await issuer.direct.get("/revocations", params=place)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("place", [{"stream": "another", "after": 0}, {"after": 10**9}])
async def test_a_place_that_nothing_joins_on_to_needs_a_snapshot(issuer, watcher, place):
    answer = await issuer.direct.get("/revocations", params={"stream": watcher.follower.stream} | place)
    assert (answer.status_code, answer.json()["error"]) == (410, "gap")
    last = f"{place.get('stream', watcher.follower.stream)}:{place['after']}"
    assert (await issuer.direct.get("/revocations", headers={"Last-Event-ID": last})).status_code == 410


async def test_too_many_listeners_are_told_to_come_again(issuer, watcher, monkeypatch):
    full = structs.replace(issuer.desk.config, revocation_listeners=0)
    monkeypatch.setattr(issuer.app.state, "desk", replace(issuer.desk, config=full))
    place = {"stream": watcher.follower.stream, "after": watcher.follower.sequence}
    answer = await issuer.direct.get("/revocations", params=place)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_a_database_that_was_put_back_begins_a_new_stream(issuer, watcher):
    before = watcher.follower.stream
    await issuer.desk.store.revocations.forget_stream()
    await issuer.desk.publisher.turn()
    place = {"stream": before, "after": watcher.follower.sequence}
    assert (await issuer.direct.get("/revocations", params=place)).status_code == 410
    await watcher.begin()
    assert watcher.follower.stream != before


async def test_two_nodes_on_one_database_write_the_same_stream(issuer, watcher):
    desk = issuer.desk
    other = publisher.Publisher(desk.store, desk.keyring, issuer=desk.config.issuer, ambient=desk.ambient)
    await other.turn()
    await desk.store.revocations.add([Revocation(kind="session", value="s1", expires_at=2_000_000_000)])
    await other.turn()
    await desk.publisher.turn()
    assert other.channel.newest.message.entries == desk.publisher.channel.newest.message.entries != ()
    assert other.channel.newest.message.stream == watcher.follower.stream


async def test_a_new_key_is_told_at_once_and_all_of_them_with_each_heartbeat(issuer, watcher):
    desk = issuer.desk
    old = (await desk.keyring.signing_key()).kid
    await desk.publisher.turn()
    assert desk.publisher.channel.newest.message.kids == (old,)
    new = (await desk.keyring.rotate()).kid
    await desk.publisher.turn()
    assert desk.publisher.channel.newest.message.kids == tuple(sorted((old, new)))
    await desk.store.revocations.add([Revocation(kind="session", value="s1", expires_at=2_000_000_000)])
    await desk.publisher.turn()
    assert desk.publisher.channel.newest.message.kids is None, "not with each message"
    issuer.clock.advance(publisher.HEARTBEAT)
    await desk.publisher.turn()
    assert desk.publisher.channel.newest.message.kids == tuple(sorted((old, new)))
    await watcher.poll()


async def test_a_snapshot_that_serves_again_asks_the_database_for_nothing(issuer, monkeypatch):
    desk = issuer.desk
    first = await issuer.direct.get("/revocations/snapshot")
    monkeypatch.setattr(desk.publisher, "_store", None)
    issuer.clock.advance(publisher.SNAPSHOT_AGE - 1)
    again = await asyncio.gather(*(issuer.direct.get("/revocations/snapshot") for _ in range(20)))
    assert {answer.content for answer in again} == {first.content}


async def test_a_snapshot_that_a_compromised_key_signed_does_not_serve_again(issuer):
    await issuer.direct.get("/revocations/snapshot")
    old = (await issuer.desk.keyring.signing_key()).kid
    await issuer.desk.keyring.retire(old, compromised=True)
    answer = await issuer.direct.get("/revocations/snapshot")
    head = json.loads(base64url.decode(answer.content.partition(b".")[0]))
    assert head["kid"] == (await issuer.desk.keyring.signing_key()).kid != old


async def test_a_snapshot_that_no_guard_would_take_is_not_given(issuer, monkeypatch):
    monkeypatch.setattr(publisher, "SNAPSHOT_LIMIT", 4_000)
    answer = await issuer.direct.get("/revocations/snapshot")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


async def test_a_node_tells_the_others_who_listens_to_it_and_when_nobody_does_any_more(issuer, watcher):
    desk = issuer.desk
    now = issuer.clock.now()
    newest = desk.publisher.channel.newest.message
    old = (await desk.keyring.signing_key()).kid
    new = (await desk.keyring.rotate()).kid
    said = [
        Introduction("orders 1", (old, new)),
        Introduction("orders 2", (old,)),
        Introduction("relay 1", (old,), guards=9, lacking=("far 1", "far 2")),
        Introduction("says nothing"),
    ]
    await desk.publisher._tell_others()
    assert await desk.store.feed_reports.list(since=0) == [], "nothing is written where nobody listens"
    issuer.clock.advance(publisher.HEARTBEAT)
    with ExitStack() as connected:
        for one in said:
            listener = Listener(one, newest.stream, newest.sequence, since=now, told_at=now, polls=False)
            connected.enter_context(desk.publisher.channel.roster.entered(listener))
        await desk.publisher._tell_others()
        [report] = await desk.store.feed_reports.list(since=0)
        assert report.guards == 12
        assert report.keys[old].count == 0
        assert report.keys[new] == Lacking(count=3, names=("orders 2", "relay 1: far 1", "relay 1: far 2"))
        assert [one.name for one in report.listeners][:2] == ["orders 2", "relay 1"]
        assert [one.lacks for one in report.listeners] == [1, 1, 0, None]
        assert await desk.keyring.lacking(new) == report.keys[new]
    issuer.clock.advance(publisher.HEARTBEAT)
    await desk.publisher._tell_others()
    assert (await desk.keyring.lacking(new)).count == 0


@pytest.mark.parametrize("warm", [False, True])
async def test_those_who_ask_for_a_snapshot_at_once_share_the_work(issuer, monkeypatch, warm):
    if warm:
        await issuer.direct.get("/revocations/snapshot")
        issuer.clock.advance(publisher.SNAPSHOT_AGE)
    made = []

    class Counted(publisher.Snapshot):
        def __init__(self, *members):
            made.append(members)
            super().__init__(*members)

    monkeypatch.setattr(publisher, "Snapshot", Counted)
    answers = await asyncio.gather(*(issuer.direct.get("/revocations/snapshot") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(made) == 1


async def test_only_the_first_snapshot_is_read_from_the_database_and_later_ones_lack_nothing(issuer, watcher):
    desk, read = issuer.desk, []
    await desk.store.revocations.add([Revocation(kind="session", value="s0", expires_at=issuer.clock.now() + 1)])
    await desk.publisher.turn()
    since = desk.store.revocations.since

    async def counting(after, **options):
        read.append(after)
        return await since(after, **options)

    object.__setattr__(desk.store.revocations, "since", counting)
    now = issuer.clock.now()
    for number in range(1, 4):
        until = now + (400 if number > 1 else 3)
        entries = [Revocation(kind="session", value=f"s{number}", expires_at=until)]
        entries += [Revocation(kind="subject", value="ann", epoch=number, expires_at=until)]
        await desk.store.revocations.add(entries)
        issuer.clock.advance(publisher.SNAPSHOT_AGE)
        late = await Watcher(issuer).begin()
        held = [late.follower.taken_back("session", f"s{n}") for n in range(1, 4)]
        assert held == [False, number >= 2, number >= 3]
        names = [TokenNames(subject="ann", client_id="app", jti="f.1", epoch=epoch) for epoch in (number - 1, number)]
        if number > 1:
            assert [late.follower.refuses(late.follower.marks(one)) for one in names] == [True, False]
    assert 0 not in read
    assert len(late.follower.entries) == 3, "what has expired is left out"


async def test_memory_does_not_grow_where_nobody_asks_for_a_snapshot(issuer, watcher, monkeypatch):
    monkeypatch.setattr(publisher, "OVERLAY_LIMIT", 2)
    desk = issuer.desk
    for number in range(9):
        entry = Revocation(kind="session", value=f"s{number}", expires_at=issuer.clock.now() + 400)
        await desk.store.revocations.add([entry])
        await desk.publisher.turn()
        if desk.publisher._packing is not None:
            await desk.publisher._packing
    assert len(desk.publisher._news) <= 2
    assert desk.publisher._map.overlay <= 2
    assert len(desk.publisher._map) == 9


async def test_a_snapshot_does_not_claim_a_time_whose_entries_could_not_be_sent(issuer, watcher, monkeypatch):
    desk = issuer.desk
    before = issuer.clock.now()
    issuer.clock.advance(publisher.SNAPSHOT_AGE)
    await desk.store.revocations.add([Revocation(kind="session", value="s1", expires_at=before + 400)])

    async def no_key():
        raise KeyringError("There is none.")

    keyless = SimpleNamespace(signing_key=no_key, token_kids=desk.keyring.token_kids)
    turn = desk.publisher.turn
    with monkeypatch.context() as broken:
        broken.setattr(desk.publisher, "_keyring", keyless)
        with pytest.raises(KeyringError):
            await turn()
    monkeypatch.setattr(desk.publisher, "turn", AsyncMock())
    assert (await desk.publisher._pack()).issued_at <= before


async def test_the_feed_is_found_by_discovery(issuer):
    metadata = (await issuer.direct.get("/.well-known/openid-configuration")).json()
    assert metadata["revocations_endpoint"].endswith("/revocations")
    assert metadata["revocations_snapshot_endpoint"].endswith("/revocations/snapshot")
