"""The made-up people and goods of the demo: the same at every start."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in."""

    name: str
    email: str
    roles: tuple[str, ...]


PEOPLE = (
    Person("Ben Okafor", "ben@windrose.example", ("USER",)),
    Person("Ada Lindqvist", "ada@windrose.example", ("ADMIN", "USER")),
    Person("Cleo Marchetti", "cleo@windrose.example", ("ADMIN", "USER")),
)
"""Two administrators, so that one can demote the other: the last one there is keeps the role."""


@dataclass(frozen=True, slots=True)
class Goods:
    """Something that the warehouse has, with its price in cents."""

    sku: str
    title: str
    price: int
    available: int


GOODS = (
    Goods("ROPE-20", "Hemp rope, 20 m", 24_50, 34),
    Goods("LAMP-BR", "Brass storm lamp", 79_00, 12),
    Goods("COAT-YL", "Oilskin coat, yellow", 129_00, 7),
    Goods("COMP-HB", "Hand-bearing compass", 154_50, 9),
    Goods("BELL-06", "Brass bell, 6 inches", 88_00, 3),
    Goods("KNIF-RG", "Rigging knife with spike", 41_90, 21),
    Goods("CHRT-NS", "Chart of the North Sea", 32_00, 0),
)


@dataclass(frozen=True, slots=True)
class Sale:
    """An order of the past."""

    customer: str
    """Their subject at the issuer."""
    goods: Goods
    quantity: int
    day: str

    @property
    def total(self) -> int:
        return self.goods.price * self.quantity


_SALES = (
    (0, 1, 1, "2026-03-02"),
    (1, 3, 1, "2026-03-09"),
    (0, 0, 2, "2026-04-17"),
    (2, 4, 1, "2026-05-05"),
    (1, 5, 3, "2026-05-21"),
)
"""Who (a place in PEOPLE), what (a place in GOODS), how many, when."""


def sales(subjects: Sequence[str]) -> Iterator[tuple[int, Sale]]:
    """The numbered orders of the past; `subjects` are those of PEOPLE, in their order."""
    for number, (person, goods, quantity, day) in enumerate(_SALES, start=1001):
        yield number, Sale(subjects[person], GOODS[goods], quantity, day)
