"""NIST SP 800-63B-4 section 3.1.1.2: which passwords may be chosen: long ones that nobody would try first.

A password is the only proof that a sign-in asks for, so it has 15 characters or more; no kinds of characters are asked for.
Nobody has to change one for its age. Rather than a list of millions, which a length of 15 leaves nearly empty, the rule is
that a password is not made of what everybody uses: it is taken apart into common words, the person's own names, keyboard
rows, sequences and repetitions, and enough must be left over.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path

from carnet.issuer.passwords import MAX_BYTES, prepare

MIN_LENGTH = 15
"""Code points."""

_LEFT_OVER = 6
"""So many characters must remain when what is easy to guess has been taken out, each counted once."""
_LOOKED_AT = 64
"""Characters: no more are taken apart, so that a long password costs no more."""

_COMMON = "The password is made of what everybody uses: choose something less easy to guess, such as a few odd words."

_LEET = str.maketrans(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i", "8": "b"}
)
_ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "azertyuiop")
_LINES = tuple(line for row in _ROWS for line in (row, row[::-1]))


class WeakPasswordError(Exception):
    """The password may not be chosen; the sentence says why. Pages have it as `password.<key>` in their catalogues."""

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.key = key


def check(password: str, *, email: str, name: str | None) -> None:
    """Refuse a password that must not be chosen for this person.

    Raises:
        WeakPasswordError: why.
    """
    password = prepare(password)
    if len(password) < MIN_LENGTH:
        raise WeakPasswordError(
            "short", f"The password is too short: use {MIN_LENGTH} characters or more; a few words do well."
        )
    if len(password.encode()) > MAX_BYTES:
        raise WeakPasswordError("long", f"The password is too long: use at most {MAX_BYTES} bytes.")
    if any(unicodedata.category(character).startswith("C") for character in password):
        raise WeakPasswordError("control", "The password holds characters that cannot be typed: use others.")
    folded = _fold(password)[:_LOOKED_AT]
    if _repeats(folded):
        raise WeakPasswordError("common", _COMMON)
    own = _own_words(email, name)
    if _left_over(folded, frozenset()) >= _LEFT_OVER > _left_over(folded, own):
        raise WeakPasswordError(
            "personal", "The password is mostly your name or email address: choose something that nobody knows of you."
        )
    plain = folded.translate(_LEET)
    if min(_left_over(folded, own), _left_over(plain, own)) < _LEFT_OVER:
        raise WeakPasswordError("common", _COMMON)


def _own_words(email: str, name: str | None) -> set[str]:
    """The person's names and address, whole and in parts; what is shorter than four characters says nothing."""
    texts = [_fold(text) for text in (email, *email.split("@"), name or "")]
    parts = [part for text in texts for part in re.split(r"[^\w]+", text)]
    return {word for word in (*texts, *parts) if len(word) >= 4}


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _left_over(password: str, own: set[str] | frozenset[str]) -> int:
    """How many different characters remain when what is easy to guess has been taken out."""
    words = common() | own
    longest = max(len(word) for word in words)
    place, left = 0, set[str]()
    while place < len(password):
        word = next((n for n in range(longest, 0, -1) if password[place : place + n] in words), 0)
        taken = max(_run(password, place), word)
        if taken == 0:
            left.add(password[place])
        place += taken or 1
    return len(left)


def _repeats(password: str) -> bool:
    """Whether it is one piece over and over."""
    return any(password[period:] == password[:-period] for period in range(1, len(password) // 2 + 1))


def _run(password: str, place: int) -> int:
    """The length of what begins here and goes on by itself: `aaaa`, `4567`, `lkjh`; 0 if it is no such thing."""
    best = 0
    for line in (*_LINES, password[place] * len(password)):
        length = 0
        while password[place : place + length + 1] in line and place + length < len(password):
            length += 1
        best = max(best, length)
    return best if best >= 3 else 0


@cache
def common() -> frozenset[str]:
    """Words that people's passwords are made of: a list of our own in `common_words.txt`."""
    text = (Path(__file__).parent / "common_words.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
