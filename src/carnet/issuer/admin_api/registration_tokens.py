"""RFC 7591 section 3: initial access tokens, with which clients register themselves."""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from carnet.ambient import Instant
from carnet.issuer.admin_api.problems import Conflict, Invalid
from carnet.issuer.admin_api.resource import Asked, Operation, Resource
from carnet.issuer.admission import AdmissionError
from carnet.issuer.registration import DEFAULT_POLICY, initial_token

LONGEST = 365 * 86_400
"""Seconds."""


class NewRegistrationToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    policy: str | None = None
    """A registration policy of the settings, by its name; the other members change it for this token."""
    reusable: bool = False
    """For any number of clients until it expires."""
    uses: int | None = None
    """For so many clients; None: as the policy says, or for one."""
    lifetime: int | None = None
    """Seconds; None: as the policy says, or a day."""
    pkce: Literal["required", "or_nonce"] | None = None


class RegistrationToken(Struct, frozen=True, kw_only=True):
    token: str
    """Whoever has it can register a client; it is told this once."""
    expires_at: Instant
    reusable: bool


async def create(asked: Asked) -> RegistrationToken:
    wanted: NewRegistrationToken = asked.body
    policy = asked.desk.config.registration_policies.get(wanted.policy or "", DEFAULT_POLICY)
    if wanted.policy is not None and wanted.policy not in asked.desk.config.registration_policies:
        raise Invalid(f"There is no registration policy {wanted.policy!r} in the settings.")
    changes = {name: value for name in ("uses", "lifetime", "pkce") if (value := getattr(wanted, name)) is not None}
    policy = replace(policy, **changes | ({"uses": None} if wanted.reusable else {}))
    if not 1 <= policy.lifetime <= LONGEST:
        raise Invalid(f"The lifetime is 1 to {LONGEST} seconds.")
    if not asked.desk.config.client_registration:
        raise Conflict("The setting client_registration is off: turn it on first.")
    try:
        made = await initial_token(asked.desk, policy, actor=asked.caller.actor.subject)
    except AdmissionError as error:
        raise Invalid(str(error)) from None
    return RegistrationToken(token=made.secret.value, expires_at=made.expires_at, reusable=policy.uses is None)


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
