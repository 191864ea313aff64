"""`carnet jwk`: make JSON Web Keys, name them, and take their public half."""

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any, Final

import msgspec

from carnet.cli.errors import CommandError, UsageError
from carnet.cli.key_file import needed, read_key
from carnet.cli.output import add_json_option, note, show

_PUBLIC_OPERATIONS: Final = {
    "sign": "verify",
    "verify": "verify",
    "decrypt": "encrypt",
    "encrypt": "encrypt",
    "unwrapKey": "wrapKey",
    "wrapKey": "wrapKey",
}
"""RFC 7517 section 4.3: what the public half may do where the private one does that."""


def add(subparsers: Any) -> None:
    """Describe `jwk generate`, `jwk thumbprint` and `jwk public`."""
    jwk = subparsers.add_parser("jwk", help="make a key, name it, take its public half").add_subparsers(
        metavar="ACTION", required=True
    )
    generate = jwk.add_parser(
        "generate", help="make a private key or secret", description="Make a private key or secret."
    )
    generate.add_argument(
        "--alg", metavar="ALG", required=True, help="the one algorithm that it is for: ES256, RSA-OAEP…"
    )
    generate.add_argument("--kid", metavar="K", help="its name (default: its RFC 7638 thumbprint)")
    generate.add_argument("--curve", metavar="C", help="the curve of an ECDH-ES key: P-256, P-384, P-521, X25519, X448")
    generate.add_argument("--enc", metavar="E", help="what a key for dir encrypts with: A256GCM…")
    generate.add_argument(
        "--out", metavar="FILE", type=Path, help="write it here, for its owner alone; print the public half"
    )
    add_json_option(generate)
    generate.set_defaults(run=_generate)

    thumbprint = jwk.add_parser(
        "thumbprint", help="the RFC 7638 thumbprint", description="Print the RFC 7638 thumbprint."
    )
    _add_file(thumbprint)
    thumbprint.add_argument("--uri", action="store_true", help="as a URI (RFC 9278)")
    add_json_option(thumbprint)
    thumbprint.set_defaults(run=_thumbprint)

    public = jwk.add_parser("public", help="the public half of a key or key set", description="Print the public half.")
    _add_file(public)
    add_json_option(public)
    public.set_defaults(run=_public)


def _add_file(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="a JWK, a JWK Set or PEM; - for standard input")
    parser.add_argument("--alg", metavar="ALG", help="the algorithm of a key in PEM")


def _generate(arguments: Namespace) -> int:
    private = _fresh(arguments)
    if arguments.out is None:
        _show_key(arguments, private)
        if sys.stdout.isatty():
            note(
                "This is private: whoever has it can use it. Keep it in a file that only its owner can read (--out FILE)."
            )
        return 0
    try:
        with os.fdopen(os.open(arguments.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(private) + b"\n")
    except OSError as error:
        raise CommandError(f"{arguments.out} cannot be written: {error.strerror}.") from None
    if private["kty"] == "oct":
        show(arguments, {"kid": private.get("kid")}, f"The secret is in {arguments.out}.")
    else:
        _show_key(arguments, _public_half(private))
    return 0


def _fresh(arguments: Namespace) -> dict[str, Any]:
    from carnet.jose import JoseError, SigningKey
    from carnet.jose.algorithms import SIGNATURES
    from carnet.jose.algorithms.encryption import KEY_MANAGEMENT, PASSWORD_BASED
    from carnet.jose.encryption_keys import DecryptionKey

    try:
        if arguments.alg not in SIGNATURES:
            if arguments.alg not in {algorithm.name for algorithm in (*KEY_MANAGEMENT, *PASSWORD_BASED)}:
                known = ", ".join((*SIGNATURES, *(algorithm.name for algorithm in KEY_MANAGEMENT)))
                raise UsageError(f"{arguments.alg!r} is not the name of an algorithm that Carnet has. It has {known}.")
            choice = {"curve": arguments.curve, "enc": arguments.enc}
            return DecryptionKey.generate(arguments.alg, kid=arguments.kid, **choice).to_jwk()
        if arguments.curve or arguments.enc:
            raise UsageError(f"--curve and --enc are for encryption: {arguments.alg} has nothing to choose.")
        return SigningKey.generate(arguments.alg, kid=arguments.kid).to_jwk()
    except JoseError as error:
        raise UsageError(str(error)) from None


def _thumbprint(arguments: Namespace) -> int:
    from carnet.jose import JoseError
    from carnet.jose.thumbprint import jwk_thumbprint, thumbprint_uri

    keys = _keys(arguments)
    try:
        found = [jwk_thumbprint(key) for key in keys]
    except JoseError as error:
        raise UsageError(f"{arguments.file}: {error}") from None
    shown = [thumbprint_uri(each) if arguments.uri else each for each in found]
    show(arguments, {"thumbprints": shown}, "\n".join(shown))
    return 0


def _public(arguments: Namespace) -> int:
    key = read_key(arguments.file)
    if isinstance(key, dict) and "keys" in key:
        _show_key(arguments, {"keys": [_public_half(each) for each in _keys_of(key, arguments.file)]})
    else:
        _show_key(arguments, _public_half(key if isinstance(key, dict) else _from_pem(key, arguments)))
    return 0


def _keys(arguments: Namespace) -> list[dict[str, Any]]:
    key = read_key(arguments.file)
    if isinstance(key, bytes):
        return [_from_pem(key, arguments)]
    return _keys_of(key, arguments.file) if "keys" in key else [key]


def _keys_of(document: dict[str, Any], file: Path) -> list[dict[str, Any]]:
    keys = document["keys"]
    if not isinstance(keys, list | tuple) or not all(isinstance(each, dict) for each in keys):
        raise UsageError(f"{file}: 'keys' is not a list of keys.")
    return [dict(each) for each in keys]


def _from_pem(pem: bytes, arguments: Namespace) -> dict[str, Any]:
    from carnet.jose import JoseError, SigningKey, VerifyingKey

    alg = needed(arguments.alg, arguments.file)
    try:
        if b"PRIVATE KEY" in pem:
            return SigningKey.from_pem(pem, alg=alg).public().to_jwk()
        return VerifyingKey.from_pem(pem, alg=alg).to_jwk()
    except JoseError as error:
        raise UsageError(f"{arguments.file}: {error}") from None


def _public_half(jwk: dict[str, Any]) -> dict[str, Any]:
    """The key without its private members, after a look whether its public ones make a key."""
    from carnet.jose import JoseError
    from carnet.jose.key_types.known import KEY_TYPES
    from carnet.jose.registered import PRIVATE_MEMBERS

    family = next((each for each in KEY_TYPES if each.kty == jwk.get("kty")), None)
    if family is None:
        raise UsageError(f"a key of type {jwk.get('kty')!r} is not known.")
    if family.kty == "oct":
        raise UsageError("a secret has no public half.")
    try:
        family.load_public(jwk)
    except JoseError as error:
        raise UsageError(str(error)) from None
    public = {name: value for name, value in jwk.items() if name not in PRIVATE_MEMBERS}
    if "key_ops" in public:
        operations = (_PUBLIC_OPERATIONS.get(str(each)) for each in public["key_ops"])
        public["key_ops"] = list(dict.fromkeys(each for each in operations if each is not None))
    return public


def _show_key(arguments: Namespace, document: dict[str, Any]) -> None:
    show(arguments, document, lambda: msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
