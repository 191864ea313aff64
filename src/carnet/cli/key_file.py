"""RFC 7517, RFC 7468: keys that commands read from files: a JWK, a JWK Set or PEM."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from carnet.cli.errors import UsageError

if TYPE_CHECKING:
    from carnet.jose import KeySet, SigningKey

_LARGEST: Final = 1_048_576


def read_key(file: Path) -> dict[str, Any] | bytes:
    """The JSON object, or the PEM, that the file holds; `-` is standard input.

    Raises:
        UsageError: the file cannot be read, or is neither.
    """
    from carnet.jose import JoseError
    from carnet.jose.strict_json import parse_object

    try:
        if str(file) == "-":
            raw = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with file.open("rb") as opened:
                raw = opened.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
    if len(raw) > _LARGEST:
        raise UsageError(f"{file} is longer than {_LARGEST} bytes: no key is.")
    if b"-----BEGIN" in raw:
        return raw
    try:
        return dict(parse_object(raw))
    except JoseError as error:
        raise UsageError(f"{file} is neither PEM nor a JSON Web Key: {error}") from None


def signing_key(file: Path, alg: str | None) -> "SigningKey":
    """The private key or secret in the file, for one algorithm: `alg`, or the one that the key names."""
    from carnet.jose import JoseError, SigningKey

    key = read_key(file)
    try:
        if isinstance(key, bytes):
            return SigningKey.from_pem(key, alg=needed(alg, file))
        return SigningKey.from_jwk(key, alg=alg or needed(key.get("alg"), file))
    except JoseError as error:
        raise UsageError(f"{file}: {error}") from None


def verifying_keys(file: Path, algorithms: tuple[str, ...]) -> "KeySet":
    """The keys in the file that can verify: for `algorithms`, or for those that they name.

    A private key will do; only its public half is used.
    """
    from carnet.jose import JoseError, KeySet, SigningKey, VerifyingKey
    from carnet.jose.algorithms import SIGNATURES
    from carnet.jose.registered import PRIVATE_MEMBERS

    key = read_key(file)
    try:
        if isinstance(key, dict) and "keys" in key:
            keys = KeySet.from_jwks(key, algorithms=algorithms or SIGNATURES)
            if not len(keys):
                raise UsageError(f"{file} has no key that can verify {' or '.join(algorithms) or 'a signature'}.")
            return keys
        if len(algorithms) > 1:
            raise UsageError("one key is for one algorithm: give --alg once.")
        named = algorithms[0] if algorithms else None
        if isinstance(key, bytes):
            return KeySet((VerifyingKey.from_pem(key, alg=needed(named, file)),))
        alg = named or needed(key.get("alg"), file)
        if PRIVATE_MEMBERS & key.keys():
            return KeySet((SigningKey.from_jwk(key, alg=alg).public(),))
        return KeySet((VerifyingKey.from_jwk(key, alg=alg),))
    except JoseError as error:
        raise UsageError(f"{file}: {error}") from None


def needed(alg: Any, file: Path) -> str:
    """The algorithm; raises UsageError if none is given."""
    if not isinstance(alg, str):
        raise UsageError(f"{file} does not say for which algorithm it is: give --alg.")
    return alg
