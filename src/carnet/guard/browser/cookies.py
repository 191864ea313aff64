"""RFC 6265bis: cookies of a browser back end: HttpOnly, host-only, Secure with the prefix `__Host-` wherever there is TLS."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

SameSite: TypeAlias = Literal["lax", "strict"]

CHUNK = 3_500
"""Characters of one cookie's value: browsers keep 4096 bytes of name, value and attributes."""
MAX_CHUNKS = 4
"""Servers read 16 KB of headers or less."""


class CookieTooLargeError(Exception):
    """The session does not fit into cookies: keep it in a `SessionStore` of your own, or put less into tokens."""


@dataclass(frozen=True, slots=True)
class Jar:
    """Writes and reads one value, split over several cookies where it is long."""

    name: str
    secure: bool
    same_site: SameSite
    max_age: int | None = None
    """Seconds; None: until the browser is closed."""

    @property
    def full_name(self) -> str:
        """With the prefix, which makes the browser refuse the cookie from other hosts and from plain http."""
        return f"__Host-{self.name}" if self.secure else self.name

    def read(self, cookies: Mapping[str, str]) -> str | None:
        """Put the value together; None if there is none or a part is missing."""
        first = cookies.get(self.full_name, "")
        count, dot, value = first.partition(".")
        if not dot or count not in {str(number) for number in range(1, MAX_CHUNKS + 1)}:
            return None
        parts = [cookies.get(self._part(number)) for number in range(1, int(count))]
        return None if None in parts else value + "".join(part for part in parts if part)

    def write(self, value: str, *, present: Mapping[str, str]) -> list[str]:
        """The Set-Cookie values for a new value; parts of a longer one that are `present` are cleared.

        Raises:
            CookieTooLargeError: the value does not fit.
        """
        chunks = [value[start : start + CHUNK] for start in range(0, len(value), CHUNK)] or [""]
        if len(chunks) > MAX_CHUNKS:
            raise CookieTooLargeError(
                f"The session has {len(value)} characters; {MAX_CHUNKS * CHUNK} fit into cookies."
            )
        chunks[0] = f"{len(chunks)}.{chunks[0]}"
        lifetime = "" if self.max_age is None else f"; Max-Age={self.max_age}"
        written = [self._cookie(self._part(number), chunk, lifetime) for number, chunk in enumerate(chunks)]
        return written + self._cleared(present, range(len(chunks), MAX_CHUNKS))

    def clear(self, present: Mapping[str, str]) -> list[str]:
        """The Set-Cookie values that remove all parts that are `present`."""
        return self._cleared(present, range(MAX_CHUNKS))

    def _cleared(self, present: Mapping[str, str], numbers: range) -> list[str]:
        names = [self._part(number) for number in numbers]
        return [self._cookie(name, "", "; Max-Age=0") for name in names if name in present]

    def _part(self, number: int) -> str:
        return self.full_name if number == 0 else f"{self.full_name}_{number}"

    def _cookie(self, name: str, value: str, lifetime: str) -> str:
        secure = "; Secure" if self.secure else ""
        return f"{name}={value}; Path=/; HttpOnly; SameSite={self.same_site.title()}{secure}{lifetime}"
