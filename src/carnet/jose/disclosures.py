"""RFC 9901 section 4.2: disclosures, their digests, and where these are put in and taken out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256, sha384, sha512
from typing import Any, TypeAlias

from carnet.jose import base64url
from carnet.jose.errors import MalformedError, UnsupportedError, shown
from carnet.jose.strict_json import MAX_DEPTH, JsonObject, encode_array, parse_array

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands: names of members and positions in arrays, from the top."""

DIGESTS, ELEMENT, ALGORITHM = "_sd", "...", "_sd_alg"
_RESERVED = frozenset({DIGESTS, ELEMENT})
_HASHES = {"sha-256": sha256, "sha-384": sha384, "sha-512": sha512}
_DEFAULT_HASH = "sha-256"
_SALT_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A value that may be shown or kept back."""

    encoded: str
    """What is sent and hashed."""
    name: str | None
    """The member's name; None for an element of an array."""
    value: Any


def hash_name(payload: Mapping[str, Any]) -> str:
    """RFC 9901 section 4.1.1: the payload's `_sd_alg`, SHA-256 where there is none.

    Raises:
        UnsupportedError: it is another than SHA-256, SHA-384 or SHA-512.
    """
    name = payload.get(ALGORITHM, _DEFAULT_HASH)
    if not isinstance(name, str) or name not in _HASHES:
        raise UnsupportedError(f"The hash of the disclosures is {shown(name)}, known are {', '.join(_HASHES)}.")
    return name


def digest(text: str, hash_algorithm: str) -> str:
    """RFC 9901 section 4.2.3: the base64url of the hash over the ASCII of what is sent."""
    return base64url.text(_HASHES[hash_algorithm](text.encode("ascii")).digest())


def parse_disclosure(encoded: str) -> Disclosure:
    """RFC 9901 sections 4.2.1 and 4.2.2: `[salt, name, value]` or `[salt, value]`.

    Raises:
        MalformedError: it is neither, or its name is one of those that carry digests.
    """
    parts = parse_array(base64url.decode_text(encoded))
    if len(parts) not in {2, 3} or not isinstance(parts[0], str) or not parts[0]:
        raise MalformedError("A disclosure is not an array of a salt, a name where there is one, and a value.")
    if len(parts) == 2:
        return Disclosure(encoded, None, parts[1])
    if not isinstance(parts[1], str) or parts[1] in _RESERVED:
        raise MalformedError(f"A disclosure has the name {shown(parts[1])} (RFC 9901 section 4.2.1).")
    return Disclosure(encoded, parts[1], parts[2])


class Concealment:
    """RFC 9901 section 4.2.4: puts digests in the place of the values at the wanted paths, the innermost first.

    Every object that conceals a member gets `decoys` digests of nothing besides (section 4.2.5).
    """

    def __init__(self, wanted: Iterable[Path], *, entropy: Callable[[int], bytes], decoys: int) -> None:
        self._wanted = set(wanted)
        self._entropy = entropy
        self._decoys = decoys
        self.disclosures: list[Disclosure] = []

    def payload(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        """The claims to sign; the disclosures are in `disclosures` then.

        Raises:
            MalformedError: there is nothing at a path, or a claim has a reserved name.
        """
        if ALGORITHM in claims:
            raise MalformedError(f"A claim has the reserved name {ALGORITHM!r} (RFC 9901 section 4.1).")
        payload = self._members(claims, ())
        if self._wanted:
            raise MalformedError(f"There is nothing to conceal at {shown(min(self._wanted, key=repr))}.")
        return payload | {ALGORITHM: _DEFAULT_HASH}

    def _value(self, value: Any, path: Path) -> Any:
        if isinstance(value, Mapping):
            return self._members(value, path)
        if isinstance(value, list | tuple):
            return [self._element(item, (*path, index)) for index, item in enumerate(value)]
        return value

    def _members(self, value: Mapping[str, Any], path: Path) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        digests: list[str] = []
        for name, item in value.items():
            if name in _RESERVED:
                raise MalformedError(f"A claim has the reserved name {shown(name)} (RFC 9901 section 4.1).")
            content = self._value(item, (*path, name))
            if self._take((*path, name)):
                digests.append(self._hide(name, content))
            else:
                plain[name] = content
        if digests:
            digests += [digest(base64url.text(self._entropy(32)), _DEFAULT_HASH) for _ in range(self._decoys)]
            plain[DIGESTS] = sorted(digests)  # an order that says nothing of the claims' own
        return plain

    def _element(self, item: Any, path: Path) -> Any:
        content = self._value(item, path)
        return {ELEMENT: self._hide(None, content)} if self._take(path) else content

    def _take(self, path: Path) -> bool:
        if path not in self._wanted:
            return False
        self._wanted.remove(path)
        return True

    def _hide(self, name: str | None, value: Any) -> str:
        salt = base64url.text(self._entropy(_SALT_LENGTH))
        encoded = base64url.text(encode_array([salt, value] if name is None else [salt, name, value]))
        self.disclosures.append(Disclosure(encoded, name, value))
        return digest(encoded, _DEFAULT_HASH)


class Revelation:
    """RFC 9901 section 7.1, items 3 to 5: a payload with its disclosures in their places and all digests taken out."""

    def __init__(self, payload: JsonObject, disclosures: Iterable[str]) -> None:
        """Do it.

        Raises:
            MalformedError: a disclosure is malformed, belongs nowhere or comes twice, a digest comes twice, or its name is taken.
            UnsupportedError: the hash is unknown.
        """
        algorithm = hash_name(payload)
        self._unused: dict[str, Disclosure] = {}
        self._seen: set[str] = set()
        self.places: dict[Path, Disclosure] = {}
        """Which disclosure stands where. Positions count all elements of an array, those that are kept back included."""
        for encoded in disclosures:
            of = digest(encoded, algorithm)
            if of in self._unused:
                raise MalformedError("A disclosure comes twice.")
            self._unused[of] = parse_disclosure(encoded)
        self.claims = self._members(payload, ())
        if self._unused:
            raise MalformedError("A disclosure belongs to no digest (RFC 9901 section 7.1).")

    def _value(self, value: Any, path: Path) -> Any:
        if len(path) > MAX_DEPTH:
            raise MalformedError(f"The disclosures are nested more than {MAX_DEPTH} deep.")
        if isinstance(value, JsonObject):
            return self._members(value, path)
        return self._elements(value, path) if isinstance(value, tuple) else value

    def _members(self, value: JsonObject, path: Path) -> JsonObject:
        if ELEMENT in value or (path and ALGORITHM in value):
            raise MalformedError("A reserved name stands where it has no meaning (RFC 9901 section 4.1).")
        digests = value.get(DIGESTS, ())
        if not isinstance(digests, tuple):
            raise MalformedError("'_sd' is not an array (RFC 9901 section 4.2.4.1).")
        kept = {
            name: self._value(item, (*path, name)) for name, item in value.items() if name not in {DIGESTS, ALGORITHM}
        }
        for found in digests:
            disclosure = self._take(found)
            if disclosure is None:
                continue
            if disclosure.name is None or disclosure.name in kept or disclosure.name == ALGORITHM:
                raise MalformedError("A disclosure is not of a member, or its name is taken (RFC 9901 section 7.1).")
            kept[disclosure.name] = self._placed(disclosure, (*path, disclosure.name))
        return JsonObject(kept)

    def _elements(self, values: tuple[Any, ...], path: Path) -> tuple[Any, ...]:
        kept = []
        for index, item in enumerate(values):
            if not isinstance(item, JsonObject) or item.keys() != {ELEMENT}:
                kept.append(self._value(item, (*path, index)))
                continue
            disclosure = self._take(item[ELEMENT])
            if disclosure is not None:
                if disclosure.name is not None:
                    raise MalformedError("A disclosure of a member stands in an array (RFC 9901 section 7.1).")
                kept.append(self._placed(disclosure, (*path, index)))
        return tuple(kept)

    def _take(self, found: object) -> Disclosure | None:
        if not isinstance(found, str):
            raise MalformedError("A digest is not a string (RFC 9901 section 4.2.4).")
        if found in self._seen:
            raise MalformedError("A digest comes twice (RFC 9901 section 7.1).")
        self._seen.add(found)
        return self._unused.pop(found, None)

    def _placed(self, disclosure: Disclosure, path: Path) -> Any:
        self.places[path] = disclosure
        return self._value(disclosure.value, path)
