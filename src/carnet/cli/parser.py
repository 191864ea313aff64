"""The command line's grammar: argparse, with one line for each mistake and no guessing of abbreviated options."""

import argparse
from typing import Any, NoReturn

from carnet.cli.errors import UsageError


class Parser(argparse.ArgumentParser):
    """A parser that raises what is wrong instead of printing its usage."""

    def __init__(self, **settings: Any) -> None:
        settings["allow_abbrev"] = False
        super().__init__(**settings)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")
