"""RFC 6749 section 10.10: secrets that are handed out as they are: codes, refresh tokens, client secrets."""

from dataclasses import dataclass, field
from hashlib import sha256

from carnet.ambient import Ambient
from carnet.issuer.storage.records import Digest
from carnet.jose import base64url


@dataclass(frozen=True, slots=True)
class Opaque:
    """A secret that says nothing and does not print; storage keeps its digest alone."""

    value: str = field(repr=False)

    @classmethod
    def fresh(cls, ambient: Ambient) -> "Opaque":
        """256 random bits in base64url: 43 characters."""
        return cls(base64url.text(ambient.entropy(32)))

    @property
    def digest(self) -> Digest:
        return sha256(self.value.encode()).digest()


def fresh_name(ambient: Ambient) -> str:
    """128 random bits in base64url: a name that nobody else has and that is no secret."""
    return base64url.text(ambient.entropy(16))
