"""RFC 7515 to 7519: what inspection finds: a JOSE object taken apart and explained, of which nothing has been verified."""

from dataclasses import dataclass, field
from typing import Any, Final

from carnet.ambient import Instant
from carnet.jose.cautions import Caution

NOTHING_VERIFIED: Final = (
    "Nothing was verified. Anyone can write a token that says this; do not decide anything by it before its signature, "
    "issuer, audience and expiry have been checked."
)


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of the object as it was sent."""

    name: str
    text: str = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """The piece as plain JSON values."""
        return {"name": self.name, "text": self.text}


@dataclass(frozen=True, slots=True)
class Member:
    """One header parameter, claim or key member, explained."""

    name: str
    value: Any = field(repr=False)
    """The JSON value. The private members of a key are withheld."""
    meaning: str
    """What a member of this name is for; empty if the name is not registered."""
    source: str
    """The document that defines the name; empty if it is not registered."""
    reading: str | None
    """What this value says: `2020-08-28 10:05:48 UTC, expired 6 years ago`."""
    instant: Instant | None = None
    """The moment that the value names, for a date."""

    def to_json(self) -> dict[str, Any]:
        """The member as plain JSON values."""
        return {
            "name": self.name,
            "value": self.value,
            "meaning": self.meaning,
            "source": self.source,
            "reading": self.reading,
            "instant": self.instant,
        }


@dataclass(frozen=True, slots=True)
class Section:
    """Members that belong together, such as the claims, or one recipient's header."""

    title: str
    members: tuple[Member, ...]

    def to_json(self) -> dict[str, Any]:
        """The section as plain JSON values."""
        return {"title": self.title, "members": [member.to_json() for member in self.members]}


@dataclass(frozen=True, slots=True)
class Unverified:
    """A JOSE object taken apart and explained. Nothing in it has been verified."""

    kind: str
    """`jws`, `jwe`, `jws_json`, `jwe_json`, `sd_jwt`, `jwk`, `jwk_set` or `unknown`."""
    title: str
    """The kind in words."""
    at: Instant
    """The moment by which dates were judged."""
    parts: tuple[Part, ...] = ()
    header: tuple[Member, ...] = ()
    """The protected header."""
    claims: tuple[Member, ...] = ()
    """The claims set; empty if the payload is none or is encrypted."""
    sections: tuple[Section, ...] = ()
    """Everything else that has members: unprotected headers, signatures, recipients, disclosures, keys."""
    content: str | None = field(default=None, repr=False)
    """The payload, if it is neither a claims set nor another JOSE object."""
    nested: "Unverified | None" = None
    """The JOSE object in the payload."""
    defects: tuple[str, ...] = ()
    """What is malformed. A strict verifier refuses an object that has any."""
    cautions: tuple[Caution, ...] = ()
    """What is allowed and still deserves a look."""

    @property
    def statement(self) -> str:
        """The sentence that is shown before anything else."""
        return NOTHING_VERIFIED

    def claim(self, name: str) -> Any:
        """The value of the claim of that name, or `None`."""
        return next((member.value for member in self.claims if member.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """The whole explanation as plain JSON values."""
        return {
            "verified": False,
            "statement": self.statement,
            "kind": self.kind,
            "title": self.title,
            "at": self.at,
            "parts": [part.to_json() for part in self.parts],
            "header": [member.to_json() for member in self.header],
            "claims": [member.to_json() for member in self.claims],
            "sections": [section.to_json() for section in self.sections],
            "content": self.content,
            "nested": self.nested.to_json() if self.nested else None,
            "defects": list(self.defects),
            "cautions": [{"code": caution.code, "sentence": caution.sentence} for caution in self.cautions],
        }
