"""RFC 9700 section 4.14.2: the rotation rule as a model, and schedules of honest tabs and thieves to hold the issuer against it.

A schedule belongs to one family. Each of its steps lets time pass and then makes some requests at the same time. What the issuer
answers must be what the model answers in *some* order of these requests (linearizability): all orders are tried.
"""

import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from carnet.issuer.rotation import PER_HOUR, WINDOW

HOUR = 3_600
PAUSES = (0, 0, 0, 1, 3, WINDOW - 1, WINDOW, WINDOW + 1, 120, HOUR)
"""Seconds between two steps: within, at the edge of, and beyond the window and the hour."""
HONEST_PAUSES = (HOUR, WINDOW - 1)
"""The tabs refresh, and just in time they ask again."""
REFUSED = None

KINDS = {
    "confidential": WINDOW,
    "confidential without a window": 0,
    "bound": WINDOW,
    "public": 0,
    "public with a window": WINDOW,
}
"""Kinds of clients, and the window that each has."""
SETTINGS = {"confidential without a window": 0, "public with a window": WINDOW}
"""What those are registered with that do not have the window that comes of itself."""
FORGIVING = [kind for kind, window in KINDS.items() if window]


@dataclass(frozen=True)
class Model:
    """A family as the rule sees it; token `n + 1` is the successor of token `n`."""

    window: int
    tokens: tuple[str, ...]
    spent: tuple[int, ...] = ()
    """When; one for each token but the newest."""
    repeats: tuple[int, ...] = ()
    ended: bool = False

    @property
    def live(self) -> str | None:
        return None if self.ended else self.tokens[-1]

    def redeem(self, number: int, answer: str | None, *, at: int) -> "Model | None":
        """What the family is after token `number` was answered so; None: the rule answers otherwise."""
        if self.ended:
            return self if answer is REFUSED else None
        if number == len(self.spent):
            if answer is REFUSED or answer in self.tokens:
                return None
            return replace(self, tokens=(*self.tokens, answer), spent=(*self.spent, at))
        lost = number + 1 == len(self.spent) and at - self.spent[number] < self.window
        if not lost:
            return replace(self, ended=True) if answer is REFUSED else None
        if sum(one > at - HOUR for one in self.repeats) >= PER_HOUR:
            return self if answer is REFUSED else None
        return replace(self, repeats=(*self.repeats, at)) if answer == self.tokens[number + 1] else None


@dataclass(frozen=True)
class Request:
    """Token `back` before the newest is presented."""

    back: int
    rightful: bool = True
    """False: by somebody without the client's credentials or key."""


@dataclass
class Schedule:
    """Steps that are made up as they are taken: whoever presents a token has seen it before."""

    kind: str
    seed: int
    honest: bool = False
    """Nobody but the client's own tabs, which all ask at once, and ask again for what was lost before the window closes."""
    taken: list[str] = field(default_factory=list)
    """What happened, for whoever reads that it went wrong."""
    models: list[Model] = field(default_factory=list)
    """All that the family can be, after what was answered."""
    steps: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.kind}/{self.seed}")

    def begin(self, token: str) -> None:
        self.models = [Model(KINDS[self.kind], (token,))]

    @property
    def tokens(self) -> tuple[str, ...]:
        return self.models[0].tokens

    def step(self) -> list[Request]:
        """The next requests, which are all under way at the same time."""
        self.steps += 1
        if self.honest and self.steps % 2:
            return [Request(0)] * self.random.randint(1, PER_HOUR)
        if self.honest:
            return [Request(1)] * self.random.randint(0, 1)
        many = self.random.choice((1, 1, 1, 2, 2, 3, 4))
        return [self._request() for _ in range(many)]

    def _request(self) -> Request:
        """The newest token, mostly; the one before, whose answer was lost or whose tab slept; or one that was stolen long ago."""
        back = self.random.choices((0, 1, 2, 3), (6, 4, 1, 1))[0]
        return Request(min(back, len(self.tokens) - 1), rightful=self.random.random() < 0.9)

    def learn(self, requests: Iterable[Request], answers: Iterable[str | None], *, at: int) -> None:
        """Keep what explains the answers.

        Raises:
            AssertionError: no order of the requests does.
        """
        newest = len(self.tokens) - 1
        asked = [
            (newest - request.back, request.rightful, answer) for request, answer in zip(requests, answers, strict=True)
        ]
        self.taken.append(f"at {at}: {asked}")
        assert all(answer is REFUSED for _, rightful, answer in asked if not rightful), self
        rightful = [(number, answer) for number, rightful, answer in asked if rightful]
        found = {
            model
            for before in self.models
            for order in itertools.permutations(rightful)
            if (model := _explain(before, order, at=at)) is not None
        }
        assert found, f"No order explains what happened: {self}"
        self.models = sorted(found, key=repr)

    def see(self, live: set[str]) -> None:
        """Keep what has exactly these unspent tokens.

        Raises:
            AssertionError: nothing has.
        """
        self.taken.append(f"live: {live}")
        assert len(live) <= 1, f"More than one chain lives: {self}"
        self.models = [model for model in self.models if ({model.live} - {None}) == live]
        assert self.models, f"The family is not what the rule makes of it: {self}"


def _explain(model: Model | None, order: Iterable[tuple[int, str | None]], *, at: int) -> Model | None:
    for number, answer in order:
        if model is None:
            return None
        model = model.redeem(number, answer, at=at)
    return model
