"""RFC 7515 to 7519: the token core. It does no I/O; time is an argument; every refusal is a `JoseError` with a stable code."""

from carnet.jose.errors import JoseError
from carnet.jose.inspection import inspect
from carnet.jose.jwt import JwtVerifier, sign_jwt
from carnet.jose.key_set import KeySet
from carnet.jose.keys import SigningKey, VerifyingKey
from carnet.jose.unverified import Unverified
from carnet.jose.verified import Verified

__all__ = [
    "JoseError",
    "JwtVerifier",
    "KeySet",
    "SigningKey",
    "Unverified",
    "Verified",
    "VerifyingKey",
    "inspect",
    "sign_jwt",
]
