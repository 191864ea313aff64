"""RFC 7518 section 6.4: symmetric keys (`oct`)."""

from collections.abc import Mapping
from typing import Any

from carnet.jose.base64url import text
from carnet.jose.key_types.key_type import KeyType, octets


class Secret:
    """The octets of a symmetric key; they do not print."""

    __slots__ = ("value",)

    def __init__(self, value: bytes) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Secret(…)"


def _load(jwk: Mapping[str, Any]) -> Secret:
    return Secret(octets(jwk, "k"))


def _dump(secret: Secret) -> dict[str, Any]:
    return {"kty": "oct", "k": text(secret.value)}


def _same(secret: Secret) -> Secret:
    return secret


OCT = KeyType(
    kty="oct",
    secret=("k",),
    load_public=_load,
    load_private=_load,
    dump_public=_dump,
    dump_private=_dump,
    public_of=_same,
)
