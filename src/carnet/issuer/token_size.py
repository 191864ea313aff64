"""How large access tokens are, and what is done about those that are too large for where they travel.

A cookie takes about 4,096 bytes (RFC 6265 section 6.1), and many servers take no header that is longer than 8 KiB.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.storage.records import Client, Event
from carnet.jose import SigningKey, sign_jwt
from carnet.oauth import access_token, acr
from carnet.oauth.access_token import AccessToken, SignIn, roles_reference
from carnet.oauth.scope import parse

LONGEST = 8_192
"""Characters: no guard takes a longer token (rule J20)."""
_A_DAY = 86_400

log = logging.getLogger("carnet.issuer")

_SIGNATURES = {"RS256": 256, "PS256": 256, "ES384": 96, "ES512": 132}
_SIGNATURE = 64
_HEADER = len('{"alg":"ES256","kid":"","typ":"at+jwt"}') + 43


async def signed(token: AccessToken, key: SigningKey, desk: Desk) -> str:
    """Sign an access token. One that is over the budget only names its roles, if that makes it shorter."""
    whole = _sign(token, key)
    if len(whole) <= desk.config.access_token_budget:
        return whole
    by_reference = (
        _sign(replace(token, roles=(), roles_ref=roles_reference(token.roles)), key) if token.roles else whole
    )
    shortest = min(by_reference, whole, key=len)
    await _warn(token.client_id, len(whole), len(shortest), desk)
    return shortest


@dataclass(frozen=True, slots=True)
class Size:
    """Characters of the largest access token that a client can get."""

    whole: int
    issued: int
    """Of what is issued, which may only name its roles."""


def largest(client: Client, roles: Sequence[str], config: Config) -> Size:
    """With all of its scope values and audiences, for somebody with these roles."""
    name = "x" * 22
    token = AccessToken(
        issuer=config.issuer,
        subject=name,
        audience=(*client.audiences, config.issuer),
        client_id=client.client_id,
        scope=parse(client.scope),
        issued_at=1_000_000_000,
        expires_at=9_999_999_999,
        token_id=f"{name}.{name}",
        roles=tuple(roles),
        sign_in=SignIn(auth_time=1_000_000_000, amr=acr.with_second(("pwd",), ("otp",)), acr=acr.TWO_FACTORS),
        sid=name,
        confirmation={"jkt": "x" * 43} if client.dpop_bound_access_tokens else None,
        epoch=1_000,
    )
    whole = _length(token, config.signing_algorithm)
    if whole <= config.access_token_budget or not roles:
        return Size(whole, whole)
    named = _length(replace(token, roles=(), roles_ref="x" * 43), config.signing_algorithm)
    return Size(whole, min(whole, named))


def caution(client: Client, config: Config) -> str | None:
    """What is to be said of a client whose tokens go beyond the budget without anybody's roles, or with its own."""
    size = largest(client, client.roles, config)
    if size.whole <= config.access_token_budget:
        return None
    mend = (
        "they only name its roles"
        if size.issued <= config.access_token_budget
        else "give it fewer audiences or scope values"
    )
    return f"Its access tokens have up to {size.whole} characters, over the budget of {config.access_token_budget}: {mend}."


def _length(token: AccessToken, alg: str) -> int:
    """Characters that it would have, without signing it."""
    payload = len(msgspec.json.encode(token.claims()))
    parts = (_HEADER, payload, _SIGNATURES.get(alg, _SIGNATURE))
    return sum((4 * part + 2) // 3 for part in parts) + 2


def _sign(token: AccessToken, key: SigningKey) -> str:
    return sign_jwt(token.claims(), key, typ=access_token.TYP)


async def _warn(client_id: str, whole: int, issued: int, desk: Desk) -> None:
    """Once a day for each client: in the log and in the audit trail."""
    now = desk.ambient.now()
    if await desk.store.throttle.hit(f"token size/{client_id}", at=now, window=_A_DAY) > 1:
        return
    budget = desk.config.access_token_budget
    how = (
        "its roles are only named"
        if issued < whole
        else "and it stays so: give the client fewer audiences or scope values"
    )
    log.warning("An access token of %s has %d characters, over the budget of %d; %s.", client_id, whole, budget, how)
    detail = {"length": whole, "issued": issued, "budget": budget}
    await desk.store.events.add(Event(at=now, name="access_token.over_budget", client_id=client_id, detail=detail))
