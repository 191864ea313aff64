"""Rule A3, RFC 8725 section 3.11: what services are told of who asks: headers, or a signed token of a minute."""

from collections.abc import Collection
from typing import Final
from urllib.parse import quote

from carnet.ambient import Ambient
from carnet.guard.principal import Principal
from carnet.jose import JwtVerifier, KeySet, SigningKey, base64url, sign_jwt

TOKEN_HEADER: Final = "x-carnet-token"
IDENTITY_HEADERS: Final = frozenset(
    {
        "x-carnet-issuer",
        "x-carnet-subject",
        "x-carnet-client",
        "x-carnet-roles",
        "x-carnet-scope",
        "x-carnet-acr",
        "x-carnet-session",
        TOKEN_HEADER,
    }
)
"""All of them are in every answer that lets a request through, empty if there is nothing to say: so a proxy that copies them
overwrites whatever the client sent."""

GATEWAY_TOKEN_TYP: Final = "carnet-gateway+jwt"
"""Of its own: no service that takes access tokens takes it, and the other way round."""

_LIFETIME: Final = 60
_VISIBLE: Final = "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""What `quote` leaves as it is besides letters and digits: all of visible ASCII but the percent sign."""


def anonymous() -> dict[str, str]:
    """The headers of a request that nobody has signed."""
    return dict.fromkeys(sorted(IDENTITY_HEADERS), "")


def described(principal: Principal) -> dict[str, str]:
    """The headers that say who asks; lists are separated by spaces, and what is not visible ASCII is percent-encoded."""
    return anonymous() | {
        "x-carnet-issuer": _visible(principal.issuer),
        "x-carnet-subject": _visible(principal.subject),
        "x-carnet-client": _visible(principal.client_id),
        "x-carnet-roles": _listed(principal.roles),
        "x-carnet-scope": _listed(principal.scope),
        "x-carnet-acr": _visible(principal.acr or ""),
        "x-carnet-session": _visible(principal.session_id or ""),
    }


def vouched(principal: Principal, *, issuer: str, audience: str, key: SigningKey, ambient: Ambient) -> dict[str, str]:
    """The header with a token that says who asks, signed by the gateway for the service alone.

    It lives for 60 seconds, and not longer than the access token.
    """
    now = ambient.now()
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": principal.subject,
        "sub_id": {"format": "iss_sub", "iss": principal.issuer, "sub": principal.subject},  # RFC 9493 section 3.2.3
        "client_id": principal.client_id,
        "scope": " ".join(sorted(principal.scope)),
        "roles": sorted(principal.roles),
        "acr": principal.acr,
        "auth_time": principal.auth_time,
        "sid": principal.session_id,
        "iat": now,
        "exp": max(min(now + _LIFETIME, principal.expires_at), now + 1),
        "jti": base64url.text(ambient.entropy(16)),
    }
    token = sign_jwt({name: value for name, value in claims.items() if value is not None}, key, typ=GATEWAY_TOKEN_TYP)
    return anonymous() | {TOKEN_HEADER: token}


def gateway_token_verifier(
    *, keys: KeySet, algorithms: Collection[str], issuer: str, audience: str, leeway: int = 5
) -> JwtVerifier:
    """What a service behind the gateway verifies `X-Carnet-Token` with; `issuer` is the gateway's name in its settings."""
    return JwtVerifier(
        keys=keys,
        algorithms=algorithms,
        issuer=issuer,
        audience=audience,
        typ=GATEWAY_TOKEN_TYP,
        leeway=leeway,
        required=("exp", "iat", "sub", "client_id", "jti"),
    )


def _visible(text: str) -> str:
    return quote(text, safe=_VISIBLE)


def _listed(values: Collection[str]) -> str:
    return " ".join(sorted(map(_visible, values)))
