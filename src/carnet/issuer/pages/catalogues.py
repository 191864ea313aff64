"""RFC 5646: the sentences of the pages, one catalogue for each language: whoever adds a file to `messages` adds a language."""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

Catalogue: TypeAlias = Mapping[str, str]
"""`[login] title = "…"` is the sentence `login.title`."""

MESSAGES = Path(__file__).parent / "messages"
ENGLISH = "en"
"""The language that the others are translated from, and the only one of the pages for administrators and developers."""
LANGUAGES = tuple(sorted(file.stem for file in MESSAGES.glob("*.toml")))


@cache
def catalogue(language: str) -> Catalogue:
    """The sentences in one of `LANGUAGES`, read when it is first spoken."""
    return _read(MESSAGES / f"{language}.toml")


@cache
def english_only() -> Catalogue:
    """All that there is in English: the sentences of the pages that have no other language too."""
    return {**catalogue(ENGLISH), **_read(MESSAGES.parent / "administration.toml")}


def _read(file: Path) -> Catalogue:
    def flatten(table: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, str]]:
        for name, value in table.items():
            if isinstance(value, str):
                yield prefix + name, value
            else:
                yield from flatten(value, f"{prefix}{name}.")

    return dict(flatten(tomllib.loads(file.read_text("utf-8")), ""))
