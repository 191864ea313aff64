"""RFC 7515, 7516, 7517, 7519, 9901: take any JOSE object apart and explain it, without verifying anything.

Inspection is for people who look at a token, never for a program that decides by it: what it returns is `Unverified`, a
type that no verifier takes. It is tolerant: what is malformed is named as a defect, and what can be shown is shown.
It reads each character a bounded number of times, and nothing at all of what is too long.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from carnet.ambient import Instant
from carnet.jose import cautions, readings
from carnet.jose.lenient import Pairs, decode, json_object, json_value, plain
from carnet.jose.registered import CLAIMS, HEADER_PARAMETERS, KEY_MEMBERS, PRIVATE_MEMBERS, Registered
from carnet.jose.unverified import Member, Part, Section, Unverified

LONGEST: Final = 262_144
"""Characters; more is not looked at."""
_NESTED_AT_MOST: Final = 4
_SHOWN_AT_MOST: Final = 100
_WITHHELD: Final = "(private, not shown)"

_AUTHORIZATION: Final = re.compile(r"\A(?:authorization\s*:\s*)?(?:bearer|dpop)\s+", re.IGNORECASE)


def inspect(text: str, *, at: Instant) -> Unverified:
    """Take `text` apart and explain it, judging dates by `at`. Nothing is verified, nothing is raised.

    `text` is a compact or JSON serialization, a key, a key set, or a whole `Authorization` header.
    """
    if len(text) > LONGEST:
        return Unverified("unknown", "Too long to inspect", at, defects=(f"It is longer than {LONGEST} characters.",))
    text = bare(text)
    defects: list[str] = []
    if text.startswith("{"):
        return _json_object(text, at, defects)
    joined = "".join(text.split())
    if joined != text:
        defects.append("There is white space inside; it was left out.")
    return _compact(joined, at, defects, depth=0)


def bare(text: str) -> str:
    """The token of a whole `Authorization` header, or the text itself, without white space and quotation marks around."""
    return _AUTHORIZATION.sub("", text.strip(), count=1).strip().strip("\"'")


# Compact serialization


def _compact(text: str, at: Instant, defects: list[str], *, depth: int) -> Unverified:
    if "~" in text:
        return _disclosures(text, at, defects, depth=depth)
    segments = text.split(".", maxsplit=6)
    if len(segments) == 5 or (len(segments) == 4 and text.startswith("ey")):
        return _compact_jwe(segments, at, defects)
    if len(segments) in {2, 3}:
        return _compact_jws(segments, at, defects, depth=depth)
    return Unverified("unknown", "Not a JOSE object", at, defects=(*defects, _unrecognised(text, len(segments))))


def _unrecognised(text: str, segments: int) -> str:
    if not text:
        return "There is nothing to inspect."
    if "BEGIN" in text[:20]:
        return "This is a key or certificate in PEM form, not a token."
    if segments == 1:
        return "There is no dot in it: an opaque token, which only its issuer can explain (introspection), or no token."
    found = "more than 6" if segments > 6 else str(segments)
    return f"A signed token has 3 parts with dots between them, an encrypted one 5; this has {found}."


def _compact_jws(segments: list[str], at: Instant, defects: list[str], *, depth: int) -> Unverified:
    names = ("header", "payload", "signature")
    parts = tuple(Part(name, text) for name, text in zip(names, segments, strict=False))
    if len(segments) < len(names):
        defects.append("The signature is missing: there is one dot, where two are needed.")
    header = _header(segments[0], "The header", defects)
    signature = decode(segments[2], "The signature", defects) if len(segments) == len(names) else b""
    detached = dict(header).get("b64") is False
    payload = segments[1].encode() if detached else decode(segments[1], "The payload", defects)
    members, content, nested = _payload(payload, header, at, defects, depth=depth)
    form = "JSON Web Token, signed" if signature else "JSON Web Token without a signature"
    return Unverified(
        "jws",
        form if members is not None else "JSON Web Signature, compact",
        at,
        parts=parts,
        header=_explain(header, HEADER_PARAMETERS, at),
        claims=_explain(members or [], CLAIMS, at),
        content=content,
        nested=nested,
        defects=tuple(defects),
        cautions=cautions.of_signed(dict(header), _mapping(members), signature=signature, at=at),
    )


def _compact_jwe(segments: list[str], at: Instant, defects: list[str]) -> Unverified:
    names = ("header", "encrypted key", "initialization vector", "ciphertext", "authentication tag")
    if len(segments) < len(names):
        defects.append("An encrypted token has 5 parts; this has 4.")
    header = _header(segments[0], "The header", defects)
    for name, segment in zip(names[1:], segments[1:], strict=False):
        decode(segment, f"The {name}", defects)
    return Unverified(
        "jwe",
        "JSON Web Encryption, compact: the content cannot be read without the key",
        at,
        parts=tuple(Part(name, text) for name, text in zip(names, segments, strict=False)),
        header=_explain(header, HEADER_PARAMETERS, at),
        defects=tuple(defects),
        cautions=cautions.of_encrypted(dict(header)),
    )


def _disclosures(text: str, at: Instant, defects: list[str], *, depth: int) -> Unverified:
    """RFC 9901 section 4: a signed token, disclosures, and maybe the holder's proof, with `~` between them."""
    token, *disclosed, proof = text.split("~")
    if len(disclosed) > _SHOWN_AT_MOST:
        defects.append(f"There are {len(disclosed)} disclosures; the first {_SHOWN_AT_MOST} are shown.")
        disclosed = disclosed[:_SHOWN_AT_MOST]
    token_as_seen = _compact(token, at, defects, depth=depth)
    members: list[Member] = []
    for number, segment in enumerate(disclosed, start=1):
        where = f"Disclosure {number}"
        value = json_value(decode(segment, where, defects), where, defects)
        if (
            not isinstance(value, list)
            or len(value) not in {2, 3}
            or (len(value) == 3 and not isinstance(value[1], str))
        ):
            defects.append(f"{where} is not a list of a salt, a name and a value.")
            continue
        name = plain(value[1]) if len(value) == 3 else f"(element {number})"
        members.extend(_explain([(name, plain(value[-1]))], CLAIMS, at))
    return Unverified(
        "sd_jwt",
        "JSON Web Token with selective disclosure",
        at,
        parts=(
            *token_as_seen.parts,
            *(Part(f"disclosure {number}", segment) for number, segment in enumerate(disclosed, start=1)),
            *((Part("holder's proof", proof),) if proof else ()),
        ),
        header=token_as_seen.header,
        claims=token_as_seen.claims,
        sections=(Section("Disclosed claims", tuple(members)),),
        content=token_as_seen.content,
        nested=_compact(proof, at, [], depth=depth + 1) if proof and depth < _NESTED_AT_MOST else None,
        defects=tuple(defects),
        cautions=token_as_seen.cautions,
    )


def _payload(
    payload: bytes | None, header: Pairs, at: Instant, defects: list[str], *, depth: int
) -> tuple[Pairs | None, str | None, Unverified | None]:
    """Claims, or other content, or another JOSE object."""
    if not payload:
        return None, None, None
    if str(dict(header).get("cty", "")).upper() == "JWT" and depth < _NESTED_AT_MOST:
        return None, None, _compact(payload.decode("latin-1"), at, [], depth=depth + 1)
    if payload.lstrip()[:1] == b"{":
        return json_object(payload, "The payload", defects), None, None
    try:
        return None, payload.decode(), None
    except UnicodeDecodeError:
        return None, f"({len(payload)} bytes that are not text)", None


# JSON serialization, keys


def _json_object(text: str, at: Instant, defects: list[str]) -> Unverified:
    pairs = json_object(text.encode("utf-8", "replace"), "The document", defects)
    document = dict(pairs or ())
    if "ciphertext" in document:
        return _json_jwe(document, at, defects)
    if "payload" in document or "signatures" in document:
        return _json_jws(document, at, defects)
    if isinstance(document.get("keys"), list):
        return _key_set(document, at, defects)
    if "kty" in document:
        return Unverified(
            "jwk",
            _title_of_key(document),
            at,
            sections=(Section("Key", _explain_key(pairs or [], at)),),
            defects=tuple(defects),
            cautions=cautions.of_key(document),
        )
    if pairs is None:
        return Unverified("unknown", "Not a JOSE object", at, defects=tuple(defects))
    defects.append("This is a JSON object, but no token, key or key set. Its members are explained as claims.")
    return Unverified("unknown", "JSON object", at, claims=_explain(pairs, CLAIMS, at), defects=tuple(defects))


def _json_jws(document: Mapping[str, Any], at: Instant, defects: list[str]) -> Unverified:
    signatures = _objects(document, "signatures", defects) if "signatures" in document else [document]
    sections: list[Section] = []
    parts: list[Part] = [Part("payload", _text(document, "payload"))]
    headers: list[dict[str, Any]] = []
    for number, entry in enumerate(signatures, start=1):
        which = f"signature {number}" if len(signatures) > 1 else "signature"
        protected = (
            _header(entry["protected"], f"The header of the {which}", defects) if _text(entry, "protected") else []
        )
        unprotected = _members(entry.get("header"))
        headers.append({**dict(unprotected), **dict(protected)})
        parts += [Part(f"header of the {which}", _text(entry, "protected")), Part(which, _text(entry, "signature"))]
        sections.append(Section(f"Protected header of the {which}", _explain(protected, HEADER_PARAMETERS, at)))
        if unprotected:
            sections.append(Section(f"Unprotected header of the {which}", _explain(unprotected, HEADER_PARAMETERS, at)))
    detached = any(header.get("b64") is False for header in headers)
    encoded = _text(document, "payload")
    payload = encoded.encode("utf-8", "replace") if detached else decode(encoded, "The payload", defects)
    members, content, nested = _payload(payload, list(headers[0].items()) if headers else [], at, defects, depth=0)
    noticed = [
        caution
        for header, entry in zip(headers, signatures, strict=True)
        for caution in cautions.of_signed(
            header, _mapping(members), signature=_text(entry, "signature").encode(), at=at
        )
    ]
    return Unverified(
        "jws_json",
        f"JSON Web Signature in JSON, {len(signatures)} signature{'s' * (len(signatures) != 1)}",
        at,
        parts=tuple(parts),
        claims=_explain(members or [], CLAIMS, at),
        sections=tuple(sections),
        content=content,
        nested=nested,
        defects=tuple(defects),
        cautions=tuple(dict.fromkeys(noticed)),
    )


def _json_jwe(document: Mapping[str, Any], at: Instant, defects: list[str]) -> Unverified:
    recipients = _objects(document, "recipients", defects) if "recipients" in document else [document]
    protected = _header(document["protected"], "The header", defects) if _text(document, "protected") else []
    shared = _members(document.get("unprotected"))
    sections = [Section("Shared unprotected header", _explain(shared, HEADER_PARAMETERS, at))] if shared else []
    noticed: list[cautions.Caution] = []
    for number, entry in enumerate(recipients, start=1):
        own = _members(entry.get("header"))
        noticed += cautions.of_encrypted({**dict(own), **dict(shared), **dict(protected)})
        sections.append(Section(f"Header for recipient {number}", _explain(own, HEADER_PARAMETERS, at)))
    names = ("protected", "encrypted_key", "iv", "ciphertext", "tag", "aad")
    return Unverified(
        "jwe_json",
        f"JSON Web Encryption in JSON, {len(recipients)} recipient{'s' * (len(recipients) != 1)}:"
        " the content cannot be read without a key",
        at,
        parts=tuple(Part(name, _text(document, name)) for name in names if name in document),
        header=_explain(protected, HEADER_PARAMETERS, at),
        sections=tuple(sections),
        defects=tuple(defects),
        cautions=tuple(dict.fromkeys(noticed)),
    )


def _key_set(document: Mapping[str, Any], at: Instant, defects: list[str]) -> Unverified:
    keys = _objects(document, "keys", defects)
    return Unverified(
        "jwk_set",
        f"JSON Web Key Set, {len(keys)} key{'s' * (len(keys) != 1)}",
        at,
        sections=tuple(
            Section(f"{number}. {_title_of_key(key)}", _explain_key(list(key.items()), at))
            for number, key in enumerate(keys, start=1)
        ),
        defects=tuple(defects),
        cautions=tuple(dict.fromkeys(caution for key in keys for caution in cautions.of_key(key))),
    )


def _title_of_key(key: Mapping[str, Any]) -> str:
    if key.get("kty") == "oct":
        return "Secret key"
    return "Private key" if PRIVATE_MEMBERS & key.keys() else "Public key"


def _explain_key(pairs: Pairs, at: Instant) -> tuple[Member, ...]:
    shown = [(name, _WITHHELD if name in PRIVATE_MEMBERS else value) for name, value in pairs]
    return _explain(shown, KEY_MEMBERS, at)


# Explaining


def _header(segment: str, where: str, defects: list[str]) -> Pairs:
    return json_object(decode(segment, where, defects), where, defects) or []


def _explain(pairs: Pairs, table: Mapping[str, Registered], at: Instant) -> tuple[Member, ...]:
    return tuple(
        Member(
            name,
            value,
            known.meaning if (known := table.get(name)) else "",
            known.source if known else "",
            readings.read(name, value, at=at),
            readings.instant(name, value),
        )
        for name, value in pairs
    )


def _mapping(pairs: Pairs | None) -> dict[str, Any] | None:
    return None if pairs is None else dict(pairs)


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _members(value: Any) -> Pairs:
    return list(value.items()) if isinstance(value, dict) else []


def _objects(document: Mapping[str, Any], name: str, defects: list[str]) -> list[dict[str, Any]]:
    value = document[name]
    found = [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(found) != len(value):
        defects.append(f"{name!r} is not a list of JSON objects.")
    if len(found) > _SHOWN_AT_MOST:
        defects.append(f"{name!r} has {len(found)} elements; the first {_SHOWN_AT_MOST} are shown.")
    return found[:_SHOWN_AT_MOST]
