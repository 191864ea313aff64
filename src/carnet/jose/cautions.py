"""RFC 8725, RFC 7518 section 3.2: what in a token is allowed, or cannot be refused by sight, and still deserves a look."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from carnet.ambient import Instant, lapsed
from carnet.jose import readings
from carnet.jose.registered import HEADER_PARAMETERS, PRIVATE_MEMBERS

_DAY: Final = 86_400
_LONG_ACCESS: Final = 3_600
_WITHOUT_AUDIENCE: Final = frozenset({"dpop+jwt", "revocations+jwt", "statuslist+jwt", "entity-statement+jwt"})
_WITHOUT_EXPIRY: Final = frozenset({"dpop+jwt", "secevent+jwt", "revocations+jwt", "statuslist+jwt", "kb+jwt"})
_UNDERSTOOD: Final = frozenset({"b64"})
_SENSITIVE: Final = re.compile(
    r"pass(?:word|wd|phrase|code)|^pwd$|secret(?!ar)|apikey|privatekey|creditcard|cardnumber|^cvv2?$|^cvc2?$|^pin$"
    r"|^ssn$|socialsecurity|^iban$|(?:access|refresh|auth|session)token$|^cookie$|seed$|mnemonic"
)
_CARD: Final = re.compile(r"\A[2-6](?:[ -]?[0-9]){12,18}\Z")
_PATH_LIMIT: Final = 120
_SENSITIVE_AT_MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Caution:
    """One thing to look at."""

    code: str
    """Stable, for programs: `no_audience`."""
    sentence: str
    """For people: what it is and what to do."""


def of_signed(
    header: Mapping[str, Any], claims: Mapping[str, Any] | None, *, signature: bytes | None, at: Instant
) -> tuple[Caution, ...]:
    """What to look at in a signed object; `claims` is `None` if its payload is no claims set."""
    found = [*_algorithm(header, signature), *_header(header)]
    if claims is not None:
        kind = _kind(header)
        found += [caution for rule in _CLAIM_RULES for caution in rule(claims, kind, at)]
    return tuple(found)


def of_encrypted(header: Mapping[str, Any]) -> tuple[Caution, ...]:
    """What to look at in an encrypted object, of which only the header can be seen."""
    algorithm = header.get("alg")
    found = list(_header(header))
    if algorithm == "RSA1_5":
        found.append(
            Caution("weak_alg", "RSA1_5 can be broken by padding oracles. Carnet refuses it; use RSA-OAEP-256.")
        )
    elif isinstance(algorithm, str) and algorithm.startswith("PBES2"):
        found.append(
            Caution("weak_alg", "The key comes from a password: whoever has this token can try passwords, offline.")
        )
    if "zip" in header:
        found.append(
            Caution("compressed", "Compressed content tells its length, and may be a bomb. Carnet refuses it.")
        )
    return tuple(found)


def of_key(key: Mapping[str, Any]) -> tuple[Caution, ...]:
    """What to look at in a JSON Web Key."""
    found: list[Caution] = []
    family, modulus, secret = key.get("kty"), key.get("n"), key.get("k")
    if family == "oct":
        found.append(Caution("secret_key", "This is a secret: whoever sees it can use it. It must never be published."))
        if isinstance(secret, str) and len(secret) * 6 // 8 < 32 and str(key.get("alg", "HS")).startswith("HS"):
            found.append(Caution("short_secret", "The secret is shorter than 32 bytes: HS256 and stronger refuse it."))
    elif PRIVATE_MEMBERS & key.keys():
        found.append(Caution("private_key", "This is a private key: whoever sees it can use it. Never publish it."))
    if family == "RSA" and isinstance(modulus, str) and len(modulus) * 6 < 2048:
        found.append(Caution("short_rsa", "The RSA key is shorter than 2048 bits: RFC 7518 section 3.3 forbids it."))
    if not isinstance(key.get("alg"), str):
        found.append(Caution("no_alg", "The key names no algorithm; a key should be for exactly one (RFC 8725)."))
    if not isinstance(key.get("kid"), str):
        found.append(Caution("no_kid", "The key has no kid; a token could not name it."))
    return tuple(found)


def _kind(header: Mapping[str, Any]) -> str:
    return str(header.get("typ", "")).lower().removeprefix("application/")


def _algorithm(header: Mapping[str, Any], signature: bytes | None) -> Iterator[Caution]:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        yield Caution("no_alg", "The header names no algorithm: every verifier must refuse this.")
        return
    if algorithm.lower() == "none":
        yield Caution("alg_none", "The algorithm is none: anyone can write this. Every verifier must refuse it.")
    elif not signature:
        yield Caution("no_signature", "There is no signature: every verifier must refuse this.")
    if algorithm in {"HS256", "HS384", "HS512"}:
        yield Caution(
            "symmetric_alg",
            f"{algorithm} signs with a shared secret: every service that can verify this token can also forge one, and "
            "whoever holds the token can try secrets offline, billions in a second. Use a random secret of at least "
            f"{int(algorithm[2:]) // 8} bytes, or better a key pair (ES256, Ed25519).",
        )
    if algorithm == "RS1":
        yield Caution(
            "weak_alg", "RS1 hashes with SHA-1, for which collisions are made: every verifier must refuse it."
        )
    if algorithm in {"RS256", "RS384", "RS512"}:
        yield Caution("old_padding", f"{algorithm} is still sound, but PS256, ES256 or Ed25519 are the better choice.")
    if algorithm.startswith("ML-DSA-"):
        yield Caution(
            "long_signature",
            f"A signature by {algorithm} is long: such a token breaks cookies, which hold 4 kB, and the limits of many servers, "
            "which take 8 kB of headers.",
        )


def _header(header: Mapping[str, Any]) -> Iterator[Caution]:
    for name in ("jwk", "jku", "x5u", "x5c"):
        if name in header:
            yield Caution(
                "embedded_key",
                f"The header brings its own key ({name}): a verifier that trusts it lets everyone in. Carnet never reads it.",
            )
    critical = header.get("crit")
    if critical is None:
        return
    if not isinstance(critical, list) or not critical:
        yield Caution("bad_crit", "crit is not a list of names: every verifier must refuse this.")
        return
    for name in critical:
        if not isinstance(name, str):
            yield Caution("bad_crit", "crit names something that is not a text: every verifier must refuse this.")
        elif name in HEADER_PARAMETERS.keys() - _UNDERSTOOD:
            yield Caution("bad_crit", f"crit may not name {name!r}: every verifier must refuse this.")
        elif name not in header:
            yield Caution("bad_crit", f"crit names {name!r}, which the header does not have: refuse this.")
        elif name not in _UNDERSTOOD:
            yield Caution("unknown_crit", f"Whoever does not understand the extension {name!r} must refuse this.")


def _audience(claims: Mapping[str, Any], kind: str, _at: Instant) -> Iterator[Caution]:
    if not claims.get("aud") and kind not in _WITHOUT_AUDIENCE:
        yield Caution(
            "no_audience",
            "There is no audience: a token stolen from one service works at every other. Carnet refuses it by default.",
        )


def _life(claims: Mapping[str, Any], kind: str, at: Instant) -> Iterator[Caution]:
    expires = readings.instant("exp", claims.get("exp"))
    begins = readings.instant("iat", claims.get("iat")) or readings.instant("nbf", claims.get("nbf"))
    not_before = readings.instant("nbf", claims.get("nbf"))
    if expires is None:
        if kind not in _WITHOUT_EXPIRY:
            yield Caution(
                "no_expiry", "There is no expiry: once stolen, it works for ever. Carnet refuses it by default."
            )
    elif lapsed(expires, at=at):
        yield Caution("expired", f"It expired {readings.span(at - expires)} ago: it must be refused.")
    if not_before is not None and not_before > at:
        yield Caution("not_yet_valid", f"It is valid only in {readings.span(not_before - at)}: until then refuse it.")
    life = (expires or 0) - (begins if begins is not None else at)
    if life > (_LONG_ACCESS if kind == "at+jwt" else _DAY):
        yield Caution(
            "long_life",
            f"It lives {readings.span(life)}: very long for a token that is checked without asking its issuer.",
        )


def _identity(claims: Mapping[str, Any], kind: str, _at: Instant) -> Iterator[Caution]:
    if "iss" not in claims and kind not in {"dpop+jwt", "kb+jwt"}:
        yield Caution("no_issuer", "There is no issuer: a verifier cannot say whose key would be the right one.")
    if not kind or kind == "jwt":
        yield Caution(
            "no_type",
            "The header does not say what kind of token this is (typ), so that one kind may pass for another.",
        )


def _contents(claims: Mapping[str, Any], _kind: str, _at: Instant) -> Iterator[Caution]:
    yield from islice(_secrets(claims), _SENSITIVE_AT_MOST)


def _secrets(claims: Mapping[str, Any]) -> Iterator[Caution]:
    for path, name, value in _leaves(claims, ""):
        if _SENSITIVE.search(re.sub(r"[^a-z0-9]", "", name.lower())) and value not in (None, "", True, False):
            yield Caution("sensitive", f"{path!r} looks like a secret. A signed payload can be read by everyone.")
        elif isinstance(value, str) and "-----BEGIN" in value and "PRIVATE KEY" in value:
            yield Caution("sensitive", f"{path!r} holds a private key. A signed payload can be read by everyone.")
        elif is_card_number(value):
            yield Caution("sensitive", f"{path!r} looks like a payment card's number. Everyone can read the payload.")


_CLAIM_RULES: Final[tuple[Callable[[Mapping[str, Any], str, Instant], Iterator[Caution]], ...]] = (
    _audience,
    _life,
    _identity,
    _contents,
)


def _leaves(value: Mapping[str, Any] | list[Any], path: str) -> Iterator[tuple[str, str, Any]]:
    """Every member of nested objects, with its path and its own name."""
    if isinstance(value, Mapping):
        for name, content in value.items():
            inner = (f"{path}.{name}" if path else name)[:_PATH_LIMIT]
            if isinstance(content, Mapping | list):
                yield from _leaves(content, inner)
            else:
                yield inner, name, content
    else:
        for element in value:
            if isinstance(element, Mapping | list):
                yield from _leaves(element, path)
            else:
                yield path, path.rpartition(".")[2], element


def is_card_number(value: Any) -> bool:
    """ISO/IEC 7812-1 annex B: 13 to 19 digits, maybe in groups, of a payment network, whose check digit is right."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or len(text) > 37 or not _CARD.match(text):
        return False
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0
