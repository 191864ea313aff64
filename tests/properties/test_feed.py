"""A follower against a model of the issuer, over a network that drops, repeats, delays and reorders as it likes."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from carnet.feed.entries import OUTRIGHT, Entry, mark, pack
from carnet.feed.epoch_map import EpochMap, TokenNames
from carnet.feed.follower import Follower
from carnet.feed.messages import Message, RefusedError, Snapshot, split

BEGIN = 1_000_000
SUBJECTS = [f"subject-{number}" for number in range(4)]
SESSIONS = [f"session-{number}" for number in range(6)]


class Network(RuleBasedStateMachine):
    """What was revoked before the signed time that a follower has heard of is refused; nothing else is."""

    def __init__(self):
        super().__init__()
        self.follower = Follower()
        self.now = BEGIN
        self.committed: list[tuple[int, str, str, int]] = []  # when, kind, value, epoch
        self.streams = 1
        self.in_flight: list[Message | Snapshot] = []
        self.ever: set[tuple[str, str]] = set()

    @property
    def stream(self):
        return f"stream-{self.streams}"

    @property
    def key(self):
        return f"{self.stream:16}".encode()

    def entries(self, key):
        return [Entry(mark(kind, value, key=key), epoch, self.now + 400) for _, kind, value, epoch in self.committed]

    @initialize()
    def begin(self):
        self.take_a_snapshot()
        self.deliver_at(0)

    @rule()
    def take_a_snapshot(self):
        packed = pack(self.entries(self.key))
        self.in_flight.append(Snapshot(self.stream, self.key, len(self.committed), self.now, packed))

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(sids=st.lists(st.sampled_from(SESSIONS), min_size=1, max_size=3), lag=st.integers(0, 2))
    def end_sessions(self, sids, lag):
        self.commit([("session", sid, OUTRIGHT) for sid in sids], lag)

    @rule(subject=st.sampled_from(SUBJECTS), lag=st.integers(0, 2))
    def sign_out_everywhere(self, subject, lag):
        epoch = 1 + sum(one[2] == subject for one in self.committed)
        self.commit([("subject", subject, epoch)], lag)

    def commit(self, entries, lag):
        after = len(self.committed)
        self.committed += [(self.now, *entry) for entry in entries]
        self.ever |= {(kind, value) for kind, value, _ in entries}
        self.now += lag  # the publisher signs a moment after the commit
        self.send(list(enumerate(self.entries(self.key), 1))[after:], after=after)

    def send(self, numbered, *, after):
        head = len(self.committed)
        self.in_flight += split(numbered, stream=self.stream, after=after, sequence=head, issued_at=self.now)

    @rule()
    def beat(self):
        self.send([], after=len(self.committed))

    @rule(kept=st.integers(0, 5))
    def put_an_old_database_back(self, kept):
        self.now += 1
        self.committed = self.committed[:kept]
        self.streams += 1

    @rule(data=st.data(), again=st.booleans())
    def deliver(self, data, again):
        if not self.in_flight:
            return
        place = data.draw(st.integers(0, len(self.in_flight) - 1))
        self.deliver_at(place)
        if not again:
            self.in_flight.pop(place)

    def deliver_at(self, place):
        what = self.in_flight[place]
        clocks = {"at": self.now, "monotonic": float(self.now - BEGIN)}
        if isinstance(what, Message):
            self.follower.take_message(what, **clocks)
        else:
            try:
                self.follower.take_snapshot(what, **clocks)
            except RefusedError:
                assert what.issued_at < self.now or what.sequence < self.follower.sequence, (
                    "a fresh one is never refused"
                )

    @rule(data=st.data())
    def lose(self, data):
        if self.in_flight:
            self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))

    def refuses(self, subject, sid, epoch):
        names = TokenNames(subject=subject, client_id="shop", jti="f.1", sid=sid, epoch=epoch)
        return self.follower.refuses(self.follower.marks(names))

    @invariant()
    def no_revoked_token_is_accepted_past_the_bound(self):
        staleness = self.follower.staleness(monotonic=float(self.now - BEGIN))
        if staleness is None:
            assert not self.follower.ready
            return
        for when, kind, value, epoch in self.committed:
            if when < self.now - staleness:
                sid = value if kind == "session" else "another"
                subject = value if kind == "subject" else "another"
                assert self.refuses(subject, sid, epoch - 1), (when, kind, value)

    @invariant()
    def no_good_token_is_refused(self):
        assert not self.refuses("another", "another", 0)
        for sid in SESSIONS:
            assert ("session", sid) in self.ever or not self.refuses("another", sid, 0)
        for subject in SUBJECTS:
            highest = max((one[3] for one in self.committed if one[2] == subject), default=0)
            if self.streams == 1:
                assert not self.refuses(subject, "another", highest)

    @invariant()
    def a_snapshot_of_the_map_is_the_map(self):
        again = EpochMap(pack(self.follower.entries.live(at=BEGIN)))
        for sid in SESSIONS:
            names = TokenNames(subject="another", client_id="shop", jti="f.1", sid=sid)
            marks = self.follower.marks(names) if self.follower.ready else names.marks(b"k" * 16)
            assert again.refuses(marks) == self.follower.refuses(marks)


TestNetwork = Network.TestCase
TestNetwork.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
