"""RFC 9068 section 2.2: who a verified access token speaks for, as typed values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from carnet.ambient import Instant
from carnet.jose import Verified


class ClaimFormError(Exception):
    """A claim of a genuine token does not have the form that its specification gives it."""

    def __init__(self, claim: str, wanted: str) -> None:
        super().__init__(f"The claim {claim!r} is not {wanted}.")
        self.claim = claim


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request speaks for. Only a verifier makes one out of a token; tests may make their own."""

    issuer: str
    subject: str
    client_id: str
    token_id: str
    """`jti`."""
    expires_at: Instant
    roles: frozenset[str] = frozenset()
    roles_ref: str | None = None
    """The digest of roles that the token only names (`role_book.py`): a checkpoint finds them, and a verifier alone has none."""
    scope: frozenset[str] = frozenset()
    acr: str | None = None
    amr: tuple[str, ...] = ()
    auth_time: Instant | None = None
    session_id: str | None = None
    """`sid`."""
    epoch: int = 0
    """`sep`: the subject's epoch when the token was issued."""
    key_id: str | None = None
    """`kid`: the key that signed the token."""
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """All claims of the token, read-only."""

    @property
    def is_client(self) -> bool:
        """RFC 9068 section 2.2: a client that acts for itself has its own `client_id` as the subject."""
        return self.subject == self.client_id


def principal_of(verified: Verified) -> Principal:
    """Read the claims of a verified access token.

    Raises:
        ClaimFormError: a claim has another type than RFC 9068 gives it.
    """
    claims = verified.claims
    if "roles" in claims and "roles_ref" in claims:
        raise ClaimFormError("roles_ref", "alone: a token has its roles or names them")
    return Principal(
        issuer=_text(claims, "iss"),
        subject=_text(claims, "sub"),
        client_id=_text(claims, "client_id"),
        token_id=_text(claims, "jti"),
        expires_at=int(claims["exp"]),
        roles=frozenset(_texts(claims, "roles")),
        roles_ref=_text(claims, "roles_ref") if "roles_ref" in claims else None,
        scope=_scope(claims),
        acr=_text(claims, "acr") if "acr" in claims else None,
        amr=_texts(claims, "amr"),
        auth_time=_number(claims, "auth_time") if "auth_time" in claims else None,
        session_id=_text(claims, "sid") if "sid" in claims else None,
        epoch=_number(claims, "sep") if "sep" in claims else 0,
        key_id=verified.header.get("kid"),
        claims=claims,
    )


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise ClaimFormError(name, "a string with at least one character")
    return value


def _scope(claims: Mapping[str, Any]) -> frozenset[str]:
    """RFC 8693 section 4.2: space-delimited; no scope is as good as none."""
    value = claims.get("scope", "")
    if not isinstance(value, str):
        raise ClaimFormError("scope", "a string of space-delimited values")
    return frozenset(value.split())


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = claims.get(name, ())
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, str) for value in values):
        raise ClaimFormError(name, "an array of strings")
    return tuple(values)


def _number(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ClaimFormError(name, "a number")
    return int(value)
