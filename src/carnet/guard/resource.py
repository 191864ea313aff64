"""RFC 9728: what a service publishes of itself, so that a client that meets it for the first time knows where to get a token."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from carnet.guard.metadata import MetadataError, trusted_url
from carnet.jose.strict_json import encode_object
from carnet.oauth.dpop import ALGORITHMS
from carnet.oauth.metadata import protected_resource_url

HEADERS = (
    ("content-type", "application/json"),
    ("cache-control", "public, max-age=300"),
    ("access-control-allow-origin", "*"),
)
"""Of the document: everybody's scripts may read it, as it is public."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Section 2: what a guard's service says of itself; its name is the guard's `audience`, which is its URL then."""

    scopes: Sequence[str] = ()
    """`scopes_supported`: those that a client may ask for."""
    name: str | None = None
    """`resource_name`: what people read."""
    documentation: str | None = None
    """`resource_documentation`: a URL."""


@dataclass(frozen=True, slots=True)
class Published:
    """The document, and where it stands."""

    url: str
    """Section 3.1: the well-known part is inserted before the path of the resource's URL."""
    path: str
    document: bytes


def publish(resource: Resource, *, audience: str, issuers: Sequence[str]) -> Published:
    """Make the document.

    Raises:
        MetadataError: the audience is not an https URL (or http to this machine) without query and fragment.
    """
    parts = trusted_url(audience)
    if parts.query or parts.fragment:
        raise MetadataError(f"The audience {audience!r} has a query or a fragment: it cannot be the URL of a resource.")
    members = {
        "resource": audience,
        "authorization_servers": list(issuers),
        "scopes_supported": list(resource.scopes),
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "resource_name": resource.name,
        "resource_documentation": resource.documentation,
    }
    url = protected_resource_url(audience)
    document = encode_object({name: value for name, value in members.items() if value not in (None, [])})
    return Published(url, urlsplit(url).path, document)
