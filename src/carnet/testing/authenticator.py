"""RFC 6238: an authenticator app for tests: it is given a key, and shows codes."""

import re
from base64 import b32decode
from typing import Self

from carnet.ambient import Instant
from carnet.issuer import totp

_KEY = re.compile(r'id="key">([A-Z2-7 ]+)<')


class Authenticator:
    """An app on somebody's phone."""

    def __init__(self, key: str) -> None:
        """`key` is as people type it: base32, with or without spaces."""
        letters = "".join(key.split())
        self._key = b32decode(letters + "=" * (-len(letters) % 8))

    @classmethod
    def reading(cls, page: str) -> Self:
        """Take the key from the issuer's page on which a second factor is set up.

        Raises:
            LookupError: the page shows none.
        """
        found = _KEY.search(page)
        if found is None:
            raise LookupError("The page shows no key of an authenticator app.")
        return cls(found[1])

    def code(self, at: Instant, *, steps: int = 0) -> str:
        """The code that is shown at an instant, or so many steps of 30 seconds later (or earlier).

        A code is good once: a test that wants another one without waiting takes the next, which is good half a minute early.
        """
        return totp.code_at(self._key, totp.step_at(at) + steps)
