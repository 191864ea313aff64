"""OpenID Connect Core section 5.1.2: claims of a person that come from an account's attributes."""

from msgspec import Struct

from carnet.issuer.admin_api.defining import resource
from carnet.issuer.catalogue import Origin
from carnet.issuer.definition import ClaimDefinition


class Claim(ClaimDefinition, frozen=True, kw_only=True, omit_defaults=False):
    origin: Origin
    """Where it stands: the settings' alone change what stands there."""


class Claims(Struct, frozen=True, kw_only=True):
    items: list[Claim]


RESOURCE = resource("claims", ClaimDefinition, Claim, Claims)
