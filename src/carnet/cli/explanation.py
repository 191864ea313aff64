"""RFC 7515-7519: what `carnet token inspect` prints for people: the three parts in colours, and each member in words."""

import json
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from typing import Any, Final

from carnet.ambient import Instant
from carnet.jose.unverified import Member, Section, Unverified

_LONGEST_LINE: Final = 110
_LONGEST_VALUE: Final = 4_000
_PART_COLOURS: Final = ("31", "35", "36", "33", "32")


@dataclass(frozen=True, slots=True)
class Paint:
    """ECMA-48 colours, or none."""

    on: bool

    def __call__(self, text: str, code: str) -> str:
        """The text in the style of that code."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text


def printable(text: str) -> str:
    """The text without anything that a terminal would obey: control and format characters are written as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def lines(found: Unverified, paint: Paint) -> Iterator[str]:
    """The explanation, a line at a time."""
    width = min(shutil.get_terminal_size().columns, _LONGEST_LINE)
    verdict, _, rest = found.statement.partition(". ")
    yield paint(f"{verdict.upper()}.", "1;31")
    yield from textwrap.wrap(rest, width)
    yield from _body(found, paint, width)


def _body(found: Unverified, paint: Paint, width: int) -> Iterator[str]:
    if found.parts:
        yield ""
        separator = "." if found.kind in {"jws", "jwe"} else "\n"
        colours = cycle(_PART_COLOURS)
        yield separator.join(paint(printable(part.text), next(colours)) for part in found.parts)
    yield ""
    yield paint(found.title, "1")
    header, claims = _PART_COLOURS[:2]
    yield from _section(Section("Header", found.header), paint, width, header)
    yield from _section(Section("Claims", found.claims), paint, width, claims)
    for section in found.sections:
        yield from _section(section, paint, width, header)
    if found.content is not None:
        yield from ("", paint("Content", "1"), "  " + printable(found.content[:_LONGEST_VALUE]))
    yield from _remarks("Defects: a strict verifier refuses this", found.defects, paint, width, "1;31")
    yield from _remarks("Look at", [caution.sentence for caution in found.cautions], paint, width, "1;33")
    if found.nested is not None:
        yield from ("", paint("Inside of it", "1;4"))
        yield from _body(found.nested, paint, width)


def _section(section: Section, paint: Paint, width: int, colour: str) -> Iterator[str]:
    if not section.members:
        return
    yield from ("", paint(printable(section.title), "1"))
    indent = max(min(max(len(printable(member.name)) for member in section.members), 20) + 4, 10)
    for member in section.members:
        yield f"  {paint(printable(member.name).ljust(indent - 2), colour)}{_value(member.value)}"
        for text in _words(member):
            for line in textwrap.wrap(text, max(width - indent, 30)):
                yield " " * indent + paint(line, "2")


def _words(member: Member) -> Iterator[str]:
    if member.reading is not None:
        yield in_words(member.reading, member.instant)
    yield member.meaning or "A name of its own: no standard defines it."


def in_words(reading: str, instant: Instant | None) -> str:
    """What a value says; a moment in this machine's time zone too."""
    return reading + _local(instant) if instant is not None else printable(reading)


def _local(instant: Instant) -> str:
    """The moment in this machine's time zone, if that is another than UTC."""
    here = datetime.fromtimestamp(instant, UTC).astimezone()
    return f" ({here.strftime('%Y-%m-%d %H:%M:%S %Z')} here)" if here.utcoffset() else ""


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return printable(text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…")


def _remarks(title: str, sentences: tuple[str, ...] | list[str], paint: Paint, width: int, style: str) -> Iterator[str]:
    if not sentences:
        return
    yield from ("", paint(title, style))
    for sentence in sentences:
        yield from textwrap.wrap(printable(sentence), width, initial_indent="  - ", subsequent_indent="    ")
