"""RFC 6749 section 3.3, RFC 8707, OpenID Connect Core section 5.1.2: what a scope value, a claim and an audience are."""

from typing import ClassVar, Literal, TypeAlias

from msgspec import Struct

DefinitionKind: TypeAlias = Literal["scope", "claim", "audience"]


class ScopeDefinition(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a scope value means."""

    kind: ClassVar[DefinitionKind] = "scope"
    name: str
    description: dict[str, str] = {}
    """What people read on the consent page, by language (RFC 5646): `{"en": "See your orders"}`."""
    claims: tuple[str, ...] = ()
    """OpenID Connect Core section 5.4: the claims of a person that it shows."""


class ClaimDefinition(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A claim of a person beyond those that Carnet knows by itself."""

    kind: ClassVar[DefinitionKind] = "claim"
    name: str
    attribute: str
    """The account's attribute that it tells."""


class AudienceDefinition(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A resource server, under the name that its tokens have in `aud`."""

    kind: ClassVar[DefinitionKind] = "audience"
    name: str
    description: str = ""
    """For administrators."""
    scopes: tuple[str, ...] = ()
    """The scope values that are its own: no token that is for other resource servers alone has them."""
    access_token_lifetime: int | None = None
    """Seconds; no token that is for it lives longer."""


Definition: TypeAlias = ScopeDefinition | ClaimDefinition | AudienceDefinition

KINDS: tuple[type[Definition], ...] = (ScopeDefinition, ClaimDefinition, AudienceDefinition)


class Defined(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The definitions that the settings hold: nothing else changes them."""

    scopes: tuple[ScopeDefinition, ...] = ()
    claims: tuple[ClaimDefinition, ...] = ()
    audiences: tuple[AudienceDefinition, ...] = ()

    @property
    def all(self) -> tuple[Definition, ...]:
        return (*self.scopes, *self.claims, *self.audiences)
