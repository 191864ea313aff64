"""What the demo says in the terminal while it sets itself up, and when it is ready."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from carnet.demo.parts import Part
from carnet.demo.samples import PEOPLE
from carnet.demo.seed import Seed

WIDTH = 14


class Progress:
    """Ticks off one step after the other. On a terminal the step that is under way is shown as well."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._live = out.isatty()

    def say(self, text: str = "") -> None:
        self._out.write(f"{text}\n")
        self._out.flush()

    @contextmanager
    def step(self, title: str, result: str) -> Iterator[None]:
        """Show `title` while it is under way, and `result` beside it when it is done."""
        if self._live:
            self._out.write(f"  … {title}")
            self._out.flush()
        try:
            yield
        except BaseException:
            if self._live:
                self._out.write("\n")
            raise
        start = "\r" if self._live else ""
        self.say(f"{start}  ✓ {title:<{WIDTH}} {result}")


def welcome(issuer: Part, shop: Part, seed: Seed, data: Path) -> Iterable[str]:
    """What to open, and who can sign in there."""
    yield ""
    yield f"Open  {shop.url}"
    yield f"      {issuer.url}/admin  for people and their roles (as an ADMIN)"
    yield ""
    if seed.passwords:
        yield "Sign in as one of these. The passwords are shown this once; the issuer keeps only their hashes."
    else:
        yield "Sign in as one of these, with the passwords that the first start showed."
        yield f"Forgotten? `carnet user invite EMAIL --config {data / 'carnet.toml'}` prints a link for a new one."
    yield ""
    for person in PEOPLE:
        yield f"  {person.email:<23} {seed.passwords.get(person, ''):<20} {' '.join(person.roles)}".rstrip()
    yield ""
    yield "Ctrl-C ends everything."
