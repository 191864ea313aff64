"""RFC 9068: the JWT profile of access tokens."""

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct

from carnet.ambient import Instant
from carnet.jose import base64url
from carnet.oauth.scope import Scope, join

TYP: Final = "at+jwt"
"""Section 2.1."""


def roles_reference(roles: Iterable[str]) -> str:
    """A digest that stands for these roles, in whatever order: the base64url of the SHA-256 of their sorted JSON array."""
    written = json.dumps(sorted(set(roles)), separators=(",", ":"))
    return base64url.text(sha256(written.encode("ascii")).digest())


class SignIn(Struct, frozen=True):
    """How a person signed in: OpenID Connect Core section 2."""

    auth_time: Instant
    amr: tuple[str, ...]
    acr: str | None = None


def sign_in_claims(sign_in: SignIn) -> dict[str, Any]:
    """Section 2.2.1: `auth_time`, `amr` and, where there is one, `acr`."""
    made: dict[str, Any] = {"auth_time": sign_in.auth_time, "amr": list(sign_in.amr)}
    if sign_in.acr is not None:
        made["acr"] = sign_in.acr
    return made


class AccessToken(Struct, frozen=True, kw_only=True):
    """What an access token says."""

    issuer: str
    subject: str
    audience: Sequence[str]
    client_id: str
    scope: Scope
    issued_at: Instant
    expires_at: Instant
    token_id: str
    roles: Sequence[str] = ()
    roles_ref: str | None = None
    """Carnet's: what stands in the place of roles that would make the token too large (`roles_reference`)."""
    sign_in: SignIn | None = None
    """None: no person is behind it."""
    sid: str | None = None
    actor: Mapping[str, Any] | None = None
    """RFC 8693 section 4.1, `act`."""
    may_act: Mapping[str, Any] | None = None
    """RFC 8693 section 4.4."""
    authorization_details: Sequence[Mapping[str, Any]] = ()
    """RFC 9396 section 9.1."""
    confirmation: Mapping[str, str] | None = None
    """RFC 7800 section 3.1, `cnf`: the key that it is bound to; None: whoever holds it may use it."""
    epoch: int | None = None
    """Carnet's `sep`: the subject's epoch, below which guards refuse a token."""
    status: Mapping[str, Any] | None = None
    """Token Status List section 6.2: where others than guards can see whether it was taken back."""

    def claims(self) -> dict[str, Any]:
        """Section 2.2.

        Raises:
            ValueError: it would name no audience, or expire before it is issued.
        """
        if not self.audience:
            raise ValueError("An access token names its audience.")
        if self.expires_at <= self.issued_at:
            raise ValueError("An access token expires after it is issued.")
        made: dict[str, Any] = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.audience[0] if len(self.audience) == 1 else list(self.audience),
            "exp": self.expires_at,
            "iat": self.issued_at,
            "jti": self.token_id,
            "client_id": self.client_id,
            "scope": join(self.scope),
        }
        if self.roles_ref is None:
            made["roles"] = list(self.roles)
        else:
            made["roles_ref"] = self.roles_ref
        if self.authorization_details:
            made["authorization_details"] = list(self.authorization_details)
        if self.sign_in is not None:
            made |= sign_in_claims(self.sign_in)
        optional = {
            "sid": self.sid,
            "sep": self.epoch,
            "act": self.actor,
            "may_act": self.may_act,
            "cnf": self.confirmation,
            "status": self.status,
        }
        return made | {name: value for name, value in optional.items() if value is not None}
