"""RFC 7591 section 3: initial access tokens, with which clients register themselves."""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from carnet.ambient import Instant
from carnet.issuer.admin_api.problems import Conflict, Invalid, NotFound
from carnet.issuer.admin_api.resource import Asked, Operation, PageQuery, Resource, page
from carnet.issuer.admission import AdmissionError, RegistrationPolicy
from carnet.issuer.registration import (
    DEFAULT_POLICY,
    initial_token,
    policy_of,
    token_name,
    withdraw_initial_token,
)
from carnet.issuer.storage.records import Artifact
from carnet.jose import base64url

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
    name: str
    """By which it is withdrawn; it is no secret."""
    token: str
    """Whoever has it can register a client; it is told this once."""
    expires_at: Instant
    reusable: bool


class ListedRegistrationToken(Struct, frozen=True, kw_only=True):
    """One with which clients can register themselves still; never the token itself."""

    name: str
    policy: RegistrationPolicy
    """What they may be."""
    created_at: Instant
    expires_at: Instant


class RegistrationTokens(Struct, frozen=True, kw_only=True):
    items: list[ListedRegistrationToken]
    next: str | None
    """The cursor of the next page; None: this is the last."""


async def list_(asked: Asked) -> RegistrationTokens:
    desk = asked.desk

    async def read(after: tuple[Instant, str] | None, limit: int) -> list[Artifact]:
        place = None if after is None else (after[0], base64url.decode(after[1].encode()))
        return await desk.store.artifacts.ownerless(
            "registration_token", at=desk.ambient.now(), after=place, limit=limit
        )

    found, more = await page(
        asked, "registration-tokens", read, lambda token: (token.expires_at, token_name(token.digest))
    )
    return RegistrationTokens(items=[_listed(token) for token in found], next=more)


def _listed(token: Artifact) -> ListedRegistrationToken:
    return ListedRegistrationToken(
        name=token_name(token.digest),
        policy=policy_of(token),
        created_at=token.created_at,
        expires_at=token.expires_at,
    )


async def withdraw(asked: Asked) -> None:
    if not await withdraw_initial_token(asked.desk, asked.path["name"], actor=asked.caller.actor.subject):
        raise NotFound("There is no such token, or it is used up or has expired.")


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
    return RegistrationToken(
        name=made.name, token=made.secret.value, expires_at=made.expires_at, reusable=policy.uses is None
    )


RESOURCE = Resource(
    "registration-tokens",
    (
        Operation(
            method="GET",
            path="/registration-tokens",
            summary="List the tokens with which clients can register themselves",
            act=list_,
            query=PageQuery,
            answer=RegistrationTokens,
        ),
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
        Operation(
            method="DELETE",
            path="/registration-tokens/{name}",
            summary="Withdraw such a token; whoever has registered with it stays",
            act=withdraw,
            problems=(NotFound,),
        ),
    ),
)
