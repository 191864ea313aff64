"""RFC 4648 section 5, RFC 7515 section 2: base64url without padding, in its one canonical spelling (rule J21)."""

from binascii import Error, a2b_base64, b2a_base64

from carnet.jose.errors import MalformedError

_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/***")  # what only the other alphabet has becomes what none has
_FROM_STANDARD = bytes.maketrans(b"+/", b"-_")
_LAST_OF_TWO = frozenset(b"AQgw")
_LAST_OF_THREE = frozenset(b"AEIMQUYcgkosw048")


def encode(data: bytes) -> bytes:
    """The base64url of `data`, as ASCII."""
    return b2a_base64(data, newline=False).translate(_FROM_STANDARD).rstrip(b"=")


def text(data: bytes) -> str:
    """The base64url of `data`, as the member of a JSON object."""
    return encode(data).decode("ascii")


def decode(segment: bytes) -> bytes:
    """Decode, refusing every other spelling of the same bytes.

    Raises:
        MalformedError: a character outside of the alphabet, padding, a length that cannot be, non-zero trailing bits.
    """
    rest = len(segment) & 3
    try:
        if rest == 0:
            return a2b_base64(segment.translate(_TO_STANDARD), strict_mode=True)
        if rest == 2 and segment[-1] in _LAST_OF_TWO:
            return a2b_base64(segment.translate(_TO_STANDARD) + b"==", strict_mode=True)
        if rest == 3 and segment[-1] in _LAST_OF_THREE:
            return a2b_base64(segment.translate(_TO_STANDARD) + b"=", strict_mode=True)
    except Error:
        pass
    raise MalformedError("A part is not canonical base64url (RFC 7515 section 2: no padding, no other characters).")


def decode_text(value: str) -> bytes:
    """Decode the member of a JSON object; raises MalformedError."""
    try:
        return decode(value.encode("ascii"))
    except UnicodeEncodeError:
        raise MalformedError("A base64url value has characters outside of ASCII.") from None
