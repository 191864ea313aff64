"""RFC 7515, RFC 9068: the access token as a page shows it: its three parts, each member explained, the signature masked."""

from dataclasses import dataclass
from typing import Any

import msgspec

from carnet.ambient import Instant
from carnet.jose.inspection import inspect
from carnet.jose.readings import utc
from carnet.jose.unverified import Member


@dataclass(frozen=True, slots=True)
class Row:
    """One header parameter or claim."""

    name: str
    value: str
    reading: str
    """What this very value says, in words; often nothing more than the value itself."""
    meaning: str


@dataclass(frozen=True, slots=True)
class TokenPage:
    """What the page shows. Without its signature the token opens nothing, so nothing usable is in here."""

    header_text: str
    payload_text: str
    signature_length: int
    header: tuple[Row, ...]
    payload: tuple[Row, ...]


def token_page(token: str, *, at: Instant) -> TokenPage:
    """Take a compact JWS apart for people."""
    header_text, payload_text, signature = token.split(".")
    explained = inspect(token, at=at)
    return TokenPage(header_text, payload_text, len(signature), _rows(explained.header), _rows(explained.claims))


def _rows(members: tuple[Member, ...]) -> tuple[Row, ...]:
    return tuple(Row(member.name, _text(member.value), _reading(member), member.meaning) for member in members)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode().replace(",", ", ")


def _reading(member: Member) -> str:
    """A date without its distance from now, which the page's own clock shows; anything else as it is explained."""
    reading = utc(member.instant) if member.instant is not None else member.reading or ""
    return reading[:1].upper() + reading[1:]
