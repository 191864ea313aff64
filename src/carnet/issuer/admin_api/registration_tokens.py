"""RFC 7591 section 3: initial access tokens, with which clients register themselves."""

from typing import Literal

from msgspec import Struct

from carnet.ambient import Instant
from carnet.issuer.admin_api.problems import Conflict, Invalid
from carnet.issuer.admin_api.resource import Asked, Operation, Resource
from carnet.issuer.registration import INITIAL_LIFETIME, initial_token

LONGEST = 365 * 86_400
"""Seconds."""


class NewRegistrationToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reusable: bool = False
    """For many clients until it expires; else for one."""
    lifetime: int = INITIAL_LIFETIME
    """Seconds."""
    pkce: Literal["required", "or_nonce"] = "required"


class RegistrationToken(Struct, frozen=True, kw_only=True):
    token: str
    """Whoever has it can register a client; it is told this once."""
    expires_at: Instant
    reusable: bool


async def create(asked: Asked) -> RegistrationToken:
    wanted: NewRegistrationToken = asked.body
    if not 1 <= wanted.lifetime <= LONGEST:
        raise Invalid(f"The lifetime is 1 to {LONGEST} seconds.")
    if not asked.desk.config.client_registration:
        raise Conflict("The setting client_registration is off: turn it on first.")
    made = await initial_token(
        asked.desk,
        reusable=wanted.reusable,
        lifetime=wanted.lifetime,
        pkce=wanted.pkce,
        actor=asked.caller.actor.subject,
    )
    return RegistrationToken(token=made.secret.value, expires_at=made.expires_at, reusable=wanted.reusable)


RESOURCE = Resource(
    "registration-tokens",
    (
        Operation(
            method="POST",
            path="/registration-tokens",
            summary="Make a token with which a client registers itself",
            act=create,
            body=NewRegistrationToken,
            answer=RegistrationToken,
            status=201,
            problems=(Conflict, Invalid),
        ),
    ),
)
