"""RFC 8628 section 6.1: user codes: short enough to type, of letters that spell no words and are not mistaken for others."""

from collections.abc import Callable
from typing import Final

ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Section 6.1: twenty consonants."""
LENGTH: Final = 8
"""20 to the power of 8 codes: 34.5 bits, for ten minutes and a handful of tries (section 5.1)."""

_FAIR = 240
"""Bytes below it stand for each letter equally often."""


def fresh(entropy: Callable[[int], bytes]) -> str:
    """A new code of random bytes, none of which favours a letter."""
    code = ""
    while len(code) < LENGTH:
        code += "".join(ALPHABET[byte % len(ALPHABET)] for byte in entropy(LENGTH) if byte < _FAIR)
    return code[:LENGTH]


def read(typed: str) -> str | None:
    """The code that was typed, without regard to case and to what stands between its letters; None if it can be none."""
    code = "".join(character for character in typed.upper() if character not in " -_.\t")
    return code if len(code) == LENGTH and all(letter in ALPHABET for letter in code) else None


def written(code: str) -> str:
    """As people read it: in two halves."""
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"
