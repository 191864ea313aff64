"""RFC 8725 section 3.1, rules J3 and J5: the one place where a header's `alg` meets the allow-list and the key."""

from collections.abc import Collection, Mapping
from typing import Any

from carnet.jose.errors import AlgorithmNotAllowedError, InvalidKeyError, UnknownKeyError, shown
from carnet.jose.key_set import KeySet
from carnet.jose.key_types import OCT
from carnet.jose.keys import VerifyingKey


def choose_key(header: Mapping[str, Any], keys: KeySet, algorithms: Collection[str]) -> VerifyingKey:
    """The key that a checked header names. `jwk`, `jku`, `x5u` and `x5c` are not looked at.

    Raises:
        AlgorithmNotAllowedError: `alg` is not on the allow-list, or is not the key's.
        UnknownKeyError: the set has no key of that `kid`.
    """
    alg, kid = header["alg"], header.get("kid")
    _check_allowed(alg, algorithms)
    key = keys.get(kid)
    if key is None:
        raise UnknownKeyError(
            f"No key has the kid {shown(kid)}."
            if kid is not None
            else "The token names no key, and the set is not of one."
        )
    if key.alg != alg:
        raise AlgorithmNotAllowedError(f"The algorithm is {shown(alg)}, but the key {shown(kid)} is for {key.alg}.")
    return key


def embedded_key(jwk: object, alg: str, algorithms: Collection[str]) -> VerifyingKey:
    """A public key that came in a token itself. Whoever made the token chose it: its use shows possession and nothing else.

    Raises:
        AlgorithmNotAllowedError: `alg` is not on the allow-list.
        InvalidKeyError: `jwk` is not a public key for `alg`.
    """
    _check_allowed(alg, algorithms)
    if not isinstance(jwk, Mapping):
        raise InvalidKeyError("There is no 'jwk', or it is not an object.")
    if jwk.get("kty") == OCT.kty:
        raise InvalidKeyError("A secret proves nothing to anybody: the key must be a public one.")
    return VerifyingKey.from_jwk({name: value for name, value in jwk.items() if name != "kid"}, alg=alg)


def _check_allowed(alg: str, algorithms: Collection[str]) -> None:
    if alg not in algorithms:
        raise AlgorithmNotAllowedError(f"The algorithm is {shown(alg)}, allowed are {', '.join(sorted(algorithms))}.")
