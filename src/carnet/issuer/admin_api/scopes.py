"""RFC 6749 section 3.3: scope values, what people read of them, and the claims that they show."""

from msgspec import Struct

from carnet.issuer.admin_api.defining import resource
from carnet.issuer.catalogue import Origin
from carnet.issuer.definition import ScopeDefinition


class Scope(ScopeDefinition, frozen=True, kw_only=True, omit_defaults=False):
    origin: Origin
    """Where it stands: the settings' alone change what stands there."""


class Scopes(Struct, frozen=True, kw_only=True):
    items: list[Scope]


RESOURCE = resource("scopes", ScopeDefinition, Scope, Scopes)
