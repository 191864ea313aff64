"""RFC 7636: Proof Key for Code Exchange, method S256 alone (RFC 9700 section 2.1.1)."""

import hmac
import re
from hashlib import sha256

from carnet.jose import base64url

METHODS = ("S256",)

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def challenge(verifier: str) -> str:
    """Section 4.2: `BASE64URL(SHA256(ASCII(code_verifier)))`."""
    return base64url.text(sha256(verifier.encode("ascii")).digest())


def well_formed(code_challenge: str) -> bool:
    """Whether it can be the S256 challenge of anything: 43 characters of base64url."""
    return _CHALLENGE.fullmatch(code_challenge) is not None


def proves(verifier: str, code_challenge: str) -> bool:
    """Section 4.6: whether the verifier belongs to the challenge, compared in constant time."""
    if not _VERIFIER.fullmatch(verifier):  # section 4.1
        return False
    return hmac.compare_digest(challenge(verifier), code_challenge)
