"""RFC 9493, OpenID Shared Signals Framework section 8.1.3: whom a receiver names."""

from typing import Any

from carnet.issuer.desk import Desk
from carnet.issuer.pairwise import NOBODY, subject_behind
from carnet.issuer.storage.records import Client
from carnet.jose.strict_json import JsonObject
from carnet.oauth.errors import InvalidRequestError


async def person_named(subject: Any, client: Client, desk: Desk) -> str | None:
    """The subject of a person's account; None: it names nobody who is known here, or something else than a person.

    Raises:
        InvalidRequestError: it is no subject identifier.
    """
    if not isinstance(subject, JsonObject) or not isinstance(subject.get("format"), str):
        raise InvalidRequestError("subject is no subject identifier: an object with a 'format' (RFC 9493 section 3).")
    named = subject["format"]
    if named == "complex":
        # A person and more, such as one session, is less than the person: nothing can be excluded so.
        members = [name for name in subject if name != "format"]
        return await person_named(subject["user"], client, desk) if members == ["user"] else None
    if named == "email":
        account = await desk.store.accounts.by_email(_member(subject, "email"))
        return None if account is None else account.subject
    if named == "iss_sub":
        here = _member(subject, "iss") == desk.config.issuer
        found = await subject_behind(_member(subject, "sub"), client, desk) if here else NOBODY
        return None if await desk.store.accounts.get(found) is None else found
    return None


def _member(subject: JsonObject, name: str) -> str:
    value = subject.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequestError(f"The subject has no {name!r}, or it is not a text.")
    return value
