"""RFC 4514, RFC 5280 section 7.1: distinguished names as text, and whether two of them are the same name.

Names are compared as values, never as texts: the sequence of their parts, the set of attributes of each part, and the decoded
value of each attribute. ASCII letters count without regard to case and runs of spaces as one, as section 7.1 has it; other
characters count as they are. RFC 4518 would also take compatible characters for one another (a full-width A for an A), which
would make one name of two that an authority has given to two parties.
"""

import re
from binascii import unhexlify
from collections.abc import Iterable
from typing import Final, TypeAlias

Attribute: TypeAlias = tuple[str, str]
"""The type as a dotted object identifier, and the value as it is compared."""
DistinguishedName: TypeAlias = tuple[frozenset[Attribute], ...]
"""From the root of the tree down, as certificates have it."""

KEYWORDS: Final = {
    "cn": "2.5.4.3",
    "sn": "2.5.4.4",
    "serialnumber": "2.5.4.5",
    "c": "2.5.4.6",
    "l": "2.5.4.7",
    "st": "2.5.4.8",
    "street": "2.5.4.9",
    "o": "2.5.4.10",
    "ou": "2.5.4.11",
    "title": "2.5.4.12",
    "businesscategory": "2.5.4.15",
    "postalcode": "2.5.4.17",
    "name": "2.5.4.41",
    "givenname": "2.5.4.42",
    "initials": "2.5.4.43",
    "dnqualifier": "2.5.4.46",
    "pseudonym": "2.5.4.65",
    "organizationidentifier": "2.5.4.97",
    "dc": "0.9.2342.19200300.100.1.25",
    "uid": "0.9.2342.19200300.100.1.1",
    "emailaddress": "1.2.840.113549.1.9.1",
    "jurisdictionl": "1.3.6.1.4.1.311.60.2.1.1",
    "jurisdictionst": "1.3.6.1.4.1.311.60.2.1.2",
    "jurisdictionc": "1.3.6.1.4.1.311.60.2.1.3",
}
"""RFC 4514 section 3, RFC 4519 section 2, and what OpenSSL writes for others: in lower case, for keywords have none."""

_UNREGARDED_CASE = frozenset(KEYWORDS.values())
"""Types whose values are compared by `caseIgnoreMatch`; those of a type that is not known here are compared as they are."""

_TYPE = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|[0-2](?:\.(?:0|[1-9][0-9]*))+)=")
_HEXADECIMAL = re.compile(r"#((?:[0-9A-Fa-f]{2})+)")
_PLAIN = r'[^\x00"+,;<>\\]'
_ESCAPED = r'\\(?:[ "#+,;<=>\\]|[0-9A-Fa-f]{2})'
_VALUE = re.compile(rf"(?:{_PLAIN}|{_ESCAPED})+")
_ESCAPES = re.compile(r"(?:\\[0-9A-Fa-f]{2})+|\\(.)", re.DOTALL)
_TEXT_TAGS = frozenset({0x0C, 0x12, 0x13, 0x16})
"""UTF8String, NumericString, PrintableString, IA5String."""


class DistinguishedNameError(ValueError):
    """A text that is no distinguished name; the message is a sentence that says what to do."""


def parse_name(text: str) -> DistinguishedName:
    """RFC 4514 section 3: what a text such as `CN=billing,OU=Back office,O=Acme` says.

    Raises:
        DistinguishedNameError: it is empty, or not of the form.
    """
    if not text:
        raise DistinguishedNameError("An empty distinguished name names nobody.")
    parts: list[list[Attribute]] = [[]]
    at = 0
    while True:
        attribute, at = _attribute(text, at)
        parts[-1].append(attribute)
        if at == len(text):
            break
        if text[at] == ",":
            parts.append([])
        elif text[at] != "+":
            raise _malformed(text)
        at += 1
    if any(len({kind for kind, _ in part}) < len(part) for part in parts):
        raise DistinguishedNameError(f"{text!r} has an attribute type twice in one part.")
    return tuple(frozenset(part) for part in reversed(parts))


def same_form(parts: Iterable[Iterable[Attribute]]) -> DistinguishedName:
    """A name that is not a text, from the root down: its types as dotted object identifiers, its values decoded."""
    return tuple(frozenset((kind, _prepared(kind, value)) for kind, value in part) for part in parts)


def _attribute(text: str, at: int) -> tuple[Attribute, int]:
    named = _TYPE.match(text, at)
    if named is None:
        raise _malformed(text)
    keyword = named.group()[:-1]
    kind = keyword if keyword[0].isdigit() else KEYWORDS.get(keyword.lower(), "")
    if not kind:
        raise DistinguishedNameError(f"{keyword!r} is no attribute type that is known here: write its number.")
    encoded = _HEXADECIMAL.match(text, named.end())
    if encoded is not None:
        return (kind, _prepared(kind, _decoded(unhexlify(encoded[1]), text))), encoded.end()
    value = _VALUE.match(text, named.end())
    if value is None or value.group().startswith((" ", "#")) or _ends_in_bare_space(value.group()):
        raise _malformed(text)
    try:
        return (kind, _prepared(kind, _ESCAPES.sub(_unescaped, value.group()))), value.end()
    except UnicodeDecodeError:
        raise _malformed(text) from None


def _ends_in_bare_space(value: str) -> bool:
    return value.endswith(" ") and not re.search(r"(?<!\\)(?:\\\\)*\\ \Z", value)


def _unescaped(escape: re.Match[str]) -> str:
    """A run of octets is UTF-8 together; any other escaped character stands for itself."""
    return escape[1] if escape[1] is not None else unhexlify(escape.group().replace("\\", "")).decode("utf-8")


def _decoded(encoded: bytes, text: str) -> str:
    """Section 2.4: a value in its BER encoding, if it is a character string of less than 128 octets."""
    if len(encoded) < 3 or encoded[0] not in _TEXT_TAGS or encoded[1] > 127 or len(encoded) != 2 + encoded[1]:
        raise _malformed(text)
    try:
        return encoded[2:].decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed(text) from None


def _prepared(kind: str, value: str) -> str:
    if kind not in _UNREGARDED_CASE:
        return value
    spaced = re.sub(" +", " ", value).strip(" ")
    return "".join(character.lower() if character.isascii() else character for character in spaced)


def _malformed(text: str) -> DistinguishedNameError:
    return DistinguishedNameError(
        f"{text!r} is not a distinguished name of RFC 4514: "
        "write it as `openssl x509 -noout -subject -nameopt RFC2253` prints it."
    )
