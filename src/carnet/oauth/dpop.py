"""RFC 9449: proofs of possession that a request carries, and what they are held against."""

import hmac
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from carnet.ambient import Instant
from carnet.jose import JoseError, SigningKey, base64url, sign_jwt
from carnet.jose.proof import DPOP_TYPE, verify_proof

HEADER: Final = "DPoP"
NONCE_HEADER: Final = "DPoP-Nonce"
SCHEME: Final = "DPoP"
ALGORITHMS: Final = ("ES256", "Ed25519", "EdDSA", "PS256", "RS256", "ES384", "ES512")
"""Section 4.3, number 6: public-key signatures alone."""
MAX_AGE = 60
"""Seconds from a proof's making until it is refused."""
LEEWAY = 60
"""Seconds by which clocks may differ: the ones of browsers are the worst that there are."""

_UNRESERVED = re.compile(r"%([0-9A-Fa-f]{2})")
_PORTS = {"https": 443, "http": 80}


class ProofError(Exception):
    """A proof that is refused; the message is for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dpop:
    """A proof for one request. Whoever accepts it spends its identifier, so that it is not accepted twice."""

    thumbprint: str
    """RFC 7638: what `cnf.jkt` is compared with (section 6)."""
    alg: str
    identifier: str = field(repr=False)
    """Its `jti`, which is one of its key's."""
    nonce: str | None = field(repr=False)
    until: Instant
    """From then on it is refused for its age."""


def check_proof(proof: str, *, method: str, url: str, at: Instant, access_token: str | None = None) -> Dpop:
    """Section 4.3, numbers 2 to 9, 11 and 12; the caller checks the nonce and spends the identifier.

    Args:
        proof: the value of the one DPoP header.
        method: of the request.
        url: of the request, without regard to query and fragment.
        at: now.
        access_token: the one that the request carries, where it carries one.

    Raises:
        ProofError: it is refused.
    """
    try:
        proved = verify_proof(proof, algorithms=ALGORITHMS, at=at, max_age=MAX_AGE, leeway=LEEWAY)
    except JoseError as error:
        raise ProofError(f"{error.code}: {error}") from None
    claims = proved.claims
    if claims["htm"] != method:
        raise ProofError("htm is another method than the request's")
    here = normal(url)
    if here is None or not isinstance(claims["htu"], str) or normal(claims["htu"]) != here:
        raise ProofError("htu is another URL than the request's")
    if access_token is not None:
        said = claims.get("ath")
        if not isinstance(said, str) or not hmac.compare_digest(said.encode(), token_hash(access_token).encode()):
            raise ProofError("ath is not the hash of the access token")
    nonce = claims.get("nonce")
    if nonce is not None and not isinstance(nonce, str):
        raise ProofError("the nonce is not a string")
    return Dpop(
        thumbprint=proved.key.thumbprint(),
        alg=proved.key.alg,
        identifier=claims["jti"],
        nonce=nonce,
        until=int(claims["iat"]) + MAX_AGE + LEEWAY + 1,
    )


def make_proof(
    key: SigningKey,
    *,
    method: str,
    url: str,
    at: Instant,
    identifier: str,
    access_token: str | None = None,
    nonce: str | None = None,
) -> str:
    """Section 4.2: a proof for one request; `check_proof` says what the arguments are held against."""
    claims = {"jti": identifier, "htm": method, "htu": url.partition("#")[0].partition("?")[0], "iat": at}
    if access_token is not None:
        claims["ath"] = token_hash(access_token)
    if nonce is not None:
        claims["nonce"] = nonce
    return sign_jwt(claims, key, typ=DPOP_TYPE, headers={"jwk": key.public().to_jwk()})


def token_hash(access_token: str) -> str:
    """Section 4.2, `ath`."""
    return base64url.text(sha256(access_token.encode("ascii")).digest())


def normal(url: str) -> str | None:
    """RFC 3986 sections 6.2.2 and 6.2.3, as section 4.3 wants it, without query and fragment; None if it is no http(s) URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc:
        return None
    path = _UNRESERVED.sub(_decoded, parts.path) or "/"
    return f"{parts.scheme}://{host}:{port or _PORTS[parts.scheme]}{path}"


def _decoded(escape: re.Match[str]) -> str:
    """Section 6.2.2.2 of RFC 3986: characters that need no escape have none; the others' are in capitals."""
    character = chr(int(escape[1], 16))
    return character if character.isascii() and (character.isalnum() or character in "-._~") else escape[0].upper()
