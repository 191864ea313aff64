import pytest

from carnet.feed.entries import OUTRIGHT, Entry, mark, pack
from carnet.feed.epoch_map import TokenNames
from carnet.feed.follower import CLOCK_ALARM, OVERLAY_LIMIT, Follower, Outcome
from carnet.feed.messages import Message, RefusedError, Snapshot

KEY = b"k" * 16
TOKEN = TokenNames(subject="alice", client_id="shop", jti="f.1", sid="s1")


def a_snapshot(*entries, sequence=10, issued_at=1_000, stream="one", key=KEY):
    return Snapshot(stream=stream, key=key, sequence=sequence, issued_at=issued_at, packed=pack(entries))


def a_message(*entries, after=10, sequence=None, issued_at=1_005, stream="one"):
    sequence = after + len(entries) if sequence is None else sequence
    return Message(stream=stream, after=after, sequence=sequence, issued_at=issued_at, entries=entries)


def session(sid):
    return Entry(mark("session", sid, key=KEY), OUTRIGHT, 9_000)


@pytest.fixture
def follower():
    follower = Follower()
    follower.take_snapshot(a_snapshot(), at=1_000, monotonic=50.0)
    return follower


def test_it_is_not_ready_before_its_first_snapshot():
    follower = Follower()
    assert (follower.ready, follower.wants_snapshot, follower.staleness(monotonic=0.0)) == (False, True, None)
    assert follower.take_message(a_message(), at=1_005, monotonic=5.0) is Outcome.GAP
    assert not follower.ready
    follower.take_snapshot(a_snapshot(), at=1_000, monotonic=50.0)
    assert (follower.ready, follower.wants_snapshot, follower.sequence) == (True, False, 10)


def test_a_message_that_joins_on_is_applied(follower):
    assert not follower.refuses(follower.marks(TOKEN))
    assert follower.take_message(a_message(session("s1")), at=1_005, monotonic=55.0) is Outcome.APPLIED
    assert follower.refuses(follower.marks(TOKEN))
    assert follower.sequence == 11


def test_a_message_that_overlaps_is_applied(follower):
    follower.take_message(a_message(session("s0"), session("s1"), after=9), at=1_005, monotonic=55.0)
    assert follower.refuses(follower.marks(TOKEN))
    assert follower.sequence == 11


def test_a_heartbeat_ahead_of_what_is_known_is_a_gap(follower):
    assert follower.take_message(a_message(after=11, sequence=11), at=1_005, monotonic=55.0) is Outcome.GAP
    assert (follower.sequence, follower.wants_snapshot) == (10, True)


def test_a_gap_does_not_make_it_fresher(follower):
    follower.take_message(a_message(session("s9"), after=12, issued_at=1_030), at=1_030, monotonic=80.0)
    assert follower.staleness(monotonic=80.0) == 30.0


def test_what_was_refused_stays_refused_through_a_gap(follower):
    follower.take_message(a_message(session("s1")), at=1_005, monotonic=55.0)
    follower.take_message(a_message(after=40, sequence=41), at=1_006, monotonic=56.0)
    assert follower.refuses(follower.marks(TOKEN))


def test_another_stream_wants_a_snapshot_and_takes_it(follower):
    assert follower.take_message(a_message(stream="two", after=0, sequence=0), at=1_005, monotonic=55.0) is Outcome.GAP
    other = b"j" * 16
    entry = Entry(mark("session", "s1", key=other), OUTRIGHT, 9_000)
    follower.take_snapshot(
        a_snapshot(entry, stream="two", sequence=1, issued_at=1_006, key=other), at=1_006, monotonic=56.0
    )
    assert (follower.stream, follower.sequence) == ("two", 1)
    assert follower.refuses(follower.marks(TOKEN))


def test_a_message_of_another_stream_does_not_join_on_even_where_its_numbers_do(follower):
    assert follower.take_message(a_message(session("s1"), stream="two"), at=1_005, monotonic=55.0) is Outcome.GAP
    assert (follower.sequence, follower.refuses(follower.marks(TOKEN))) == (10, False)


def test_an_older_heartbeat_that_comes_late_does_not_make_it_staler(follower):
    follower.take_message(a_message(issued_at=1_010), at=1_010, monotonic=60.0)
    follower.take_message(a_message(issued_at=1_005), at=1_010, monotonic=60.0)
    assert follower.staleness(monotonic=60.0) == 0.0


def test_a_message_that_was_signed_later_but_knows_less_is_a_gap(follower):
    assert (
        follower.take_message(a_message(after=3, sequence=4, issued_at=1_001), at=1_001, monotonic=51.0) is Outcome.GAP
    )
    assert follower.wants_snapshot


def test_a_replayed_message_changes_nothing(follower):
    follower.take_message(a_message(session("s1")), at=1_005, monotonic=55.0)
    old = a_message(session("s0"), after=3, issued_at=990)
    assert follower.take_message(old, at=1_006, monotonic=60.0) is Outcome.APPLIED
    assert (follower.sequence, follower.staleness(monotonic=60.0)) == (11, 5.0)


def test_a_replayed_heartbeat_does_not_make_it_fresher(follower):
    beat = a_message(issued_at=1_005)
    follower.take_message(beat, at=1_005, monotonic=55.0)
    follower.take_message(beat, at=1_065, monotonic=115.0)
    assert follower.staleness(monotonic=115.0) == 60.0


def test_a_relay_with_a_constant_delay_does_not_hide_it(follower):
    for second in range(1_005, 1_100, 5):
        follower.take_message(a_message(issued_at=second), at=second + 40, monotonic=second - 910.0)
    assert follower.staleness(monotonic=1_095 - 910.0) == 40.0


def test_staleness_grows_with_the_monotonic_clock_alone(follower):
    assert follower.staleness(monotonic=50.0) == 0.0
    assert follower.staleness(monotonic=62.5) == 12.5


def test_a_signed_time_ahead_of_our_clock_counts_as_now_and_is_measured(follower):
    follower.take_message(a_message(issued_at=1_009), at=1_005, monotonic=55.0)
    assert follower.staleness(monotonic=55.0) == 0.0
    assert follower.clock_error == 4 > CLOCK_ALARM


def test_a_snapshot_that_was_signed_a_little_earlier_is_taken_if_it_has_come_as_far(follower):
    follower.take_message(a_message(issued_at=1_020), at=1_020, monotonic=70.0)
    follower.take_snapshot(a_snapshot(session("s1"), sequence=11, issued_at=1_018), at=1_020, monotonic=70.0)
    assert follower.refuses(follower.marks(TOKEN))
    assert follower.staleness(monotonic=70.0) == 0.0


@pytest.mark.parametrize("changed", [{"issued_at": 999, "stream": "zero"}, {"sequence": 9}])
def test_a_snapshot_that_goes_back_is_refused_and_nothing_is_lost(follower, changed):
    follower.take_message(a_message(session("s1")), at=1_005, monotonic=55.0)
    with pytest.raises(RefusedError):
        follower.take_snapshot(a_snapshot(**{"issued_at": 1_005} | changed), at=1_006, monotonic=56.0)
    assert follower.refuses(follower.marks(TOKEN))


def test_a_malformed_snapshot_is_refused_and_nothing_is_lost(follower):
    follower.take_message(a_message(session("s1")), at=1_005, monotonic=55.0)
    broken = Snapshot(stream="one", key=KEY, sequence=20, issued_at=1_006, packed=b"123")
    with pytest.raises(RefusedError, match="whole number"):
        follower.take_snapshot(broken, at=1_006, monotonic=56.0)
    assert follower.refuses(follower.marks(TOKEN))


def test_many_entries_since_a_snapshot_want_a_new_one(follower):
    entries = [Entry(number, OUTRIGHT, 9_000) for number in range(OVERLAY_LIMIT + 1)]
    follower.take_message(a_message(*entries), at=1_005, monotonic=55.0)
    assert follower.wants_snapshot
    assert follower.sequence == 10 + len(entries)


def test_a_new_snapshot_is_a_new_generation(follower):
    before = follower.generation
    follower.take_snapshot(a_snapshot(issued_at=1_001), at=1_001, monotonic=51.0)
    assert follower.generation > before
