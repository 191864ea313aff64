"""Verbs as generators: a verb yields statements and is sent their rows; an engine drives it inside one transaction.

So each verb is written once, and every backend runs the same steps.
"""

from collections.abc import Callable, Coroutine, Generator, Sequence
from functools import partial, wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeAlias, TypeVar

from carnet.issuer.storage.dialect import Dialect

Row: TypeAlias = Sequence[Any]
T = TypeVar("T")
P = ParamSpec("P")


class Statement(NamedTuple):
    """One statement, with `?` in the place of each parameter; the engine answers with its rows."""

    sql: str
    parameters: tuple[Any, ...] = ()


class Batch(NamedTuple):
    """The same statement for many rows of parameters; the engine answers with no rows."""

    sql: str
    rows: Sequence[tuple[Any, ...]]


Verb: TypeAlias = Generator[Statement | Batch, list[Row], T]


class Undo(Exception):  # noqa: N818 - it is a way to answer, not an error
    """Raised by a verb to undo everything that it did and to answer nevertheless."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer


class Engine(Protocol):
    """What drives verbs against one database. A verb may be driven again from its beginning, so it is given as a callable."""

    @property
    def dialect(self) -> Dialect: ...

    def write(self, verb: Callable[[], Verb[T]]) -> Coroutine[Any, Any, T]:
        """Change a few rows, as one transaction; the answer is given only when that is durable."""

    def overhaul(self, verb: Callable[[], Verb[T]]) -> Coroutine[Any, Any, T]:
        """The same for what may have many rows to change, and take a while."""

    def read(self, verb: Callable[[], Verb[T]]) -> Coroutine[Any, Any, T]:
        """Look up a few rows by key."""

    def scan(self, verb: Callable[[], Verb[T]]) -> Coroutine[Any, Any, T]:
        """Read what may take a while."""

    async def close(self) -> None: ...


class Group:
    """Verbs that belong together, bound to an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine


G = TypeVar("G", bound=Group)
Written: TypeAlias = Callable[Concatenate[G, P], Verb[T]]
Offered: TypeAlias = Callable[Concatenate[G, P], Coroutine[Any, Any, T]]


def writing(verb: Written[G, P, T]) -> Offered[G, P, T]:
    """Offer a verb as a method that runs it as one transaction."""

    @wraps(verb)
    def offered(self: G, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        return self._engine.write(partial(verb, self, *args, **kwargs))

    return offered


def overhauling(verb: Written[G, P, T]) -> Offered[G, P, T]:
    """Offer a verb as a method that runs it as one transaction, which may take a while."""

    @wraps(verb)
    def offered(self: G, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        return self._engine.overhaul(partial(verb, self, *args, **kwargs))

    return offered


def reading(verb: Written[G, P, T]) -> Offered[G, P, T]:
    """Offer a verb as a method that looks up a few rows by key."""

    @wraps(verb)
    def offered(self: G, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        return self._engine.read(partial(verb, self, *args, **kwargs))

    return offered


def scanning(verb: Written[G, P, T]) -> Offered[G, P, T]:
    """Offer a verb as a method that reads what may take a while."""

    @wraps(verb)
    def offered(self: G, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        return self._engine.scan(partial(verb, self, *args, **kwargs))

    return offered


def storable(request: Statement | Batch) -> bool:
    """Whether every text among the parameters can be kept by any database: valid Unicode without U+0000."""
    rows = (request.parameters,) if isinstance(request, Statement) else request.rows
    for row in rows:
        for value in row:
            if isinstance(value, str) and ("\0" in value or not (value.isascii() or _encodable(value))):
                return False
    return True


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
