"""RFC 9110: what a resource of the admin API is: its name, and operations with typed queries, bodies and answers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from carnet.issuer.accounts.people import Actor
from carnet.issuer.admin_api.cursors import opened, sealed
from carnet.issuer.admin_api.problems import Problem, Stale
from carnet.issuer.desk import Desk
from carnet.jose import base64url
from carnet.oauth.scope import Scope

PATH = "/api/admin"
PREFIX = "admin:"
"""Of the scope values that open the admin API."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who an admin token speaks for."""

    actor: Actor
    client_id: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, read and authorized."""

    desk: Desk
    caller: Caller
    path: Mapping[str, str]
    query: Any
    """Of the operation's `query`, if it has one."""
    body: Any
    """Of the operation's `body`, if it has one."""
    if_match: tuple[str, ...] = ()
    """The entity tags of the header; empty: there is none."""

    def check_match(self, document: Struct) -> None:
        """RFC 9110 section 13.1.1: what is to be changed is what was read.

        Raises:
            Stale: it is not.
        """
        if self.if_match and "*" not in self.if_match and entity_tag(document) not in self.if_match:
            raise Stale("Read it again, and make the change on what it is now.")


Act: TypeAlias = Callable[[Asked], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method at one path."""

    method: str
    path: str
    """Below the API's, in Starlette's syntax: `/accounts/{subject}`."""
    summary: str
    act: Act
    """Answers with an `answer`, or with None."""
    query: type[Struct] | None = None
    body: type[Struct] | None = None
    optional_body: bool = False
    answer: type[Struct] | None = None
    """None: 204, without a body."""
    status: int = 200
    tagged: bool = False
    """Whether the answer is one thing's whole state, which has an entity tag."""
    conditional: bool = False
    """Whether it replaces what somebody has read: then If-Match is required."""
    location: Callable[[Any], str] | None = None
    """Of what was made: its path below the API's."""
    problems: tuple[type[Problem], ...] = ()
    """Beyond those that every request can get."""

    @property
    def reads(self) -> bool:
        return self.method == "GET"


@dataclass(frozen=True, slots=True)
class Resource:
    """A file here: what belongs together, under scope values of its own."""

    name: str
    operations: tuple[Operation, ...] = field(repr=False)

    def scope(self, operation: Operation) -> str:
        """The scope value that the operation asks for."""
        return f"{PREFIX}{self.name}.{'read' if operation.reads else 'write'}"

    @property
    def scopes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.scope(operation) for operation in self.operations))


class PageQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of a list."""

    limit: int = 50
    cursor: str | None = None
    """`next` of the page before."""


LARGEST_PAGE = 500


async def page(
    asked: Asked, list_: str, read: Callable[[Any, int], Awaitable[list[Any]]], place: Callable[[Any], Any]
) -> tuple[list[Any], str | None]:
    """A page of a list, and the cursor of the next one; None: there is none.

    `read(after, limit)` reads on from a place; `place` says where a line stands.

    Raises:
        Malformed: the cursor is none of this list's, or the limit is none.
    """
    limit, after = opened(asked.query, list_, asked.desk, largest=LARGEST_PAGE)
    found = await read(after, limit + 1)
    more = sealed(place(found[limit - 1]), list_, asked.desk) if len(found) > limit else None
    return found[:limit], more


def entity_tag(document: Struct) -> str:
    """RFC 9110 section 8.8.3: strong, of what is shown and of nothing else."""
    return f'"{base64url.text(sha256(msgspec.json.encode(document)).digest()[:15])}"'
