"""What was taken back is refused; when nobody can be sure, each route does what it was told."""

import json

import httpx2
import pytest

from carnet.feed.entries import OUTRIGHT, Entry, mark, pack
from carnet.feed.epoch_map import EpochMap, TokenNames
from carnet.feed.follower import Follower
from carnet.feed.messages import Snapshot
from carnet.guard import Checkpoint, RefusedRequestError, require
from carnet.guard.checkpoint import BlockingCheckpoint
from carnet.guard.introspection import Credentials
from carnet.guard.principal import Principal
from carnet.guard.revocation import Revocation, RevocationView, Verdict
from carnet.testing import Clock
from carnet.testing.issuer import FakeIssuer

pytestmark = pytest.mark.anyio

CREDENTIALS = Credentials("orders", "a secret")


class Guarded:
    """A checkpoint of a service, and requests to it."""

    def __init__(self, issuer, **settings):
        self.issuer = issuer
        self.checkpoint = Checkpoint(
            issuer=issuer.issuer, audience="service", ambient=issuer._ambient, transport=issuer.transport, **settings
        )

    async def refusal(self, token, **asked):
        """The status and the code of the refusal; None if it is let through."""
        try:
            await self.checkpoint.admit([f"Bearer {token}".encode()], require(**asked))
        except RefusedRequestError as error:
            return error.refused.status, error.refused.code
        return None


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def issuer(clock):
    return FakeIssuer(ambient=clock.ambient, feed=True)


@pytest.fixture
async def guarded(issuer):
    guarded = Guarded(issuer)
    with issuer.trusted_by(guarded):
        yield guarded
        await guarded.checkpoint.stop()


@pytest.mark.parametrize(
    ("kind", "value"),
    [("session", "s1"), ("family", "f1"), ("token", "f1.t1"), ("client", "front-end"), ("subject", "alice")],
)
async def test_what_was_taken_back_is_refused_at_once_though_it_was_let_through_before(issuer, guarded, kind, value):
    token = issuer.token("alice", sid="s1", jti="f1.t1")
    other = issuer.token("bob", sid="s2", jti="f2.t1", client_id="other")
    assert await guarded.refusal(token) is None
    issuer.revoke(kind, value)
    assert await guarded.refusal(token) == (401, "revoked")
    assert await guarded.refusal(token) == (401, "revoked")
    assert await guarded.refusal(other) is None


async def test_a_compromised_keys_tokens_are_refused(issuer, guarded):
    token = issuer.token()
    assert await guarded.refusal(token) is None
    issuer.revoke("key", issuer.key.kid)
    assert await guarded.refusal(token) == (401, "revoked")


async def test_a_token_of_the_new_epoch_is_accepted(issuer, guarded):
    issuer.revoke("subject", "alice", epoch=3)
    assert await guarded.refusal(issuer.token("alice", sep=2)) == (401, "revoked")
    assert await guarded.refusal(issuer.token("alice", sep=3)) is None


async def test_the_caller_is_not_told_that_it_was_taken_back(issuer, guarded):
    issuer.revoke("subject", "alice")
    with pytest.raises(RefusedRequestError) as raised:
        await guarded.checkpoint.admit([f"Bearer {issuer.token()}".encode()])
    assert raised.value.refused.error == "invalid_token"
    assert "back" not in raised.value.refused.description


async def test_within_the_bound_a_stale_feed_changes_nothing(issuer, guarded, clock):
    token = issuer.token()
    issuer.feed_answers = False
    clock.advance(30)
    assert await guarded.refusal(token) is None
    clock.advance(0.5)
    assert await guarded.refusal(token) == (503, "feed_stale")


async def test_each_route_does_what_it_was_told_when_the_feed_is_stale(issuer, guarded, clock):
    token = issuer.token()
    assert await guarded.refusal(token) is None
    issuer.feed_answers = False
    clock.advance(31)
    assert await guarded.refusal(token) == (503, "feed_stale")
    assert await guarded.refusal(token, when_stale="reject") == (503, "feed_stale")
    assert await guarded.refusal(token, when_stale="allow") is None
    issuer.beat()
    assert await guarded.refusal(token) is None


@pytest.mark.parametrize("when_stale", ["allow", "reject"])
async def test_what_is_known_to_be_taken_back_is_refused_however_stale_the_feed_is(issuer, guarded, clock, when_stale):
    token = issuer.token("alice", expires_in=1000)
    issuer.revoke("subject", "alice")
    issuer.feed_answers = False
    clock.advance(600)
    assert await guarded.refusal(token, when_stale=when_stale) == (401, "revoked")


async def test_before_the_first_snapshot_nothing_is_let_through(issuer, monkeypatch):
    monkeypatch.setattr("carnet.guard.feed_source._FIRST_WAIT", 0.01)
    issuer.feed_answers = False
    guarded = Guarded(issuer)
    assert await guarded.refusal(issuer.token(), when_stale="allow") == (503, "feed_not_ready")
    assert not guarded.checkpoint.ready
    await guarded.checkpoint.stop()


async def test_the_first_request_waits_for_the_first_snapshot(issuer):
    guarded = Guarded(issuer)
    issuer.revoke("subject", "alice")
    assert await guarded.refusal(issuer.token("alice")) == (401, "revoked")
    assert await guarded.refusal(issuer.token("bob")) is None
    assert guarded.checkpoint.ready
    await guarded.checkpoint.stop()


async def test_an_issuer_without_a_feed_has_none_unless_it_was_asked_for(clock, monkeypatch):
    monkeypatch.setattr("carnet.guard.feed_source._FIRST_WAIT", 0.01)
    plain = FakeIssuer(ambient=clock.ambient)
    for settings, refusal in (
        ({}, None),
        ({"revocation": None}, None),
        ({"revocation": Revocation()}, (503, "feed_not_ready")),
    ):
        guarded = Guarded(plain, **settings)
        assert await guarded.refusal(plain.token()) == refusal
        await guarded.checkpoint.stop()


async def test_with_none_the_feed_is_not_followed(issuer):
    guarded = Guarded(issuer, revocation=None)
    issuer.revoke("subject", "alice")
    assert await guarded.refusal(issuer.token("alice")) is None
    assert not [url for url in issuer.requests if "revocations" in url]
    await guarded.checkpoint.stop()


@pytest.mark.parametrize("bound", [4, 301])
def test_a_bound_out_of_its_range_is_refused(bound):
    with pytest.raises(ValueError, match="5 to 300"):
        Revocation(bound=bound)


def test_a_word_that_no_route_knows_is_refused():
    with pytest.raises(ValueError, match="introspect, reject or allow"):
        require(when_stale="maybe")


def test_threads_are_refused_the_same(clock):
    issuer = FakeIssuer(ambient=clock.ambient, feed=True)
    checkpoint = BlockingCheckpoint(
        issuer=issuer.issuer, audience="service", ambient=clock.ambient, transport=issuer.transport
    )
    issuer.revoke("subject", "alice")
    good, bad = (f"Bearer {issuer.token(subject)}".encode() for subject in ("bob", "alice"))
    try:
        assert checkpoint.admit([good]).subject == "bob"
        with pytest.raises(RefusedRequestError) as raised:
            checkpoint.admit([bad])
        assert raised.value.refused.code == "revoked"
    finally:
        checkpoint.stop()


class Introspecting:
    """An issuer's introspection endpoint as an introspecting guard meets it."""

    def __init__(self, issuer):
        self.issuer = issuer
        self.whole = issuer.answer
        self.answer = httpx2.Response(200, json={"active": True})
        self.asked = []
        issuer.answer = self._answer
        metadata = issuer.metadata
        issuer.metadata = lambda: metadata() | {"introspection_endpoint": f"{issuer.issuer}/introspect"}

    def _answer(self, request):
        if not str(request.url).endswith("/introspect"):
            return self.whole(request)
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
async def stale(issuer, clock):
    """A guard whose feed is stale, and the endpoint that it asks."""
    endpoint = Introspecting(issuer)
    guarded = Guarded(issuer, introspection=CREDENTIALS, revocation=Revocation(when_stale="introspect"))
    with issuer.trusted_by(guarded):
        assert await guarded.refusal(issuer.token()) is None
        issuer.feed_answers = False
        clock.advance(31)
        yield guarded, endpoint
        await guarded.checkpoint.stop()


async def test_when_stale_the_issuer_is_asked_once_in_half_a_minute(issuer, stale, clock):
    guarded, endpoint = stale
    token = issuer.token(expires_in=1000)
    for _ in range(5):
        assert await guarded.refusal(token) is None
    assert len(endpoint.asked) == 1
    request = endpoint.asked[0]
    assert request.headers["authorization"].startswith("Basic ")
    assert token in request.read().decode()
    clock.advance(31)
    assert await guarded.refusal(token) is None
    assert len(endpoint.asked) == 2


async def test_what_the_issuer_calls_inactive_is_refused(issuer, stale):
    guarded, endpoint = stale
    endpoint.answer = httpx2.Response(200, json={"active": False})
    assert await guarded.refusal(issuer.token()) == (401, "revoked")


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.ConnectError("gone"),
        httpx2.Response(500),
        httpx2.Response(401, json={"error": "invalid_client"}),
        httpx2.Response(200, content=b"garbage"),
        httpx2.Response(200, json={"active": "true"}),
        httpx2.Response(200, json={}),
    ],
)
async def test_an_issuer_that_does_not_answer_clearly_is_left_alone_for_a_while(issuer, stale, clock, answer):
    guarded, endpoint = stale
    endpoint.answer = answer
    for number in range(10):
        assert await guarded.refusal(issuer.token(jti=str(number))) == (503, "feed_stale")
    assert len(endpoint.asked) == 3
    clock.advance(11)
    endpoint.answer = httpx2.Response(200, json={"active": True})
    assert await guarded.refusal(issuer.token()) is None


async def test_credentials_do_not_print():
    assert "a secret" not in repr(CREDENTIALS)
    assert json.dumps(CREDENTIALS.client_id) in repr(CREDENTIALS).replace("'", '"')


def test_a_look_up_while_another_thread_takes_another_stream_s_snapshot_uses_one_map_and_its_key(monkeypatch):
    """Rule R24: marks under one stream's key, looked up in the other's map, would find nothing, and be remembered."""
    principal = Principal(
        issuer="i", subject="alice", client_id="shop", token_id="f.1", expires_at=9_000, session_id="s1"
    )
    follower, keys = Follower(), {"one": b"1" * 16, "two": b"2" * 16}

    def take(stream, issued_at):
        entry = Entry(mark("session", "s1", key=keys[stream]), OUTRIGHT, 9_000)
        snapshot = Snapshot(stream=stream, key=keys[stream], sequence=1, issued_at=issued_at, packed=pack([entry]))
        follower.take_snapshot(snapshot, at=issued_at, monotonic=float(issued_at))

    take("one", 1_000)
    view = RevocationView(Revocation(), follower)
    original = TokenNames.marks

    def meanwhile(names, key):
        monkeypatch.undo()
        take("two", 1_001)
        return original(names, key)

    monkeypatch.setattr(TokenNames, "marks", meanwhile)
    assert view.judge("token", principal, monotonic=1_001.0) is Verdict.TAKEN_BACK
    assert view.judge("token", principal, monotonic=1_001.0) is Verdict.TAKEN_BACK


def test_a_look_up_that_is_not_done_yet_lets_no_other_thread_through(monkeypatch):
    """Rule R24: that a token was looked at under this generation is noted when it is known to be good, and not before."""
    key = b"1" * 16
    principal = Principal(
        issuer="i", subject="alice", client_id="shop", token_id="f.1", expires_at=9_000, session_id="s1"
    )
    follower = Follower()
    entries = ([], [Entry(mark("session", "s1", key=key), OUTRIGHT, 9_000)])
    view, verdicts = RevocationView(Revocation(), follower), []
    for sequence, taken_back in enumerate(entries):
        snapshot = Snapshot(stream="one", key=key, sequence=sequence, issued_at=1_000, packed=pack(taken_back))
        follower.take_snapshot(snapshot, at=1_000, monotonic=1.0)
        if not taken_back:
            assert view.judge("token", principal, monotonic=1.0) is Verdict.GOOD
    original = EpochMap.refuses

    def meanwhile(entries, marks):
        monkeypatch.undo()
        verdicts.append(view.judge("token", principal, monotonic=1.0))
        return original(entries, marks)

    monkeypatch.setattr(EpochMap, "refuses", meanwhile)
    verdicts.append(view.judge("token", principal, monotonic=1.0))
    assert verdicts == [Verdict.TAKEN_BACK, Verdict.TAKEN_BACK]
