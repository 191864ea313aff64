"""RFC 6238, RFC 4226: time-based one-time passwords as authenticator apps make them: SHA-1, 6 digits, 30 seconds."""

import hmac
from base64 import b32encode
from urllib.parse import quote, urlencode

from carnet.ambient import Instant

KEY_LENGTH = 20
"""Bytes: RFC 4226 section 4, R6."""
DIGITS = 6
STEP = 30
"""Seconds: RFC 6238 section 5.2."""
DRIFT = 1
"""Steps: RFC 6238 section 5.2 allows at most one for the way, and clocks differ as much."""


def step_at(instant: Instant) -> int:
    """RFC 6238 section 4.2."""
    return instant // STEP


def code_at(key: bytes, step: int, *, digits: int = DIGITS) -> str:
    """RFC 4226 section 5.3: the code of a step."""
    digest = hmac.digest(key, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}}"


def matching_step(key: bytes, typed: str, *, at: Instant, after: int) -> int | None:
    """The step whose code this is: the present one or a neighbour, and later than `after`, the last one that was accepted.

    RFC 6238 section 5.2: a code is good once, and so is every one before it.
    """
    code = "".join(typed.split()).encode("utf-8", "replace")
    present = step_at(at)
    found = None
    for step in range(present - DRIFT, present + DRIFT + 1):
        if hmac.compare_digest(code, code_at(key, step).encode()) and step > after:
            found = step
    return found


def written(key: bytes) -> str:
    """RFC 4648 section 6: the key as it is typed into an app."""
    return b32encode(key).decode("ascii").rstrip("=")


def key_uri(key: bytes, *, issuer: str, account: str) -> str:
    """The `otpauth` URI that apps read out of a QR code; `issuer` and `account` are the names that they show."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='@')}"
    parameters = {"secret": written(key), "issuer": issuer, "algorithm": "SHA1", "digits": DIGITS, "period": STEP}
    return f"otpauth://totp/{label}?{urlencode(parameters, quote_via=quote)}"
