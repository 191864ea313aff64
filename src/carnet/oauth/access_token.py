"""RFC 9068: the JWT profile of access tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from carnet.ambient import Instant
from carnet.oauth.scope import Scope, join

TYP: Final = "at+jwt"
"""Section 2.1."""
REQUIRED: Final = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")
"""Section 2.2."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """How a person signed in: OpenID Connect Core section 2."""

    auth_time: Instant
    amr: tuple[str, ...]
    acr: str | None = None


def claims(
    *,
    issuer: str,
    subject: str,
    audience: Sequence[str],
    client_id: str,
    scope: Scope,
    issued_at: Instant,
    expires_at: Instant,
    token_id: str,
    roles: Sequence[str] = (),
    sign_in: SignIn | None = None,
    sid: str | None = None,
    epoch: int | None = None,
) -> dict[str, Any]:
    """Section 2.2: the claims of an access token, and Carnet's `sid` and `sep` (the subject's epoch).

    Raises:
        ValueError: it would name no audience, or expire before it is issued.
    """
    if not audience:
        raise ValueError("An access token names its audience.")
    if expires_at <= issued_at:
        raise ValueError("An access token expires after it is issued.")
    made: dict[str, Any] = {
        "iss": issuer,
        "sub": subject,
        "aud": audience[0] if len(audience) == 1 else list(audience),
        "exp": expires_at,
        "iat": issued_at,
        "jti": token_id,
        "client_id": client_id,
        "scope": join(scope),
        "roles": list(roles),
    }
    if sign_in is not None:
        made |= sign_in_claims(sign_in)
    if sid is not None:
        made["sid"] = sid
    if epoch is not None:
        made["sep"] = epoch
    return made


def sign_in_claims(sign_in: SignIn) -> dict[str, Any]:
    """Section 2.2.1: `auth_time`, `amr` and, where there is one, `acr`."""
    made: dict[str, Any] = {"auth_time": sign_in.auth_time, "amr": list(sign_in.amr)}
    if sign_in.acr is not None:
        made["acr"] = sign_in.acr
    return made
