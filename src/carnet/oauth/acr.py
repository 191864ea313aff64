"""OpenID Connect Core section 2 (`acr`), RFC 9470: how strong a sign-in was, and which strengths are asked for."""

from collections.abc import Sequence
from typing import Final

ONE_FACTOR: Final = "urn:carnet:acr:1fa"
"""One proof, such as a password."""
TWO_FACTORS: Final = "urn:carnet:acr:2fa"
"""Two proofs of different kinds, such as a password and a one-time code."""

VALUES: Final = (ONE_FACTOR, TWO_FACTORS)
"""The weaker first: what meets one meets those before it."""

_MULTIPLE = "mfa"
"""RFC 8176 section 2."""


def reached(amr: Sequence[str]) -> str:
    """The context that these authentication methods reach."""
    return TWO_FACTORS if _MULTIPLE in amr else ONE_FACTOR


def with_second(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """RFC 8176: the methods of a sign-in by two factors."""
    return tuple(dict.fromkeys((*first, *second, _MULTIPLE)))


def asked(text: str | None) -> tuple[str, ...]:
    """Section 3.1.2.1, `acr_values`: those that are known here, the preferred one first; others are passed over."""
    return tuple(value for value in dict.fromkeys((text or "").split()) if value in VALUES)


def met(acr: str | None, values: Sequence[str]) -> str | None:
    """RFC 9470 section 3: one of the `values` that a sign-in of this strength meets; None: it meets none.

    That is its own where it is among them, so that whoever compares texts is served; else the strongest that it goes beyond.
    """
    reach = VALUES.index(acr) if acr in VALUES else -1
    return max((value for value in values if VALUES.index(value) <= reach), key=VALUES.index, default=None)
