"""OpenID Connect Core section 5.1: what an account's email address, name, roles and attributes may be."""

import re
import unicodedata
from collections.abc import Iterable, Mapping

from carnet.issuer.accounts.errors import (
    MAX_ATTRIBUTES,
    MAX_NAME,
    MAX_ROLES,
    BadAttributeError,
    BadEmailError,
    BadNameError,
    BadRoleError,
)
from carnet.issuer.storage.records import Attribute

MAX_EMAIL = 254

_ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\Z")
ATTRIBUTE = re.compile(r"[a-z][a-z0-9_]{0,63}")
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


def checked_attributes(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """In the order of names. Raises BadAttributeError."""
    if len(attributes) > MAX_ATTRIBUTES:
        raise BadAttributeError
    for name, value in attributes.items():
        if not ATTRIBUTE.fullmatch(name) or not _right(value):
            raise BadAttributeError
    return dict(sorted(attributes.items()))


def _right(value: Attribute) -> bool:
    match value:
        case int():
            return abs(value) < 2**53
        case str():
            return _short([value])
        case dict():  # an address may have several lines (OpenID Connect Core section 5.1.1)
            return _short(text.replace("\n", "") for text in value.values()) and all(map(ATTRIBUTE.fullmatch, value))
    return _short(value)


def _short(texts: Iterable[str]) -> bool:
    texts = list(texts)
    return len(texts) <= 100 and all(len(text) <= 1000 and text.isprintable() for text in texts)
