"""What the tests of the token core share: vectors, keys that are made once, and a forge for tokens that no honest signer makes."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from carnet.jose import JwtVerifier, KeySet, SigningKey
from carnet.jose.key_types.known import KEY_TYPES

VECTORS = Path(__file__).parent.parent / "vectors"
ISSUER = "https://issuer.example"
AUDIENCE = "https://orders.example"
NOW = 1_800_000_000


def segment(value: Any) -> str:
    """Base64url of octets, of a text, or of the JSON of anything else; written apart from the code under test."""
    octets = (
        value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else json.dumps(value).encode()
    )
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


@cache
def made(alg: str, number: int = 0) -> SigningKey:
    """A key for an algorithm, the same one in the whole run; other numbers are other keys."""
    del number
    key = SigningKey.generate(alg)
    return key if key.kid else SigningKey.from_jwk(key.to_jwk() | {"kid": "secret"}, alg=alg)


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token; a change to None leaves the claim out."""
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 300, "iat": NOW, "jti": "1", "client_id": "shop"}
    return {name: value for name, value in (good | changes).items() if value is not None}


@pytest.fixture
def vectors() -> Callable[[str], Any]:
    """Reads a file of `tests/vectors`."""
    return lambda name: json.loads((VECTORS / name).read_bytes())


@pytest.fixture
def forge() -> Callable[..., str]:
    """Signs any header over any payload, with an honest key's primitive."""

    def forged(header: Any, payload: Any, key: SigningKey) -> str:
        signed = f"{segment(header)}.{segment(payload)}"
        return f"{signed}.{segment(key.sign(signed.encode()))}"

    return forged


@pytest.fixture
def key_of() -> Callable[..., SigningKey]:
    return made


@pytest.fixture
def key() -> SigningKey:
    return made("ES256")


@pytest.fixture
def verifier_for() -> Callable[..., JwtVerifier]:
    """A verifier of access tokens by the given keys; its algorithms are those of the keys unless said otherwise."""

    def build(*keys: SigningKey, **policy: Any) -> JwtVerifier:
        policy.setdefault("algorithms", tuple({key.alg for key in keys}))
        policy = {"issuer": ISSUER, "audience": AUDIENCE, "typ": "at+jwt", **policy}
        return JwtVerifier(keys=KeySet(key.public() for key in keys), **policy)

    return build


@pytest.fixture
def public_jwk() -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A JWK without what is private in it."""
    private = {name for key_type in KEY_TYPES if key_type.kty != "oct" for name in key_type.secret}
    return lambda jwk: {name: value for name, value in jwk.items() if name not in private}
