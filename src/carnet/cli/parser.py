"""The command line's grammar: argparse, with one line for each mistake and no guessing of abbreviated options."""

import argparse
import difflib
from typing import Any, NoReturn

from carnet.cli.errors import UsageError


class Parser(argparse.ArgumentParser):
    """A parser that raises what is wrong instead of printing its usage."""

    def __init__(self, **settings: Any) -> None:
        settings["allow_abbrev"] = False
        super().__init__(**settings)

    def parse_known_args(self, *arguments: Any, **named: Any) -> Any:
        """As argparse does it; but what this parser does not know is an error of its own, which names the nearest option."""
        parsed, unknown = super().parse_known_args(*arguments, **named)
        if unknown:
            near = difflib.get_close_matches(unknown[0].partition("=")[0], self._option_string_actions, n=1)
            meant = f"; the nearest is {near[0]}" if near else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")
