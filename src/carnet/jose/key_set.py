"""RFC 7517 section 5: a set of keys that verify, by name."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from carnet.jose.algorithms import signature_algorithm
from carnet.jose.errors import InvalidKeyError, MalformedError, shown
from carnet.jose.key_types import OCT
from carnet.jose.keys import VerifyingKey
from carnet.jose.strict_json import parse_object

MAX_KEYS = 100
MAX_DOCUMENT_LENGTH = 512 * 1024


class KeySet:
    """A read-only mapping of kids to keys. No two keys have one kid, and secrets and public keys do not mix."""

    __slots__ = ("_keys", "get")

    def __init__(self, keys: Iterable[VerifyingKey]) -> None:
        """Raises InvalidKeyError for two keys of one name, and for secrets beside public keys."""
        self._keys: dict[str | None, VerifyingKey] = {}
        for key in keys:
            if key.kid in self._keys:
                raise InvalidKeyError(
                    f"Two keys of the set have the kid {shown(key.kid)}: which one signed is not clear."
                )
            self._keys[key.kid] = key
        kinds = {signature_algorithm(key.alg).key_type is OCT for key in self._keys.values()}
        if len(kinds) > 1:
            raise InvalidKeyError("Secrets and public keys do not belong into one set: one is published, one never is.")
        lookup = self._keys
        if len(lookup) == 1:
            # The only key answers for tokens that do not name theirs.
            lookup = {None: next(iter(lookup.values())), **lookup}
        self.get = lookup.get
        """`get(kid) -> VerifyingKey | None`; the kid None finds the only key of a set of one."""

    @classmethod
    def from_jwks(cls, document: Mapping[str, Any] | bytes, *, algorithms: Sequence[str]) -> "KeySet":
        """Take a JWK Set, with those of its keys that are for one of `algorithms`.

        As RFC 7517 section 5 asks, keys of other types and uses, and keys that are malformed, are left out. A key without `alg`
        is bound to the first of `algorithms` that fits its type and curve.

        Raises:
            MalformedError: it is not a JWK Set, or is larger than any real one.
            UnsupportedError: there is no such algorithm.
            InvalidKeyError: two usable keys have one kid.
        """
        if isinstance(document, bytes):
            if len(document) > MAX_DOCUMENT_LENGTH:
                raise MalformedError(f"The key set is longer than {MAX_DOCUMENT_LENGTH} octets.")
            document = parse_object(document)
        jwks = document.get("keys")
        if not isinstance(jwks, list | tuple):
            raise MalformedError("The key set has no 'keys', or it is not an array (RFC 7517 section 5.1).")
        if len(jwks) > MAX_KEYS:
            raise MalformedError(f"The key set has more than {MAX_KEYS} keys.")
        candidates = [
            signature_algorithm(name) for name in algorithms
        ]  # an unknown name is refused in an empty set too
        keys = []
        for jwk in jwks:
            if not isinstance(jwk, Mapping):
                continue
            for algorithm in candidates:
                try:
                    keys.append(VerifyingKey.from_jwk(jwk, alg=algorithm.name))
                except InvalidKeyError:
                    continue
                break
        return cls(keys)

    def to_jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The JWK Set to publish; raises InvalidKeyError if there is a secret among them."""
        return {"keys": [key.to_jwk() for key in self]}

    def __iter__(self) -> Iterator[VerifyingKey]:
        return iter(self._keys.values())

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, kid: object) -> bool:
        return kid in self._keys

    def __repr__(self) -> str:
        return f"KeySet({list(self)!r})"
