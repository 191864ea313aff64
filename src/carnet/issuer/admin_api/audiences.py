"""RFC 8707: resource servers, their scope values, and how long tokens for them live."""

from msgspec import Struct

from carnet.issuer.admin_api.defining import resource
from carnet.issuer.catalogue import Origin
from carnet.issuer.definition import AudienceDefinition


class Audience(AudienceDefinition, frozen=True, kw_only=True, omit_defaults=False):
    origin: Origin
    """Where it stands: the settings' alone change what stands there."""


class Audiences(Struct, frozen=True, kw_only=True):
    items: list[Audience]


RESOURCE = resource("audiences", AudienceDefinition, Audience, Audiences)
