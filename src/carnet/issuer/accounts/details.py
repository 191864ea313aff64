"""OpenID Connect Core section 5.1: what an account's email address, name and roles may be."""

import re
import unicodedata
from collections.abc import Iterable

from carnet.issuer.accounts.errors import MAX_NAME, MAX_ROLES, BadEmailError, BadNameError, BadRoleError

MAX_EMAIL = 254

_ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\Z")
_EMAIL = re.compile(r"[^@\s<>\"'(),:;\\]{1,64}@[^@\s<>\"'(),:;\\]{1,190}\Z")


def checked_email(email: str) -> str:
    """Raises BadEmailError."""
    email = unicodedata.normalize("NFC", email.strip())
    if len(email) > MAX_EMAIL or not _EMAIL.match(email) or not email.isprintable():
        raise BadEmailError
    return email


def checked_name(name: str | None) -> str | None:
    """Raises BadNameError."""
    name = " ".join(unicodedata.normalize("NFC", name or "").split(" ")).strip()
    if len(name) > MAX_NAME or not name.isprintable():
        raise BadNameError
    return name or None


def checked_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """Each once, in order. Raises BadRoleError."""
    unique = tuple(sorted(set(roles)))
    if len(unique) > MAX_ROLES or not all(_ROLE.match(role) for role in unique):
        raise BadRoleError
    return unique
