"""`carnet token`: inspect a token offline, verify one, explain why a gateway refuses one, sign one."""

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from carnet.ambient import SYSTEM
from carnet.cli.errors import CommandError, UsageError
from carnet.cli.key_file import signing_key, verifying_keys
from carnet.cli.output import add_json_option, note, show

if TYPE_CHECKING:
    from carnet.jose import KeySet, Verified

_LARGEST_CLAIMS: Final = 65_536
_FETCH_TIMEOUT: Final = 10.0
_LONGEST_COOKIE: Final = 4_096
"""RFC 6265 section 6.1."""


def add(subparsers: Any) -> None:
    """Describe `token inspect`, `token verify`, `token explain` and `token sign`."""
    token = subparsers.add_parser("token", help="inspect, verify, explain or sign a token").add_subparsers(
        metavar="ACTION", required=True
    )
    inspect = token.add_parser(
        "inspect",
        help="explain a token or key, offline, without verifying it",
        description="Decode and explain any JOSE object: a signed or encrypted token, a key, a key set. Works offline and "
        "verifies nothing.",
    )
    _add_token(inspect)
    add_json_option(inspect)
    inspect.set_defaults(run=_inspect)

    verify = token.add_parser(
        "verify",
        help="verify a signed token",
        description="Verify a signed token: signature, issuer, audience, type and times. Exit 0 if it is good, 1 if not.",
    )
    _add_token(verify)
    verify.add_argument("--issuer", metavar="URL", help="who must have issued it; without --key its keys are fetched")
    verify.add_argument("--key", metavar="FILE", type=Path, help="the public key or secret: JWK, JWK Set or PEM")
    verify.add_argument("--audience", metavar="A", required=True, help="for whom it must be meant")
    verify.add_argument("--type", metavar="T", default="at+jwt", help="its typ (default: %(default)s)")
    verify.add_argument(
        "--alg", action="append", default=[], metavar="ALG", help="algorithm to accept; may be repeated"
    )
    verify.add_argument(
        "--leeway", type=int, default=0, metavar="S", help="seconds that clocks may differ (default: 0)"
    )
    add_json_option(verify)
    verify.set_defaults(run=_verify)

    explain = token.add_parser(
        "explain",
        help="say why a gateway refuses a token, or lets it through",
        description="Decide about a request as `carnet gateway` does, with every step of it. Exit 0 if it would pass, 1 if not. "
        "Whether the token was taken back is not asked.",
    )
    _add_token(explain)
    explain.add_argument(
        "--guard-config", metavar="FILE", type=Path, required=True, help="the gateway's settings (TOML)"
    )
    explain.add_argument("--method", metavar="M", default="GET", help="the request's method (default: %(default)s)")
    explain.add_argument("--host", metavar="H", default="localhost", help="its host (default: %(default)s)")
    explain.add_argument("--path", metavar="P", default="/", help="its path, with its query (default: %(default)s)")
    explain.add_argument(
        "--key", metavar="FILE", type=Path, help="the issuer's keys, to work offline: JWK, JWK Set or PEM"
    )
    explain.add_argument("--issuer", metavar="URL", help="an issuer in the place of the one in the settings")
    add_json_option(explain)
    explain.set_defaults(run=_explain)

    sign = token.add_parser(
        "sign",
        help="sign claims, for tests and scripts",
        description="Sign claims. They come from a JSON object (an argument, or standard input with -) and from options.",
    )
    sign.add_argument("claims", nargs="?", metavar="JSON", help="a JSON object with claims; -: stdin")
    sign.add_argument("--key", metavar="FILE", type=Path, required=True, help="the private key or secret: JWK or PEM")
    sign.add_argument("--alg", metavar="ALG", help="the key's algorithm, if the key does not name it")
    sign.add_argument("--type", metavar="T", default="at+jwt", help="its typ (default: %(default)s)")
    sign.add_argument("--issuer", metavar="URL", help="iss")
    sign.add_argument("--subject", metavar="S", help="sub")
    sign.add_argument("--audience", metavar="A", action="append", default=[], help="aud; may be repeated")
    sign.add_argument("--lifetime", metavar="S", type=int, help="seconds until exp; iat is set to now")
    sign.add_argument(
        "--claim", metavar="NAME=VALUE", action="append", default=[], help="a claim; VALUE is JSON, or else a string"
    )
    add_json_option(sign)
    sign.set_defaults(run=_sign)


def _add_token(parser: ArgumentParser) -> None:
    parser.add_argument(
        "token",
        nargs="?",
        default="-",
        metavar="TOKEN",
        help="the token, or a whole Authorization header; - or none: stdin",
    )


def _inspect(arguments: Namespace) -> int:
    from carnet.cli.explanation import Paint, lines
    from carnet.jose.inspection import LONGEST, inspect

    found = inspect(_text(arguments.token, LONGEST + 1), at=SYSTEM.now())
    show(arguments, found.to_json(), lambda: "\n".join(lines(found, Paint(_colours()))))
    return 1 if found.kind == "unknown" else 0


def _verify(arguments: Namespace) -> int:
    from carnet.jose import JoseError, JwtVerifier
    from carnet.jose.inspection import LONGEST, bare, inspect

    if arguments.leeway < 0:
        raise UsageError("--leeway is a number of seconds from 0 on.")
    if not arguments.issuer and not arguments.key:
        raise UsageError("whose token is it? Give --issuer URL, or --key FILE.")
    token, now = bare(_text(arguments.token, LONGEST)), SYSTEM.now()
    algorithms = tuple(arguments.alg)
    keys = verifying_keys(arguments.key, algorithms) if arguments.key else _fetch(arguments.issuer, algorithms)
    # Without --issuer the key's owner decides; the verifier still wants the claim to be there.
    said = inspect(token, at=now).claim("iss")
    issuer = arguments.issuer or (said if isinstance(said, str) and said else "(any)")
    try:
        verified = JwtVerifier(
            keys=keys,
            algorithms=tuple(dict.fromkeys(key.alg for key in keys)),
            issuer=issuer,
            audience=arguments.audience,
            typ=arguments.type,
            leeway=arguments.leeway,
        ).verify(token, at=now)
    except JoseError as error:
        show(
            arguments,
            {"verified": False, "code": error.code, "reason": str(error)},
            f"Refused ({error.code}): {error}",
        )
        return 1
    show(
        arguments,
        {"verified": True, "header": verified.header, "claims": verified.claims},
        lambda: _accepted(verified, arguments),
    )
    return 0


def _accepted(verified: "Verified", arguments: Namespace) -> str:
    from carnet.cli.explanation import in_words, printable
    from carnet.jose import readings

    now, width = SYSTEM.now(), max(map(len, verified.claims))
    issuer = f"by {arguments.issuer}" if arguments.issuer else "by the owner of the key (the issuer was not checked)"
    lines = [f"Good: signed {issuer}, for {arguments.audience}."]
    for name, value in verified.claims.items():
        moment = readings.instant(name, value)
        reading = None if moment is None else readings.read(name, value, at=now)
        told = "" if reading is None else "  " + in_words(reading, moment)
        lines.append(f"  {name:<{width}}  {msgspec.json.encode(value).decode()}{told}")
    return "\n".join(map(printable, lines))


def _explain(arguments: Namespace) -> int:
    from msgspec.structs import replace

    from carnet.cli import gateway
    from carnet.cli.explanation import printable
    from carnet.guard.gateway import replay
    from carnet.guard.issuer_choice import chosen
    from carnet.jose.inspection import LONGEST, bare

    config = gateway.settings(arguments.guard_config)
    if arguments.issuer:
        config = replace(config, issuer=arguments.issuer)
    token = bare(_text(arguments.token, LONGEST))
    if arguments.key:
        keys = verifying_keys(arguments.key, ())
    else:
        others = {other.issuer: other for other in config.also}
        named = chosen(others, [b"Bearer " + token.encode("utf-8", "replace")]) or config.issuers[0]
        keys = _fetch(named.issuer, algorithms=named.algorithms)
    told = replay(
        config,
        method=arguments.method,
        host=arguments.host,
        target=arguments.path,
        token=token,
        keys=keys,
        at=SYSTEM.now(),
    )
    refused = told.refused
    document: dict[str, Any] = {"allowed": refused is None, "trace": told.trace}
    verdict = "Let through."
    if refused is not None:
        document |= {"status": refused.status, "code": refused.code, "error": refused.error, "why": refused.why}
        verdict = (
            f"Refused ({refused.code}): the caller is told {refused.status} {refused.error or 'without an error'}."
        )
    show(arguments, document, "\n".join(map(printable, (*told.trace, verdict))))
    return 0 if refused is None else 1


def _sign(arguments: Namespace) -> int:
    from carnet.jose import JoseError, sign_jwt
    from carnet.jose.strict_json import parse_object

    key = signing_key(arguments.key, arguments.alg)
    try:
        source = b"{}" if arguments.claims is None else _text(arguments.claims, _LARGEST_CLAIMS).encode()
        claims: dict[str, Any] = dict(parse_object(source))
    except JoseError as error:
        raise UsageError(f"the claims: {error}") from None
    claims |= dict(_claim(pair) for pair in arguments.claim)
    options = {
        "iss": arguments.issuer,
        "sub": arguments.subject,
        "aud": arguments.audience[0] if len(arguments.audience) == 1 else arguments.audience or None,
    }
    claims |= {name: value for name, value in options.items() if value is not None}
    if arguments.lifetime is not None:
        now = SYSTEM.now()
        claims |= {"iat": now, "exp": now + arguments.lifetime}
    try:
        token = sign_jwt(claims, key, typ=arguments.type)
    except JoseError as error:
        raise UsageError(str(error)) from None
    show(arguments, {"token": token, "claims": claims}, token)
    if len(token) > _LONGEST_COOKIE:
        note(
            f"This token has {len(token)} characters: no cookie holds it, and many servers take no more than 8 kB of headers."
        )
    return 0


def _claim(pair: str) -> tuple[str, Any]:
    name, equals, value = pair.partition("=")
    if not name or not equals:
        raise UsageError(f"--claim {pair!r} is not of the form NAME=VALUE.")
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


def _fetch(issuer: str, algorithms: tuple[str, ...]) -> "KeySet":
    """The key set of an issuer, by its metadata (RFC 8414, OpenID Connect Discovery)."""
    import httpx2

    from carnet.guard.key_set import Fetch, KeySetMachine, Response
    from carnet.guard.metadata import MetadataError
    from carnet.jose.algorithms import SIGNATURES

    accepted = algorithms or SIGNATURES
    try:
        machine = KeySetMachine(issuer, algorithms=accepted, jitter=lambda: 0.0, at=0.0)
    except MetadataError as error:
        raise UsageError(f"--issuer: {error}") from None
    with httpx2.Client(timeout=_FETCH_TIMEOUT, follow_redirects=False) as client:
        while isinstance(step := machine.next(0.0), Fetch):
            try:
                with client.stream("GET", step.url) as answer:
                    body = b""
                    for chunk in answer.iter_bytes():
                        body += chunk
                        if len(body) > step.limit:
                            raise CommandError(f"{step.url} answered with more than {step.limit} bytes.")
            except httpx2.HTTPError as error:
                raise CommandError(f"{step.url} cannot be reached: {error}") from None
            headers = {name.lower(): value for name, value in answer.headers.items()}
            machine.answered(Response(answer.status_code, headers, body), 0.0)
    keys = machine.keys(0.0)
    if keys is None:
        raise CommandError(f"the keys of {issuer} cannot be had: {machine.last_failure}")
    return keys


def _text(argument: str, limit: int) -> str:
    """The argument, or standard input for `-`; at most `limit` bytes of it."""
    if argument != "-":
        return argument
    if sys.stdin.isatty():
        note("Paste it here, then press Ctrl-D.")
    text = sys.stdin.buffer.read(limit).decode("utf-8", "replace")
    if not text.strip():
        raise UsageError("there is nothing on standard input.")
    return text


def _colours() -> bool:
    """https://no-color.org: colours on a terminal, unless NO_COLOR is set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
