"""RFC 8414, RFC 9728, OpenID Connect Discovery: where an issuer's metadata is, and the check that it is the issuer's."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


class MetadataError(ValueError):
    """A document that is not the metadata of the issuer that was asked."""


def well_known_paths(issuer: str) -> tuple[str, str]:
    """Where the two documents are, as paths from the root of the issuer's host.

    The OpenID Connect one is appended to the issuer's path (Discovery section 4), the OAuth one is inserted before it (RFC
    8414 section 3.1).
    """
    path = urlsplit(issuer).path.rstrip("/")
    return f"{path}/.well-known/openid-configuration", f"/.well-known/oauth-authorization-server{path}"


def protected_resource_url(resource: str) -> str:
    """RFC 9728 section 3.1: where the metadata of a resource server is: inserted before the path of its identifier."""
    parts = urlsplit(resource)
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path.rstrip('/')}"


def check(document: Mapping[str, Any], *, issuer: str) -> Mapping[str, Any]:
    """RFC 8414 section 3.3: the document's issuer must be identical to the one whose metadata was asked for.

    Raises:
        MetadataError: it is not.
    """
    if document.get("issuer") != issuer:
        raise MetadataError(f"The metadata speaks for {document.get('issuer')!r}, not for {issuer!r}.")
    return document
