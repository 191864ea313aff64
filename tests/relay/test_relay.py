"""A relay carries the feed word for word: guards behind it, and relays behind it, know what guards at the issuer know."""

import asyncio

import httpx2
import pytest

from carnet.feed.entries import HASH_KEY_LENGTH, OUTRIGHT, Entry, mark, pack
from carnet.feed.messages import Message, Snapshot, sign_message, sign_snapshot
from carnet.feed.roster import Introduction, Listener
from carnet.guard.feed_machine import FeedMachine, Listen, TakeSnapshot
from carnet.guard.key_set import Response
from carnet.guard.metadata import metadata_urls
from carnet.jose import KeySet, SigningKey
from carnet.jose.strict_json import encode_object
from carnet.relay import SNAPSHOT_AGE, Relay, create_relay_app
from carnet.testing import Clock
from carnet.testing.programs import PATIENCE

pytestmark = pytest.mark.anyio

ISSUER = "https://issuer.test"
HERE = "http://relay.test"
KEY = b"k" * HASH_KEY_LENGTH


class Source(httpx2.AsyncBaseTransport):
    """An issuer whose stream says what a test puts into it."""

    def __init__(self, clock):
        self.clock = clock
        self.signing = SigningKey.generate("ES256")
        self.stream = "one"
        self.entries = []
        self.snapshots = []
        self.asked = []
        self.streams = []
        self.away = False

    def snapshot(self):
        packed = pack(self.entries)
        snapshot = Snapshot(self.stream, KEY, len(self.entries), self.clock.now(), packed)
        return sign_snapshot(snapshot, issuer=ISSUER, key=self.signing)

    def say(self, *sids, after=None):
        """Take sessions back, or only tell the time; the answer is the signed message."""
        entries = tuple(Entry(mark("session", sid, key=KEY), OUTRIGHT, self.clock.now() + 400) for sid in sids)
        after = len(self.entries) if after is None else after
        self.entries += entries
        message = Message(self.stream, after, len(self.entries), self.clock.now(), entries)
        token = sign_message(message, issuer=ISSUER, key=self.signing)
        for queue in self.streams:
            queue.put_nowait(f"data: {token}\n\n".encode())
        return token

    async def handle_async_request(self, request):
        url = str(request.url)
        self.asked.append(url)
        if url == f"{ISSUER}/jwks":
            return httpx2.Response(200, content=encode_object(KeySet([self.signing.public()]).to_jwks()))
        if url in metadata_urls(ISSUER):
            places = {"revocations_endpoint": "/revocations", "revocations_snapshot_endpoint": "/revocations/snapshot"}
            metadata = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"} | {k: ISSUER + v for k, v in places.items()}
            return httpx2.Response(200, content=encode_object(metadata))
        if self.away:
            return httpx2.Response(503)
        if url.endswith("/revocations/snapshot"):
            self.snapshots.append(self.snapshot())
            return httpx2.Response(200, content=self.snapshots[-1])
        queue = asyncio.Queue()
        self.streams.append(queue)
        self.say()
        return httpx2.Response(200, stream=Events(queue))


class Events(httpx2.AsyncByteStream):
    def __init__(self, queue):
        self.queue = queue

    async def __aiter__(self):
        while (chunk := await self.queue.get()) is not None:
            yield chunk


class Carried:
    """A relay, its HTTP endpoints, and a guard's machine that follows it."""

    def __init__(self, source, relay):
        self.source, self.relay = source, relay
        transport = httpx2.ASGITransport(create_relay_app(relay, source.clock.ambient))
        self.http = httpx2.AsyncClient(transport=transport, base_url=HERE)
        self.machine = FeedMachine(ISSUER, algorithms=("ES256",), jitter=lambda: 0.0, at=0.0, relay=HERE)
        self.keys = KeySet([source.signing.public()])

    @property
    def follower(self):
        return self.machine.follower

    async def until(self, sequence):
        """Wait until the relay has passed on that many entries."""
        async with asyncio.timeout(PATIENCE):
            while self.relay.channel.newest is None or self.relay.channel.newest.message.sequence != sequence:
                await asyncio.sleep(0)

    async def step(self):
        clocks = {"now": self.source.clock.now(), "at": self.source.clock.monotonic()}
        step = self.machine.next(None, clocks["at"])
        assert isinstance(step, TakeSnapshot | Listen), step
        url = step.fetch.url if isinstance(step, TakeSnapshot) else step.url
        answer = await self.http.get(url, headers={"accept": "application/json"})
        if isinstance(step, TakeSnapshot) or answer.status_code != 200:
            self.machine.answered(step, Response(answer.status_code, {}, answer.content), self.keys, **clocks)
        else:
            self.machine._take_messages(answer.content, self.keys, **clocks)
        return answer


@pytest.fixture
def source():
    return Source(Clock())


@pytest.fixture
async def carried(source):
    relay = Relay(ISSUER, ambient=source.clock.ambient, transport=source)
    carried = Carried(source, relay)
    relay.start()
    await carried.until(0)
    yield carried
    await carried.http.aclose()
    await relay.stop()


async def test_it_serves_the_same_signed_messages_and_the_same_snapshot(source, carried):
    assert (await carried.step()).content in source.snapshots
    token = source.say("s1", "s2")
    await carried.until(2)
    assert (await carried.step()).json() == {"messages": [token]}
    assert carried.follower.taken_back("session", "s2")
    assert not carried.follower.taken_back("session", "s3")


async def test_those_who_ask_for_a_snapshot_at_once_or_soon_after_share_one_request(source, carried):
    source.clock.advance(SNAPSHOT_AGE)
    before = len(source.snapshots)
    answers = await asyncio.gather(*(carried.http.get("/revocations/snapshot") for _ in range(20)))
    assert {answer.content for answer in answers} == {source.snapshots[-1]}
    assert len(source.snapshots) == before + 1
    source.clock.advance(SNAPSHOT_AGE - 1)
    await carried.http.get("/revocations/snapshot")
    assert len(source.snapshots) == before + 1


async def test_a_snapshot_that_is_ahead_of_the_messages_is_given_once_they_have_come(source, carried):
    source.clock.advance(SNAPSHOT_AGE)
    held, source.streams = source.streams, []
    token = source.say("s1")
    asking = asyncio.ensure_future(carried.http.get("/revocations/snapshot"))
    async with asyncio.timeout(PATIENCE):
        while len(source.snapshots) < 2:
            await asyncio.sleep(0)
    assert not asking.done()
    held[0].put_nowait(f"data: {token}\n\n".encode())
    answer = await asking
    assert answer.content == source.snapshots[-1]
    assert carried.relay.channel.joins(stream="one", after=1)


async def test_where_the_issuer_is_away_an_older_snapshot_serves(source, carried):
    source.clock.advance(SNAPSHOT_AGE)
    source.away = True
    assert (await carried.http.get("/revocations/snapshot")).content == source.snapshots[-1]


async def test_when_its_own_snapshot_does_not_join_on_any_more_it_takes_a_new_one(source, carried):
    await carried.step()
    source.stream = "two"
    source.entries = []
    source.say("s9")
    async with asyncio.timeout(PATIENCE):
        while carried.relay.channel.newest.message.stream != "two":
            await asyncio.sleep(0)
    assert (await carried.step()).status_code == 410
    assert (await carried.step()).content == source.snapshots[-1]
    assert carried.follower.stream == "two"
    assert carried.follower.taken_back("session", "s9")


async def test_a_gap_before_it_is_a_gap_behind_it(source, carried):
    await carried.step()
    source.entries += [Entry(1, OUTRIGHT, source.clock.now() + 400)]
    source.say("s1")  # it joins on to one that never came
    await carried.until(2)
    assert (await carried.step()).status_code == 410
    await carried.step()
    assert carried.follower.taken_back("session", "s1")


async def test_what_the_issuer_did_not_sign_is_not_passed_on(source, carried):
    honest, source.signing = source.signing, SigningKey.generate("ES256", kid=source.signing.kid)
    forged = source.say("s1")
    async with asyncio.timeout(PATIENCE):
        while carried.relay._machine.last_failure is None:
            await asyncio.sleep(0)
    source.signing = honest
    assert all(kept.token != forged for kept in carried.relay.channel._kept)
    assert carried.relay.channel.newest.message.sequence == 0


async def test_what_was_said_before_is_not_said_again(source, carried):
    source.clock.advance(5)
    old = source.say()
    await carried.until(0)
    source.clock.advance(5)
    source.say("s1")
    await carried.until(1)
    count = carried.relay.channel._count
    source.streams[0].put_nowait(f"data: {old}\n\n".encode())
    source.say("s2")
    await carried.until(2)
    assert carried.relay.channel._count == count + 1


async def test_before_anything_has_come_it_is_not_ready_and_says_so(source):
    source.away = True
    relay = Relay(ISSUER, ambient=source.clock.ambient, transport=source)
    carried = Carried(source, relay)
    answer = await carried.http.get("/revocations/snapshot")
    assert (answer.status_code, answer.json()["error"], answer.headers["retry-after"]) == (
        503,
        "temporarily_unavailable",
        "2",
    )
    assert (await carried.http.get("/health/ready")).status_code == 503
    assert (await carried.http.get("/health/live")).status_code == 200
    await carried.http.aclose()


async def test_it_is_ready_while_its_newest_signed_time_is_within_the_bound(source, carried):
    assert (await carried.http.get("/health/ready")).status_code == 200
    source.clock.advance(30.5)
    assert (await carried.http.get("/health/ready")).status_code == 503


async def test_a_relay_can_follow_a_relay(source, carried):
    class Behind(httpx2.AsyncBaseTransport):
        """Reaches the relay for the feed, the issuer for keys; reads a stream as far as it has come."""

        async def handle_async_request(self, request):
            if request.url.host != "relay.test":
                return await source.handle_async_request(request)
            if request.url.path.endswith("snapshot"):
                return await carried.http._transport.handle_async_request(request)
            after = int(request.url.params["after"])
            listener = carried.relay.channel.listen(stream=request.url.params["stream"], after=after)
            return httpx2.Response(200, stream=Listening(listener))

    class Listening(httpx2.AsyncByteStream):
        def __init__(self, listener):
            self.listener = listener

        async def __aiter__(self):
            async for signed in self.listener:
                yield f"data: {signed.token}\n\n".encode()

    second = Relay(ISSUER, upstream=HERE, ambient=source.clock.ambient, transport=Behind())
    far = Carried(source, second)
    second.start()
    await far.until(0)
    token = source.say("s1")
    await far.until(1)
    assert second.channel.newest.token == token
    await far.http.aclose()
    await second.stop()


async def test_it_names_itself_and_its_keys_where_it_listens(source, carried):
    place = next(url for url in source.asked if "stream=" in url)
    assert "guard=relay+" in place
    assert f"keys={source.signing.kid}" in place


async def test_it_acknowledges_a_key_when_all_that_listen_to_it_hold_it(source, carried):
    """And comes again, to say so, where it listens itself."""
    relay, old = carried.relay, source.signing
    introduction = Introduction("orders 1", (old.kid,))
    with relay.channel.roster.entered(Listener(introduction, "one", 0, since=0, told_at=0, polls=False)):
        source.clock.advance(10)
        source.say()
        async with asyncio.timeout(PATIENCE):
            while len(source.streams) < 2:
                await asyncio.sleep(0)
        place = source.asked[-1]
        assert f"keys={old.kid}" in place
        assert "guards=" not in place, "one guard is what it stands for unless it says otherwise"
        new = SigningKey.generate("ES256")
        assert relay.introduction("relay 1", (old.kid, new.kid)) == Introduction(
            "relay 1", (old.kid,), guards=1, lacking=("orders 1",)
        )
