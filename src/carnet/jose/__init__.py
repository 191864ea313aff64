"""RFC 7515 to 7519: the token core. It does no I/O; time is an argument; every refusal is a `JoseError` with a stable code."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from carnet.jose.errors import JoseError
from carnet.jose.jwt import JwtVerifier, sign_jwt
from carnet.jose.key_set import KeySet
from carnet.jose.keys import SigningKey, VerifyingKey
from carnet.jose.verified import Verified

if TYPE_CHECKING:
    from carnet.jose.inspection import inspect
    from carnet.jose.unverified import Unverified

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

_LOADED_ON_DEMAND = {"inspect": "carnet.jose.inspection", "Unverified": "carnet.jose.unverified"}


def __getattr__(name: str) -> Any:
    """PEP 562: what explains tokens to people is loaded when it is asked for; a service that verifies does without."""
    if name not in _LOADED_ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LOADED_ON_DEMAND[name]), name)
