"""The feed with 100 million users and 10,000 guards: `python benchmarks/feed/at_scale.py`.

A simulation. Sizes and the cost of verifying are measured as it begins, with real messages; what a delivery costs the sender
comes from `latency.py` (`--delivery`), the rest is stated below. Senders serve their listeners one after the other, turn by
turn; a sender that needs longer than a turn falls behind, and that is said instead of a lag.
"""

import argparse
import random
import statistics
import time
from dataclasses import dataclass

from carnet.ambient import SYSTEM
from carnet.feed.entries import RECORD_LENGTH, Entry
from carnet.feed.messages import ENTRIES_IN_A_MESSAGE, Message, feed_verifier, read_message, sign_message
from carnet.issuer.revocation.publisher import TURN
from carnet.jose import KeySet, SigningKey

USERS = 100_000_000
GUARDS = 10_000
ENVELOPE = 60
"""Bytes of one server-sent event and of TCP and TLS around a signed message."""
LINK = (0.001, 0.030)
"""Seconds that a packet takes, between these."""
HELD = 17
"""Bytes of memory for one entry in a guard's map (`memory.py`)."""
TURNS = 600
SAMPLE = 200
RATES = {
    "security events only (0.5 % of the users a day)": USERS * 0.005 / 86_400,
    "every user signs out once a day": USERS / 86_400,
    "the same at the peak hour (five times as many)": USERS / 86_400 * 5,
}


@dataclass(frozen=True)
class Costs:
    """Seconds and bytes."""

    deliver: float
    message: float
    entry: float
    verify: float
    verify_entry: float

    def octets(self, entries: float) -> float:
        return self.message + self.entry * entries

    def check(self, entries: float) -> float:
        return self.verify + self.verify_entry * entries


def measured(deliver: float) -> Costs:
    """What real messages take on this machine."""
    key = SigningKey.generate("ES256")
    verifier = feed_verifier(KeySet([key.public()]), issuer="https://id.example", algorithms=("ES256",))
    chance, now = random.Random(1), SYSTEM.now()
    sizes, seconds = {}, {}
    for count in (0, 1_000):
        entries = tuple(Entry(chance.getrandbits(64), 0, now + 400) for _ in range(count))
        token = sign_message(Message("a" * 22, 0, count, now, entries), issuer="https://id.example", key=key)
        sizes[count], rounds = len(token) + ENVELOPE, []
        for _ in range(50):
            begin = time.process_time()
            read_message(token, verifier, at=now)
            rounds.append(time.process_time() - begin)
        seconds[count] = statistics.median(rounds)
    each, check = (sizes[1_000] - sizes[0]) / 1_000, (seconds[1_000] - seconds[0]) / 1_000
    return Costs(deliver, sizes[0], each, seconds[0], check)


def lags(rate: float, tiers: tuple[int, ...], costs: Costs) -> tuple[float, float, float] | None:
    """p50, p99 and most of the seconds from commit to refusal; None if a sender does not keep up.

    `tiers` are the listeners of each sender, from the issuer on: (10000,) or (100, 100).
    """
    entries = rate * TURN
    messages = max(1, -(-entries // ENTRIES_IN_A_MESSAGE))
    if any(listeners * costs.deliver * messages > TURN for listeners in tiers):
        return None
    chance = random.Random(7)
    seen = []
    for _ in range(TURNS):
        for _ in range(SAMPLE):
            lag = chance.uniform(0, TURN)
            for listeners in tiers:
                place = chance.randrange(listeners) + 1
                lag += place * costs.deliver * messages + chance.uniform(*LINK) + costs.check(entries)
            seen.append(lag)
    cuts = statistics.quantiles(seen, n=100)
    return cuts[49], cuts[98], max(seen)


def row(rate: float, tiers: tuple[int, ...], lifetime: int, costs: Costs) -> dict[str, str]:
    """What one arrangement takes at one rate."""
    per_guard = costs.octets(rate * TURN) / TURN
    held = rate * lifetime
    answer = lags(rate, tiers, costs)
    storm = held * RECORD_LENGTH * tiers[0] / 300
    return {
        "listeners of the issuer": f"{tiers[0]:,}",
        "to each guard": octets(per_guard) + "/s",
        "from the issuer": octets(per_guard * tiers[0]) + "/s",
        "issuer's processors": f"{tiers[0] * costs.deliver / TURN:.2f}",
        "lag p50 / p99 / most": "does not keep up"
        if answer is None
        else " / ".join(f"{one * 1e3:.0f}" for one in answer) + " ms",
        "map at a guard": f"{held:,.0f} entries, {octets(held * HELD)}",
        "snapshots, all restart within 5 min": octets(storm) + "/s",
    }


def octets(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--delivery", type=float, default=70.0, help="µs that a sender needs for one message to one listener"
    )
    parser.add_argument(
        "--lifetime",
        type=int,
        action="append",
        help="seconds that an entry lives; may be repeated (default: 3700 and 400)",
    )
    arguments = parser.parse_args()
    costs = measured(arguments.delivery / 1e6)
    print(
        f"{USERS:,} users, {GUARDS:,} guards; a turn of {TURN * 1e3:.0f} ms, {arguments.delivery:.0f} µs for each delivery"
    )
    print(f"a message: {costs.message:.0f} bytes and {costs.entry:.1f} for each entry;", end=" ")
    print(f"verified in {costs.verify * 1e6:.0f} µs and {costs.verify_entry * 1e6:.2f} for each entry\n")
    for lifetime in arguments.lifetime or (3_700, 400):
        for name, rate in RATES.items():
            print(f"### {name}: {rate:,.1f} a second, entries live {lifetime} s\n")
            columns = {
                "directly": row(rate, (GUARDS,), lifetime, costs),
                "100 relays": row(rate, (100, GUARDS // 100), lifetime, costs),
                "10 relays, 10 behind each": row(rate, (10, 10, GUARDS // 100), lifetime, costs),
            }
            print("| | " + " | ".join(columns) + " |\n| --- |" + " --- |" * len(columns))
            for line in next(iter(columns.values())):
                print(f"| {line} | " + " | ".join(column[line] for column in columns.values()) + " |")
            print()


if __name__ == "__main__":
    main()
