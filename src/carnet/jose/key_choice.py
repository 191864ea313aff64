"""RFC 8725 section 3.1, rules J3 and J5: the one place where a header's `alg` meets the allow-list and the key."""

from collections.abc import Collection, Mapping
from typing import Any

from carnet.jose.errors import AlgorithmNotAllowedError, UnknownKeyError, shown
from carnet.jose.key_set import KeySet
from carnet.jose.keys import VerifyingKey


def choose_key(header: Mapping[str, Any], keys: KeySet, algorithms: Collection[str]) -> VerifyingKey:
    """The key that a checked header names. `jwk`, `jku`, `x5u` and `x5c` are not looked at.

    Raises:
        AlgorithmNotAllowedError: `alg` is not on the allow-list, or is not the key's.
        UnknownKeyError: the set has no key of that `kid`.
    """
    alg, kid = header["alg"], header.get("kid")
    if alg not in algorithms:
        raise AlgorithmNotAllowedError(f"The algorithm is {shown(alg)}, allowed are {', '.join(sorted(algorithms))}.")
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
