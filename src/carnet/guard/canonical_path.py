"""Rule A3, RFC 3986 section 3.3: a request's path is accepted in one spelling alone, so that nobody reads it differently."""

import re

_SEGMENTS = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,=:@]|%[0-9A-Fa-f]{2})*)+")
_HIDDEN = frozenset("./\\%;")


class NotCanonicalError(Exception):
    """The path could be read in two ways; the message says what is wrong with it."""


def canonical_path(raw: bytes) -> str:
    """Answer the path as it was sent, if it has no second reading.

    Refused are empty and dot segments, `;`, a backslash, and escapes of `.`, `/`, `%`, `;`, a backslash, control characters and
    of what is not UTF-8.

    Raises:
        NotCanonicalError: and the request deserves 400.
    """
    try:
        path = raw.decode("ascii")
    except UnicodeDecodeError:
        raise NotCanonicalError("The path has characters outside of ASCII.") from None
    if _SEGMENTS.fullmatch(path) is None:
        raise NotCanonicalError("The path has a character that a path does not have, or a broken escape.")
    if "//" in path:
        raise NotCanonicalError("The path has an empty segment.")
    if any(segment in {".", ".."} for segment in path.split("/")):
        raise NotCanonicalError("The path has a dot segment.")
    escaped = bytes.fromhex("".join(re.findall(r"%([0-9A-Fa-f]{2})", path)))
    if any(byte < 0x20 or byte == 0x7F or chr(byte) in _HIDDEN for byte in escaped):
        raise NotCanonicalError(
            "The path hides a dot, a slash, a backslash, a semicolon, a percent sign or a control character."
        )
    if "%" in path:
        _refuse_broken_text(path)
    return path


def _refuse_broken_text(path: str) -> None:
    octets = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes.fromhex(found[1].decode("ascii")), path.encode("ascii"))
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        raise NotCanonicalError("The path's escapes are not UTF-8.") from None


def below(path: str, prefix: str) -> str | None:
    """What of a canonical path is below a prefix, on a boundary of segments: `""` or `/…`; None if it is elsewhere."""
    if not path.startswith(prefix):
        return None
    rest = path[len(prefix) :]
    return rest if rest == "" or rest.startswith("/") else None
