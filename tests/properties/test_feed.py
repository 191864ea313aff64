"""A guard against a model of the issuer, over a network that does its worst (rule R24).

One run is a sequence of choices. Everything that the guard gets is bytes; what it makes of them is held against what the issuer
has committed, after every step:

- a token that was taken back before the newest signed time that the guard has believed is refused;
- a token that was taken back longer ago than the bound is not accepted, whatever the network does;
- a token that nobody has ever taken back is not refused as one that was;
- bytes that the issuer did not sign change nothing.

At the end the network heals: within seconds the guard refuses all that was taken back and accepts all the rest.

The test makes a few runs, in which Hypothesis looks for the shortest that fails. `make model` makes a hundred thousand by chance:
each has a number, the seed of its choices, and `make model ARGS="--first N --runs 1"` is the run N once more.
"""

import argparse
import os
import random
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from carnet.ambient import Instant
from carnet.feed.channel import Channel, Signed
from carnet.feed.entries import HASH_KEY_LENGTH, OUTRIGHT, Entry, mark, pack, stricter
from carnet.feed.messages import Message, Snapshot, sign_message, sign_snapshot, split
from carnet.guard.event_stream import EventStream
from carnet.guard.feed_machine import SILENCE, FeedMachine, Listen, Poll, TakeSnapshot, UnknownFeedKeyError
from carnet.guard.key_set import Response, Wait
from carnet.guard.metadata import Metadata, read_metadata
from carnet.guard.principal import Principal
from carnet.guard.revocation import Revocation, RevocationView, Verdict
from carnet.jose import KeySet, SigningKey, sign_jwt
from carnet.jose.strict_json import encode_object

Choose = Callable[[int], int]
"""A number from 0 up to, and without, the one that is given."""

ISSUER = "https://issuer.test"
BEGIN = 1_000_000
BOUND = 30
CLOCKS = 2
"""Seconds by which the clocks of issuer and guard may differ."""
TOKEN = 300
ENTRY = TOKEN + 100
HEARTBEAT = 5
RECOVERY = 40
"""Seconds after which a guard with a good network knows everything: its longest pause, and the silence of a dead stream."""
CHUNK = 250
"""Runs that a process makes before it reports."""
EVENT = b"data: %b\n\n"


@cache
def keys() -> tuple[SigningKey, ...]:
    """Two keys of the issuer's, of which the first may be stolen, and a stranger's that goes by the second's name."""
    first, second = SigningKey.generate("ES256"), SigningKey.generate("ES256")
    return first, second, SigningKey.generate("ES256", kid=second.kid)


@cache
def metadata() -> Metadata:
    places = {"revocations_endpoint": "/revocations", "revocations_snapshot_endpoint": "/revocations/snapshot"}
    document = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"} | {name: ISSUER + path for name, path in places.items()}
    return read_metadata(encode_object(document), issuer=ISSUER)


@dataclass(frozen=True)
class Token:
    """What the model knows of an access token."""

    principal: Principal

    def names(self) -> dict[str, str]:
        one = self.principal
        return {
            "session": one.session_id or "",
            "family": one.token_id.partition(".")[0],
            "token": one.token_id,
            "client": one.client_id,
            "key": one.key_id or "",
        }


@dataclass
class Line:
    """One stream from the issuer, or a relay, to the guard."""

    events: EventStream
    waiting: list[bytes] = field(default_factory=list)
    heard_at: int = 0
    attached: bool = True
    """Whether somebody still speaks at the other end: the guard cannot see it."""


class World:
    """One run."""

    def __init__(self, choose: Choose) -> None:
        self.choose = choose
        self.now: Instant = BEGIN
        self.skew = self.choose(2 * CLOCKS + 1) - CLOCKS
        """By how much the guard's clock is ahead."""
        self.key = keys()[0]
        self.kids = [keys()[0]]
        """The published keys."""
        self.streams = 0
        self.committed: list[tuple[Instant, str, str, int]] = []
        """When, kind, name, epoch; in the order of commits."""
        self.lost: list[tuple[Instant, str, str, int]] = []
        """What a database that was put back does not know any more."""
        self.published = 0
        self.beat_at: Instant = 0
        self.alive = True
        self.epochs: dict[str, int] = {}
        self.minted = 0
        self.tokens: list[Token] = []
        self.recorded: list[bytes] = []
        """All messages that were ever signed: what a relay may replay."""
        self.snapshots: list[bytes] = []
        self.out = True
        """Whether anything gets from the guard to the issuer."""
        self.back = True
        """Whether anything gets from the issuer to the guard."""
        self.start_guard()
        self.begin_stream()
        for _ in range(4):
            self.mint()
        self.good_time_passes()

    # The issuer.

    def begin_stream(self) -> None:
        self.streams += 1
        self.stream = f"stream-{self.streams}"
        self.hash_key = f"{self.stream:{HASH_KEY_LENGTH}}".encode()[:HASH_KEY_LENGTH]
        self.published = len(self.committed)
        self.start_node()

    def start_node(self) -> None:
        """A publisher keeps nothing but what the database has: listeners start anew."""
        self.channel = Channel(kept=8)
        self.detach()
        self.publish(heartbeat=True)

    def detach(self) -> None:
        """The other end of the guard's stream has gone, and perhaps the guard is told so."""
        if self.line is not None:
            self.line.attached = False
            if self.choose(2):
                self.line = None
                self.machine.ended("The stream has ended.", self.monotonic)

    def entry(self, index: int) -> Entry:
        when, kind, name, epoch = self.committed[index]
        return Entry(mark(kind, name, key=self.hash_key), epoch, when + ENTRY)

    def publish(self, *, heartbeat: bool = False) -> None:
        if not self.alive:
            return
        fresh = [(index + 1, self.entry(index)) for index in range(self.published, len(self.committed))]
        if not fresh and not heartbeat:
            return
        head = len(self.committed)
        for message in split(
            fresh, stream=self.stream, after=self.published, sequence=head, issued_at=self.now, kids=self.told_kids()
        ):
            token = sign_message(message, issuer=ISSUER, key=self.key)
            self.channel.put(Signed(message, token))
            self.recorded.append(token.encode())
            if self.line is not None and self.line.attached:
                self.line.waiting.append(EVENT % token.encode())
        self.published, self.beat_at = head, self.now

    def told_kids(self) -> tuple[str, ...]:
        return tuple(key.kid for key in self.kids if key.kid is not None)

    def snapshot(self) -> bytes:
        live: dict[int, Entry] = {}
        for index in range(self.published):
            entry = self.entry(index)
            if entry.expires_at > self.now:
                known = live.get(entry.mark, entry)
                live[entry.mark] = Entry(
                    entry.mark, stricter(known.epoch, entry.epoch), max(known.expires_at, entry.expires_at)
                )
        whole = Snapshot(self.stream, self.hash_key, self.published, self.beat_at, pack(live.values()))
        body = sign_snapshot(whole, issuer=ISSUER, key=self.key)
        self.snapshots.append(body)
        return body

    def mint(self) -> None:
        self.minted += 1
        subject = f"subject-{self.choose(3)}"
        self.tokens.append(
            Token(
                Principal(
                    issuer=ISSUER,
                    subject=subject,
                    client_id=self.living("client", self.choose(2)),
                    token_id=f"{self.living('family', self.choose(3))}.{self.minted}",
                    expires_at=self.now + TOKEN,
                    session_id=self.living("session", self.choose(3)),
                    epoch=self.epochs.get(subject, 0),
                    key_id=self.key.kid,
                )
            )
        )

    def living(self, kind: str, number: int) -> str:
        """A name of which nothing was taken back: for what has ended nothing is issued any more."""
        ends = sum(one[1] == kind and one[2].startswith(f"{kind}-{number}-") for one in (*self.committed, *self.lost))
        return f"{kind}-{number}-{ends}"

    def take_back(self) -> None:
        token = self.tokens[self.choose(len(self.tokens))]
        kinds = ("session", "token", "family", "subject", "client")
        kind = kinds[self.choose(len(kinds))]
        if kind == "subject":
            name = token.principal.subject
            self.epochs[name] = self.epochs.get(name, 0) + 1
            self.commit(kind, name, self.epochs[name])
        else:
            self.commit(kind, token.names()[kind], OUTRIGHT)
        if self.choose(2):
            self.publish()

    def commit(self, kind: str, name: str, epoch: int) -> None:
        self.committed.append((self.now, kind, name, epoch))

    def rotate(self) -> None:
        """Publish the second key, and sign with it."""
        if self.key is not keys()[1]:
            self.key, self.kids = keys()[1], [keys()[0], keys()[1]]
            self.publish(heartbeat=True)

    def lose_a_key(self) -> None:
        """Somebody has the first key: it is not published any more, and what it signed is taken back."""
        if keys()[0] in self.kids:
            self.key, self.kids = keys()[1], [keys()[1]]
            self.commit("key", keys()[0].kid or "", OUTRIGHT)
            self.publish(heartbeat=True)

    def kill_the_publisher(self) -> None:
        self.alive = False
        self.detach()

    def restart_the_publisher(self) -> None:
        if not self.alive:
            self.alive = True
            self.start_node()

    def put_an_old_database_back(self) -> None:
        self.now += 1
        kept = self.choose(len(self.committed) + 1)
        self.committed, lost = self.committed[:kept], self.committed[kept:]
        self.lost += lost
        self.begin_stream()

    # The guard.

    def start_guard(self) -> None:
        self.line = None
        self.machine = FeedMachine(
            ISSUER, algorithms=("ES256",), jitter=lambda: 1.0, at=self.monotonic, name="the guard"
        )
        self.view = RevocationView(Revocation(bound=BOUND), self.machine.follower)
        self.held = KeySet(key.public() for key in self.kids)

    @property
    def monotonic(self) -> float:
        return float(self.now - BEGIN)

    @property
    def clocks(self):
        return {"now": self.now + self.skew, "at": self.monotonic}

    def fetch_keys(self) -> None:
        """Over TLS from the issuer itself: nobody can forge them, but the network may be cut."""
        if self.out and self.back and self.alive:
            self.held = KeySet(key.public() for key in self.kids)

    def with_keys(self, report: Callable[[], object]) -> object:
        try:
            return report()
        except UnknownFeedKeyError:
            self.fetch_keys()
        try:
            return report()
        except UnknownFeedKeyError as error:
            self.machine.failed(str(error), self.monotonic)
            return False

    def guard_acts(self) -> None:
        """What its driver does next."""
        if self.line is not None:
            if self.now - self.line.heard_at > SILENCE:
                self.line = None
                self.machine.ended("Nothing has come.", self.monotonic)
            return
        step = self.machine.next(metadata(), self.monotonic, self.held)
        if isinstance(step, Wait):
            return
        if not (self.out and self.back and self.alive):
            report = self.machine.ended if isinstance(step, Listen) else self.machine.failed
            report("No answer has come.", self.monotonic)
        elif isinstance(step, TakeSnapshot):
            self.answer(step, Response(200, {}, self.snapshot()))
        elif isinstance(step, Poll):
            self.poll(step)
        else:
            self.listen()

    def answer(self, step: TakeSnapshot | Poll, response: Response) -> None:
        self.with_keys(lambda: self.machine.answered(step, response, self.held, **self.clocks))

    def place(self) -> tuple[str, int]:
        return self.machine.follower.stream or "", self.machine.follower.sequence

    def news(self) -> list[bytes] | None:
        """What the node has for a listener that comes now; None: nothing joins on."""
        stream, after = self.place()
        if not self.channel.joins(stream=stream, after=after):
            return None
        kept = [signed.token.encode() for signed in self.channel._kept if signed.message.sequence > after]
        newest = self.channel.newest
        return kept or ([] if newest is None else [newest.token.encode()])

    def poll(self, step: Poll) -> None:
        tokens = self.news()
        if tokens is None:
            self.answer(step, Response(410, {}, b""))
        else:
            body = encode_object({"messages": [token.decode() for token in tokens]})
            self.answer(step, Response(200, {}, body))

    def listen(self) -> None:
        tokens = self.news()
        if self.machine.listening(410 if tokens is None else 200, self.monotonic) and tokens is not None:
            self.line = Line(EventStream(), [EVENT % token for token in tokens], self.now)

    def hear(self, chunk: bytes) -> None:
        """Bytes have come on the line."""
        line = self.line
        if line is None:
            return
        line.heard_at = self.now
        for event in line.events.feed(chunk):
            if not self.with_keys(lambda event=event: self.machine.event(event, self.held, **self.clocks)):
                self.line = None
                return
            self.fetch_announced()

    def fetch_announced(self) -> None:
        held = {key.kid for key in self.held}
        if any(kid not in held for kid in self.machine.announced):
            self.fetch_keys()

    # The network.

    def deliver(self) -> None:
        if self.line is not None and self.back and self.line.waiting:
            self.hear(self.line.waiting.pop(0))

    def deliver_all(self) -> None:
        for _ in range(20):
            self.deliver()

    def pick(self) -> bytes | None:
        if self.line is None or not self.line.waiting:
            return None
        return self.line.waiting[self.choose(len(self.line.waiting))]

    def drop(self) -> None:
        chunk = self.pick()
        if chunk is not None and self.line is not None:
            self.line.waiting.remove(chunk)

    def duplicate(self) -> None:
        chunk = self.pick()
        if chunk is not None:
            self.hear(chunk)

    def reorder(self) -> None:
        chunk = self.pick()
        if chunk is not None and self.line is not None:
            self.line.waiting.remove(chunk)
            self.line.waiting.insert(self.choose(len(self.line.waiting) + 1), chunk)

    def truncate(self) -> None:
        """A piece of a message comes, and then nothing; or a piece of a snapshot."""
        chunk = self.pick()
        if chunk is not None:
            self.unchanged(lambda: self.hear(chunk[: self.choose(len(chunk))]))
            self.line = None
            self.machine.ended("The stream broke.", self.monotonic)
        elif self.snapshots:
            body = self.snapshots[self.choose(len(self.snapshots))]
            self.unchanged(lambda: self.bring_snapshot(body[: self.choose(len(body))]))

    def bring_snapshot(self, body: bytes) -> None:
        """In the answer to a request that the guard makes."""
        step = self.machine.next(metadata(), self.monotonic, self.held) if self.line is None else None
        if isinstance(step, TakeSnapshot):
            self.answer(step, Response(200, {}, body))

    def replay(self) -> None:
        """A relay brings what it has carried before, a message or a snapshot, of this history or of another."""
        if self.line is not None and self.recorded:
            self.hear(EVENT % self.recorded[self.choose(len(self.recorded))])
        elif self.snapshots:
            self.bring_snapshot(self.snapshots[self.choose(len(self.snapshots))])

    def forge(self) -> None:
        """What the issuer did not sign."""
        self.guard_acts()
        stolen, _, stranger = keys()
        entries = tuple(
            Entry(mark("session", token.names()["session"], key=self.hash_key), OUTRIGHT, self.now + ENTRY)
            for token in self.tokens
        )
        stream, after = self.place()
        message = Message(stream or self.stream, after, after + 1, self.now, entries)
        empty = Snapshot(self.stream, self.hash_key, self.published + 9, self.now, b"")
        genuine = self.recorded[self.choose(len(self.recorded))] if self.recorded else b"a.b.c"
        head, payload, signature = genuine.split(b".")
        changed = b"AA" if payload[-2:] != b"AA" else b"BB"
        messages: list[Callable[[], None]] = [
            lambda: self.hear(EVENT % sign_message(message, issuer=ISSUER, key=stranger).encode()),
            lambda: self.hear(EVENT % sign_message(message, issuer="https://other.test", key=self.key).encode()),
            lambda: self.hear(EVENT % b".".join((head, payload[:-2] + changed, signature))),
            lambda: self.hear(EVENT % b".".join((head, payload, signature[::-1]))),
            lambda: self.hear(EVENT % b".".join((b"eyJhbGciOiJub25lIn0", payload, b""))),
            lambda: self.hear(EVENT % self.access_token().encode()),
        ]
        snapshots: list[Callable[[], None]] = [
            lambda: self.bring_snapshot(sign_snapshot(empty, issuer=ISSUER, key=stranger)),
            lambda: self.bring_snapshot(self.snapshot() + bytes(16)),
        ]
        if stolen not in self.kids and not self.holds(stolen):
            messages.append(lambda: self.hear(EVENT % sign_message(message, issuer=ISSUER, key=stolen).encode()))
            snapshots.append(lambda: self.bring_snapshot(sign_snapshot(empty, issuer=ISSUER, key=stolen)))
        forgeries = messages if self.line is not None else snapshots
        self.unchanged(forgeries[self.choose(len(forgeries))])

    def holds(self, key: SigningKey) -> bool:
        """Whether the guard would still believe it: it has not heard that it was stolen."""
        return self.held.get(key.kid) is not None and not self.machine.follower.taken_back("key", key.kid or "")

    def access_token(self) -> str:
        return sign_jwt({"iss": ISSUER, "aud": ISSUER, "iat": self.now, "stream": self.stream}, self.key, typ="at+jwt")

    def unchanged(self, act: Callable[[], None]) -> None:
        follower = self.machine.follower
        before = (follower.stream, follower.sequence, follower.generation, follower._heard)
        act()
        assert before == (follower.stream, follower.sequence, follower.generation, follower._heard), "forged"

    def cut_what_goes_out(self) -> None:
        self.out = False

    def cut_what_comes_back(self) -> None:
        self.back = False

    def cut_both(self) -> None:
        self.out = self.back = False
        if self.line is not None and self.choose(2):
            self.line = None
            self.machine.ended("The stream broke.", self.monotonic)

    def mend(self) -> None:
        self.out = self.back = True

    # Time.

    def time_passes(self) -> None:
        self.pass_time(1 + self.choose(12))

    def much_time_passes(self) -> None:
        self.pass_time(20 + self.choose(80))

    def pass_time(self, seconds: int) -> None:
        """The issuer goes on; what it says waits on the line (a relay that delays), and the guard does what is due."""
        for _ in range(seconds):
            self.now += 1
            if self.now - self.beat_at >= HEARTBEAT:
                self.publish(heartbeat=True)

    def good_time_passes(self) -> None:
        """Nothing disturbs for a while."""
        for _ in range(1 + self.choose(8)):
            self.pass_time(1)
            self.publish()
            self.guard_acts()
            self.deliver_all()

    # What holds.

    def check(self) -> None:
        follower = self.machine.follower
        heard = follower._heard
        for token in self.tokens:
            principal = token.principal
            if principal.expires_at <= self.now:
                continue
            verdict = self.view.judge(principal.token_id, principal, monotonic=self.monotonic)
            taken_back_at = taken_back(token, self.committed)
            if taken_back_at is not None:
                if verdict is Verdict.GOOD:
                    assert taken_back_at >= self.now - BOUND - CLOCKS, f"accepted past the bound: {token}"
                if heard is not None and follower.stream == self.stream and taken_back_at < heard.issued_at:
                    assert verdict is Verdict.TAKEN_BACK, f"not refused though it was told: {token}"
            if verdict is Verdict.TAKEN_BACK:
                ever = taken_back(token, [*self.committed, *self.lost])
                assert ever is not None, f"a good token is refused: {token}"

    def heal(self) -> None:
        """With a good network the guard knows everything soon, and answers as it should."""
        self.mend()
        if not self.alive:
            self.restart_the_publisher()
        for _ in range(RECOVERY):
            self.pass_time(1)
            self.publish()
            self.guard_acts()
            self.deliver_all()
        self.mint()
        for token in self.tokens:
            if token.principal.expires_at <= self.now:
                continue
            verdict = self.view.judge(token.principal.token_id, token.principal, monotonic=self.monotonic)
            if taken_back(token, self.committed) is not None:
                assert verdict is Verdict.TAKEN_BACK, f"not refused in the end: {token}"
            else:
                assert verdict is Verdict.GOOD, f"not accepted in the end: {verdict}: {token}"

    ACTIONS = (
        *(good_time_passes,) * 6,
        *(take_back,) * 3,
        *(deliver,) * 2,
        *(time_passes,) * 2,
        guard_acts,
        mint,
        much_time_passes,
        drop,
        duplicate,
        reorder,
        truncate,
        replay,
        *(forge,) * 2,
        cut_what_goes_out,
        cut_what_comes_back,
        cut_both,
        *(mend,) * 4,
        kill_the_publisher,
        *(restart_the_publisher,) * 2,
        start_guard,
        rotate,
        lose_a_key,
        put_an_old_database_back,
    )

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.ACTIONS[self.choose(len(self.ACTIONS))](self)
            self.check()
        self.heal()
        self.check()


def taken_back(token: Token, commits: list[tuple[Instant, str, str, int]]) -> Instant | None:
    """When it was first taken back."""
    names, principal = token.names(), token.principal
    return min(
        (
            when
            for when, kind, name, epoch in commits
            if (name == principal.subject and principal.epoch < epoch if kind == "subject" else names[kind] == name)
        ),
        default=None,
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_revoked_token_is_accepted_past_the_bound_and_no_good_one_refused(data):
    World(lambda count: data.draw(st.integers(0, count - 1))).run(30)


def run(number: int, steps: int) -> str | None:
    """What went wrong, if anything did."""
    try:
        World(random.Random(number).randrange).run(steps)
    except Exception:  # noqa: BLE001 - whatever it is, it is a finding
        return f"run {number}: {traceback.format_exc(limit=-3)}"
    return None


def runs(first: int, count: int, steps: int) -> list[str]:
    os.nice(max(0, 19 - os.nice(0)))
    return [found for number in range(first, first + count) if (found := run(number, steps)) is not None]


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs of the feed's model by chance.")
    parser.add_argument("--runs", type=int, default=100_000, help="how many (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=40, help="choices in each (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first run (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="at once (default: %(default)s)")
    asked = parser.parse_args()
    begin, done, found = time.monotonic(), 0, 0
    last = asked.first + asked.runs
    chunks = [(first, min(CHUNK, last - first)) for first in range(asked.first, last, CHUNK)]
    with ProcessPoolExecutor(asked.processes) as pool:
        jobs = [pool.submit(runs, first, count, asked.steps) for first, count in chunks]
        for job, (_, count) in zip(jobs, chunks, strict=True):
            for failure in job.result():
                found += 1
                sys.stdout.write(failure + "\n")
            done += count
            if done % (40 * CHUNK) == 0 or done == asked.runs:
                sys.stdout.write(f"{done:,} runs in {time.monotonic() - begin:.0f} s, {found} failed\n")
                sys.stdout.flush()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
