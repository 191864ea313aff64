"""How a guard follows the feed: steps, answers and refusals, without a network."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from carnet.feed.entries import OUTRIGHT, Entry, mark, pack
from carnet.feed.messages import Message, Snapshot, sign_message, sign_snapshot
from carnet.feed.roster import Introduction
from carnet.guard.event_stream import Event
from carnet.guard.feed_machine import SILENCE, FeedMachine, Listen, Poll, TakeSnapshot, UnknownFeedKeyError
from carnet.guard.key_set import Response, Wait
from carnet.guard.metadata import Metadata
from carnet.guard.principal import Principal
from carnet.guard.revocation import Revocation, RevocationView, Verdict
from carnet.jose import KeySet, SigningKey, sign_jwt

ISSUER = "https://issuer.example"
NOW = 1_800_000_000
KEY = b"k" * 16
SIGNING, NEXT, FOREIGN = (SigningKey.generate("ES256") for _ in range(3))
KEYS = KeySet((SIGNING.public(),))
BOTH = KeySet((SIGNING.public(), NEXT.public()))
METADATA = Metadata(
    issuer=ISSUER,
    jwks_uri=f"{ISSUER}/jwks",
    revocations_endpoint=f"{ISSUER}/revocations",
    revocations_snapshot_endpoint=f"{ISSUER}/revocations/snapshot",
)


class Feed:
    """A machine and the issuer that it follows."""

    def __init__(self, **options):
        self.at = 100.0
        self.machine = FeedMachine(ISSUER, algorithms=("ES256",), jitter=lambda: 0.0, at=self.at, **options)

    @property
    def clocks(self):
        return {"now": NOW + int(self.at - 100), "at": self.at}

    def next(self, metadata=METADATA):
        return self.machine.next(metadata, self.at)

    def snapshot(self, *entries, sequence=10, key=SIGNING, keys=KEYS, status=200, body=None):
        step = self.next()
        assert isinstance(step, TakeSnapshot), step
        snapshot = Snapshot("one", KEY, sequence, self.clocks["now"], pack(entries))
        body = sign_snapshot(snapshot, issuer=ISSUER, key=key) if body is None else body
        self.machine.answered(step, Response(status, {}, body), keys, **self.clocks)

    def message(self, *entries, after=10, key=SIGNING):
        message = Message("one", after, after + len(entries), self.clocks["now"], entries)
        return sign_message(message, issuer=ISSUER, key=key)

    def event(self, data, *, kind="message", keys=KEYS):
        return self.machine.event(Event(kind, data), keys, **self.clocks)

    @property
    def staleness(self):
        return self.machine.follower.staleness(monotonic=self.at)


@pytest.fixture
def feed():
    feed = Feed()
    feed.snapshot()
    return feed


def place(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def session(sid):
    return Entry(mark("session", sid, key=KEY), OUTRIGHT, NOW + 400)


def test_it_takes_a_snapshot_and_then_listens_from_there(feed):
    step = feed.next()
    assert isinstance(step, Listen)
    assert step.url.startswith(f"{ISSUER}/revocations?")
    assert place(step.url) == {"stream": "one", "after": "10"}
    assert feed.machine.listening(200, feed.at)
    assert feed.event(feed.message(session("s1")))
    assert feed.machine.follower.taken_back("session", "s1")


def test_a_relay_carries_it_in_the_issuers_place():
    feed = Feed(relay="http://relay.internal:8090")
    assert feed.next(metadata=None).fetch.url == "http://relay.internal:8090/revocations/snapshot"
    feed.snapshot()
    assert feed.next(metadata=None).url.startswith("http://relay.internal:8090/revocations?")


@pytest.mark.parametrize(
    ("metadata", "why"),
    [(None, "could not be read"), (Metadata(issuer=ISSUER, jwks_uri=f"{ISSUER}/jwks"), "names no revocation feed")],
)
def test_without_a_feed_it_waits_and_says_why(metadata, why):
    feed = Feed()
    assert isinstance(feed.next(metadata), Wait)
    assert why in feed.machine.last_failure
    assert not feed.machine.follower.ready


@pytest.mark.parametrize("body", [b"", b"garbage", b"a.b.c\n", b"\xff\n"])
def test_a_snapshot_that_is_none_is_refused_and_tried_again_later(body):
    feed = Feed()
    feed.snapshot(body=body)
    assert not feed.machine.follower.ready
    step = feed.next()
    assert isinstance(step, Wait)
    feed.at = step.until
    assert isinstance(feed.next(), TakeSnapshot)


def test_a_failure_is_followed_by_longer_and_longer_waits_up_to_a_bound():
    feed = Feed()
    waits = []
    for _ in range(9):
        feed.machine.failed("no answer", feed.at)
        step = feed.next()
        waits.append(step.until - feed.at)
        feed.at = step.until
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0.125, 2.5)
    feed.snapshot()
    feed.machine.failed("no answer", feed.at)
    assert feed.next().until - feed.at == 0.125


def test_a_forged_message_ends_the_stream_and_changes_nothing(feed):
    forged = sign_message(
        Message("one", 10, 11, NOW, (session("s1"),)), issuer=ISSUER, key=SigningKey.generate("ES256", kid=SIGNING.kid)
    )
    assert not feed.event(forged)
    assert not feed.machine.follower.taken_back("session", "s1")
    assert isinstance(feed.next(), Wait)


def test_a_forged_heartbeat_does_not_make_it_fresher(feed):
    feed.at += 20
    forged = sign_message(
        Message("one", 10, 10, NOW + 20), issuer=ISSUER, key=SigningKey.generate("ES256", kid=SIGNING.kid)
    )
    assert not feed.event(forged)
    assert feed.staleness == 20


def test_a_key_that_is_not_known_is_asked_for_before_the_message_is_given_up(feed):
    token = feed.message(session("s1"), key=NEXT)
    with pytest.raises(UnknownFeedKeyError) as raised:
        feed.event(token)
    assert raised.value.kid == NEXT.kid
    assert feed.event(token, keys=BOTH)
    assert feed.machine.follower.taken_back("session", "s1")


def test_a_snapshot_with_a_key_that_is_not_known_is_not_given_up_either():
    feed = Feed()
    with pytest.raises(UnknownFeedKeyError):
        feed.snapshot(key=NEXT)
    feed.snapshot(key=NEXT, keys=BOTH)
    assert feed.machine.follower.ready


@pytest.mark.parametrize("keys", [None, KeySet(())])
def test_without_keys_nothing_is_believed(keys):
    feed = Feed()
    with pytest.raises(UnknownFeedKeyError):
        feed.snapshot(keys=keys)
    assert not feed.machine.follower.ready


def test_a_key_that_was_compromised_does_not_speak_for_the_feed(feed):
    entry = Entry(mark("key", SIGNING.kid, key=KEY), OUTRIGHT, NOW + 400)
    assert feed.event(feed.message(entry, key=NEXT), keys=BOTH)
    feed.at += 20
    assert not feed.event(feed.message(after=11), keys=BOTH)
    assert feed.staleness == 20
    feed.at += 5
    assert feed.event(feed.message(after=11, key=NEXT), keys=BOTH)
    assert feed.staleness == 0


@pytest.mark.parametrize("how", ["status", "event", "message", "poll"])
def test_a_gap_asks_for_a_snapshot(feed, how):
    if how == "status":
        assert not feed.machine.listening(410, feed.at)
    elif how == "event":
        assert not feed.event("{}", kind="gap")
    elif how == "message":
        assert not feed.event(feed.message(session("s1"), after=12))
    else:
        feed.machine.answered(Poll(feed.next()), Response(410, {}, b"{}"), KEYS, **feed.clocks)
    assert isinstance(feed.next(), TakeSnapshot)


def test_a_stream_that_is_none_is_a_failure(feed):
    assert not feed.machine.listening(502, feed.at)
    assert "502" in feed.machine.last_failure
    assert isinstance(feed.next(), Wait)


def silent_streams(feed, count):
    for _ in range(count):
        step = feed.next()
        while isinstance(step, Wait):
            feed.at = step.until
            step = feed.next()
        assert isinstance(step, Listen)
        assert feed.machine.listening(200, feed.at)
        feed.at += SILENCE
        feed.machine.ended("nothing came", feed.at)
    feed.at += 10


def test_streams_that_are_held_back_make_it_poll_and_then_try_again(feed):
    silent_streams(feed, 2)
    step = feed.next()
    assert isinstance(step, Poll)
    assert place(step.fetch.url) == {"stream": "one", "after": "10"}
    body = json.dumps({"messages": [feed.message(session("s1")), feed.message(session("s2"), after=11)]}).encode()
    feed.machine.answered(step, Response(200, {}, body), KEYS, **feed.clocks)
    assert feed.machine.follower.taken_back("session", "s2")
    assert feed.machine.last_failure is None
    assert isinstance(feed.next(), Poll)
    feed.at += 400
    assert isinstance(feed.next(), Listen)


def test_a_stream_that_spoke_is_taken_up_again(feed):
    for _ in range(5):
        feed.machine.listening(200, feed.at)
        assert feed.event(feed.message())
        feed.machine.ended("it broke", feed.at)
        feed.at += 10
        assert isinstance(feed.next(), Listen)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"messages": 1}', b'{"messages": [1]}'])
def test_a_poll_that_cannot_be_read_is_a_failure(feed, body):
    silent_streams(feed, 2)
    feed.machine.answered(feed.next(), Response(200, {}, body), KEYS, **feed.clocks)
    assert feed.machine.last_failure is not None
    assert isinstance(feed.next(), Wait)


def test_a_feed_that_never_joins_on_is_not_asked_without_a_pause(feed):
    waits = []
    for number in range(2, 8):
        assert not feed.machine.listening(410, feed.at)
        step = feed.next()
        if isinstance(step, Wait):
            waits.append(step.until - feed.at)
            feed.at = step.until
        feed.snapshot(sequence=10 + number)
    assert len(waits) == 5
    assert waits == sorted(waits)
    assert waits[-1] > 1
    assert feed.event(feed.message(after=17))
    assert not feed.machine.listening(410, feed.at)
    assert isinstance(feed.next(), TakeSnapshot)


def test_an_issuer_without_a_feed_is_no_failure_where_the_feed_is_optional():
    feed = Feed(optional=True)
    without = Metadata(issuer=ISSUER, jwks_uri=f"{ISSUER}/jwks")
    assert feed.next(without).until == feed.at + 60
    assert feed.machine.news() is None
    assert not feed.machine.follows(without)
    assert feed.machine.follows(METADATA)
    assert feed.machine.follows(None)


def test_a_failure_is_told_once():
    feed = Feed()
    feed.machine.failed("no answer", feed.at)
    feed.machine.failed("no answer", feed.at)
    assert [feed.machine.news(), feed.machine.news()] == ["no answer", None]
    feed.machine.failed("another", feed.at)
    assert feed.machine.news() == "another"


def judged(feed, sid="s1"):
    view = RevocationView(Revocation(), feed.machine.follower)
    principal = Principal(issuer=ISSUER, subject="ann", client_id="app", token_id="f.1", expires_at=NOW, session_id=sid)
    return view.judge("a token", principal, monotonic=feed.at)


def test_a_relay_that_delays_everything_by_forty_seconds_never_passes_for_fresh(feed):
    def delayed(*entries):
        message = Message("one", 10, 10 + len(entries), feed.clocks["now"] - 40, entries)
        return sign_message(message, issuer=ISSUER, key=SIGNING)

    feed.at += 40
    for _ in range(60):
        feed.at += 5
        assert feed.event(delayed())
        assert feed.staleness == 40
        assert judged(feed) is Verdict.STALE
    assert feed.event(delayed(session("s1")))
    assert judged(feed) is Verdict.TAKEN_BACK
    assert judged(feed, "s2") is Verdict.STALE


def test_a_relay_that_replays_what_was_said_does_not_make_it_fresher(feed):
    said = [feed.message(session("s1")), feed.message(after=11)]
    for token in said:
        assert feed.event(token)
    assert judged(feed, "s2") is Verdict.GOOD
    for _ in range(7):
        feed.at += 5
        for token in said:
            assert feed.event(token)
    assert feed.staleness == 35
    assert judged(feed, "s2") is Verdict.STALE
    assert judged(feed) is Verdict.TAKEN_BACK


def test_it_names_itself_and_the_keys_that_it_holds_and_comes_again_with_other_keys():
    feed = Feed(name="orders 1")
    feed.snapshot()
    step = feed.machine.next(METADATA, feed.at, KEYS)
    assert (place(step.url)["guard"], place(step.url)["keys"]) == ("orders 1", SIGNING.kid)
    assert feed.event(feed.message())
    assert not feed.event(feed.message(), keys=BOTH)
    step = feed.machine.next(METADATA, feed.at, BOTH)
    assert set(place(step.url)["keys"].split()) == {SIGNING.kid, NEXT.kid}
    assert feed.event(feed.message(), keys=BOTH)


def test_it_notes_which_keys_the_issuer_publishes_as_the_newest_message_says(feed):
    def telling(kids, ago=0):
        message = Message("one", 10, 10, feed.clocks["now"] - ago, kids=kids)
        return sign_message(message, issuer=ISSUER, key=SIGNING)

    feed.next()
    feed.machine.listening(200, feed.at)
    assert feed.event(telling(("k1", "k2")))
    assert feed.machine.announced == ("k1", "k2")
    assert feed.event(feed.message())
    assert feed.event(telling(("k0",), ago=5)), "a relay replays what was said before"
    assert feed.machine.announced == ("k1", "k2")


@pytest.mark.parametrize("kids", [7, "k1", ["k1", 7], {"k1": 1}])
def test_a_message_whose_keys_are_no_list_of_names_is_refused(feed, kids):
    claims = {"iss": ISSUER, "aud": ISSUER, "iat": NOW, "stream": "one", "after": 10, "seq": 10, "kids": kids}
    feed.next()
    feed.machine.listening(200, feed.at)
    assert not feed.event(sign_jwt(claims, SIGNING, typ="revocations+jwt"))
    assert "kids" in feed.machine.last_failure


def test_a_relay_says_what_those_behind_it_hold_and_comes_again_after_a_while():
    class Relay:
        held = ("k1",)

        def message(self, signed):
            """Passes nothing on."""

        def snapshot(self, snapshot, body):
            """Passes nothing on."""

        def introduction(self, name, kids):
            return Introduction(name, self.held, guards=40, lacking=("orders 1", "orders 2"))

    feed = Feed(name="relay 1", tap=Relay())
    feed.snapshot()
    said = parse_qs(urlsplit(feed.next().url).query)
    assert {name: said[name] for name in ("guard", "keys", "guards", "lacking")} == {
        "guard": ["relay 1"],
        "keys": ["k1"],
        "guards": ["40"],
        "lacking": ["orders 1", "orders 2"],
    }
    feed.machine.listening(200, feed.at)
    Relay.held = ("k1", "k2")
    feed.at += 9
    assert feed.event(feed.message())
    feed.at += 1
    assert not feed.event(feed.message())
    assert parse_qs(urlsplit(feed.next().url).query)["keys"] == ["k1 k2"]
