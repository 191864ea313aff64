"""What a service that receives tokens runs: it verifies them offline with the issuer's published keys.

Adapters are imported on their own: `carnet.guard.fastapi`, `carnet.guard.starlette`, `carnet.guard.asgi`, `carnet.guard.wsgi`,
`carnet.guard.django`, `carnet.guard.litestar`, `carnet.guard.grpc`; the browser back end is `carnet.guard.browser`, the
gateway `carnet.guard.gateway`.
"""

from carnet.guard.checkpoint import BlockingCheckpoint, Checkpoint
from carnet.guard.introspection import Credentials
from carnet.guard.metadata import MetadataError
from carnet.guard.principal import Principal
from carnet.guard.refusal import Refused, RefusedRequestError
from carnet.guard.requirement import Granted, Requirement, require
from carnet.guard.resource import Resource
from carnet.guard.revocation import Revocation
from carnet.guard.service_tokens import ServiceTokens
from carnet.guard.verifier import Verifier

__all__ = [
    "BlockingCheckpoint",
    "Checkpoint",
    "Credentials",
    "Granted",
    "MetadataError",
    "Principal",
    "Refused",
    "RefusedRequestError",
    "Requirement",
    "Resource",
    "Revocation",
    "ServiceTokens",
    "Verifier",
    "require",
]
