"""RFC 9068 section 4, OpenID Connect RP-Initiated Logout section 2: our own tokens, brought back to us."""

from collections.abc import Mapping
from typing import Any

from carnet.ambient import Instant
from carnet.issuer.config import SIGNING_ALGORITHMS
from carnet.issuer.desk import Desk
from carnet.issuer.envelope import out_of_envelope
from carnet.issuer.pairwise import sector_of, subject_behind
from carnet.issuer.storage.records import Account, Client
from carnet.jose import JoseError, KeySet, base64url
from carnet.jose.profiles import ACCESS_TOKEN, ID_TOKEN, Profile
from carnet.jose.strict_json import parse_object

Claims = Mapping[str, Any]


async def live_access_token(token: str, desk: Desk) -> Claims | None:
    """The claims of an access token of ours, for whatever audience, if it is valid and has not been taken back."""
    now = desk.ambient.now()
    claims = _verified(token, ACCESS_TOKEN, await desk.keyring.key_set(), desk, at=now)
    return claims if claims is not None and await _stands(claims, desk, at=now) else None


def audience_of(claims: Claims) -> tuple[str, ...]:
    """RFC 7519 section 4.1.3: `aud` is one name or several."""
    audience: str | tuple[str, ...] = claims["aud"]
    return (audience,) if isinstance(audience, str) else audience


async def holder_of(claims: Claims, desk: Desk) -> Account | Client | None:
    """Whose a live token is: a person's account, or the client that speaks for itself."""
    client = await desk.store.clients.get(claims["client_id"])
    if client is None or claims["sub"] == client.client_id:
        return client
    return await desk.store.accounts.get(await subject_behind(claims["sub"], client, desk))


async def hinted_subject(token: str, client: Client, desk: Desk) -> str | None:
    """The subject of an ID token of ours that a client gives as a hint; None: it is none, or another sector's."""
    claims = await hinted(token, desk)
    if claims is None:
        return None
    issued_to = await desk.store.clients.get(str(claims["aud"]))
    if sector_of(issued_to) != sector_of(client):
        return None
    return await subject_behind(str(claims["sub"]), issued_to, desk)


async def hinted(token: str, desk: Desk) -> Claims | None:
    """The claims of an ID token of ours that is given as a hint: it, and its key, may have had their time."""
    try:
        token = await out_of_envelope(token, desk)
    except JoseError:
        return None
    issued_at = _unverified(token).get("iat")
    if not isinstance(issued_at, int):
        return None
    return _verified(token, ID_TOKEN, await desk.keyring.all_keys(), desk, at=issued_at)


def _verified(token: str, profile: Profile, keys: KeySet, desk: Desk, *, at: Instant) -> Claims | None:
    audience = _unverified(token).get("aud")
    names = (audience,) if isinstance(audience, str) else audience
    if not isinstance(names, tuple) or not names or not all(isinstance(name, str) and name for name in names):
        return None
    try:
        return (
            profile.verifier(
                keys=keys,
                algorithms=SIGNING_ALGORITHMS,
                issuer=desk.config.issuer,
                audience=names,  # whatever it is: it is read here for those who may look at tokens for others
                cache_size=0,
            )
            .verify(token, at=at)
            .claims
        )
    except JoseError:
        return None


def _unverified(token: str) -> Claims:
    """What a token says of itself, believed only where the verification that follows confirms it."""
    parts = token.split(".", 3)
    if len(parts) != 3 or not token.isascii():
        return {}
    try:
        return parse_object(base64url.decode(parts[1].encode("ascii")))
    except JoseError:
        return {}


async def _stands(claims: Claims, desk: Desk, *, at: Instant) -> bool:
    """What guards look up in the epoch map, asked of the store; and whether account and client are still there."""
    family, dot, _ = claims["jti"].partition(".")
    names = [("token", claims["jti"]), ("client", claims["client_id"])]
    if dot:
        names.append(("family", family))
    if "sid" in claims:
        names.append(("session", claims["sid"]))
    for kind, value in names:
        if await desk.store.revocations.find(kind, value, at=at) is not None:
            return False
    holder = await holder_of(claims, desk)
    if holder is None or (isinstance(holder, Account) and holder.disabled_at is not None):
        return False
    return bool(claims.get("sep", 0) >= holder.epoch)
