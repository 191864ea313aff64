"""RFC 6749 section 3.3, RFC 8707, OpenID Connect Core section 5.4: the scope values, claims and audiences that there are.

A definition stands in the code, in the settings or in the store. What the settings hold goes before what the store holds
under the same name, and both go before what is built in.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from carnet.ambient import Ambient
from carnet.issuer.config import Config
from carnet.issuer.definition import (
    AudienceDefinition,
    ClaimDefinition,
    Definition,
    DefinitionKind,
    ScopeDefinition,
)
from carnet.issuer.storage import ports
from carnet.oauth.scope import Scope

REFRESH = 2.0
"""Seconds after which the store is read again: so soon does a running issuer see what another process has changed."""

BUILT_IN: tuple[Definition, ...] = (
    ScopeDefinition(name="openid"),
    ScopeDefinition(name="profile", claims=("name", "updated_at")),
    ScopeDefinition(name="email", claims=("email", "email_verified")),
    ScopeDefinition(name="roles", claims=("roles",)),
    ScopeDefinition(name="offline_access"),
)
OWN_CLAIMS = ("sub", "name", "updated_at", "email", "email_verified", "roles")
"""The claims of a person that are read from members of the account's record, and not from its attributes."""

Origin: TypeAlias = Literal["built-in", "settings", "stored"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A definition that counts, and where it stands."""

    definition: Definition
    origin: Origin


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All definitions as they were at one moment."""

    entries: Mapping[tuple[DefinitionKind, str], Entry]
    scopes: Mapping[str, ScopeDefinition]
    claims: Mapping[str, ClaimDefinition]
    audiences: Mapping[str, AudienceDefinition]
    owners: Mapping[str, frozenset[str]]
    """Of a scope value that belongs to audiences, those."""

    def of_kind(self, kind: DefinitionKind) -> list[Entry]:
        """In the order of names."""
        return [entry for (_, _), entry in sorted(self.entries.items()) if entry.definition.kind == kind]

    def find(self, kind: DefinitionKind, name: str) -> Entry | None:
        return self.entries.get((kind, name))

    @property
    def claim_names(self) -> tuple[str, ...]:
        """Every claim of a person that a client can learn."""
        return tuple(dict.fromkeys((*OWN_CLAIMS, *self.claims)))

    def shown(self, scope: Iterable[str]) -> tuple[str, ...]:
        """OpenID Connect Core section 5.4: the claims that these scope values show."""
        definitions = (self.scopes.get(value) for value in scope)
        return tuple(dict.fromkeys(name for one in definitions if one is not None for name in one.claims))

    def scope_for(self, names: Iterable[str]) -> Scope:
        """The scope values that claims need, of each the first that shows it; of a claim that is not known, none."""
        found: dict[str, None] = {}
        for name in names:
            value = next((scope.name for scope in self.scopes.values() if name in scope.claims), None)
            if value is not None:
                found[value] = None
        return tuple(found)

    def belonging(self, scope: Scope, audience: Iterable[str]) -> Scope:
        """RFC 8707 section 2.2: of these scope values, those that can mean something to one of these resource servers."""
        present = frozenset(audience)
        return tuple(value for value in scope if value not in self.owners or self.owners[value] & present)

    def lifetime(self, audience: Iterable[str]) -> int | None:
        """Seconds that a token for these resource servers lives at most; None: none of them says."""
        definitions = (self.audiences.get(name) for name in audience)
        limits = [one.access_token_lifetime for one in definitions if one is not None and one.access_token_lifetime]
        return min(limits, default=None)

    def metadata(self, config: Config) -> dict[str, Any]:
        """RFC 8414 section 2, OpenID Connect Discovery section 3: what discovery says of them."""
        return {
            "scopes_supported": list(dict.fromkeys((*config.scopes, *self.scopes))),
            "claims_supported": [*PROTOCOL_CLAIMS, *self.claim_names],
        }


PROTOCOL_CLAIMS = ("iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash")
"""What ID tokens have of themselves."""


def catalogue_of(settings: Iterable[Definition], stored: Iterable[Definition]) -> Catalogue:
    """Put the three places together."""
    entries: dict[tuple[DefinitionKind, str], Entry] = {}
    places: tuple[tuple[Origin, Iterable[Definition]], ...] = (
        ("built-in", BUILT_IN),
        ("stored", stored),
        ("settings", settings),
    )
    for origin, definitions in places:
        for one in definitions:
            entries[one.kind, one.name] = Entry(one, origin)
    all_ = [entry.definition for entry in entries.values()]
    audiences = {one.name: one for one in all_ if isinstance(one, AudienceDefinition)}
    owners: dict[str, set[str]] = {}
    for audience in audiences.values():
        for value in audience.scopes:
            owners.setdefault(value, set()).add(audience.name)
    return Catalogue(
        entries=entries,
        scopes={one.name: one for one in all_ if isinstance(one, ScopeDefinition)},
        claims={one.name: one for one in all_ if isinstance(one, ClaimDefinition)},
        audiences=audiences,
        owners={value: frozenset(names) for value, names in owners.items()},
    )


class Definitions:
    """The catalogue, read again every few seconds."""

    def __init__(self, config: Config, stored: ports.Definitions, ambient: Ambient) -> None:
        self._settings = () if config.define is None else config.define.all
        self._stored = stored
        self._ambient = ambient
        self._read_at = 0.0
        self._reading = asyncio.Lock()
        self._catalogue: Catalogue | None = None

    async def current(self) -> Catalogue:
        """Raises StorageError: the store does not answer."""
        known = self._catalogue
        if known is not None and self._ambient.monotonic() - self._read_at < REFRESH:
            return known
        async with self._reading:
            if self._catalogue is known or self._catalogue is None:  # nobody has read it while this call waited
                return await self.reread()
            return self._catalogue

    async def reread(self) -> Catalogue:
        """As the store has it now: whoever changes a definition reads anew."""
        read_at = self._ambient.monotonic()
        self._catalogue = catalogue_of(self._settings, await self._stored.list())
        self._read_at = read_at
        return self._catalogue
