"""RFC 5646 section 2.1, RFC 4647 sections 2.1 and 3.4, RFC 9110 section 12.5.4: language tags, and which one somebody gets."""

import re
from collections.abc import Iterable, Iterator

LONGEST = 1_000
"""Characters of a list that are looked at."""
MOST = 20
"""Tags of a list that are looked at."""

_TAG = r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,7}"
_WELL_FORMED = re.compile(_TAG)
_WEIGHTED = re.compile(rf"({_TAG})[ \t]*(?:;[ \t]*[Qq]=(0(?:\.[0-9]{{0,3}})?|1(?:\.0{{0,3}})?))?")


def well_formed(tag: str) -> bool:
    """Whether it can be a language tag; none of more than eight subtags is of use to anybody."""
    return _WELL_FORMED.fullmatch(tag) is not None


def listed(text: str | None) -> tuple[str, ...]:
    """OpenID Connect Core section 3.1.2.1, `ui_locales`: tags separated by spaces, the most wanted first.

    What is no tag, and what is beyond the bounds of this module, is passed over: no wish for a language is worth an error.
    """
    return tuple(filter(well_formed, (text or "")[:LONGEST].split()[:MOST]))


def accepted(header: str) -> tuple[str, ...]:
    """The tags of an Accept-Language header, the heaviest first; none that weighs nothing, or is malformed."""
    weighed = []
    for element in header[:LONGEST].split(",")[:MOST]:
        found = _WEIGHTED.fullmatch(element.strip(" \t"))
        if found is not None and (weight := float(found[2] or 1)) > 0:
            weighed.append((weight, found[1]))
    return tuple(tag for _, tag in sorted(weighed, key=lambda one: -one[0]))


def lookup(wanted: Iterable[str], there: Iterable[str]) -> str | None:
    """RFC 4647 section 3.4: of the tags that are there, the one that serves whoever wants these, the most wanted first.

    Where the lookup of one finds nothing, another kind of the same language is better than the next wish: `pt-BR` for `pt-PT`.
    None: none of them serves.
    """
    tags = {tag.lower(): tag for tag in there}
    for tag in wanted:
        for shorter in _shortened(tag.lower()):
            if shorter in tags:
                return tags[shorter]
        primary = tag.lower().partition("-")[0]
        for other, kin in tags.items():
            if other.partition("-")[0] == primary:
                return kin
    return None


def _shortened(tag: str) -> Iterator[str]:
    """The tag, and what is left of it when its end is taken off, again and again; a single letter never stands at the end."""
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]
        if tag[-2:-1] == "-":
            tag = tag[:-2]
