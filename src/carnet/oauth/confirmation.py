"""RFC 7800 section 3.1: what a token is bound to (`cnf`), and whether a request has proved it."""

from collections.abc import Mapping
from typing import Final

from carnet.oauth.dpop import SCHEME

KEY: Final = "jkt"
"""RFC 9449 section 6.1: the thumbprint of the key of DPoP proofs."""
CERTIFICATE: Final = "x5t#S256"
"""RFC 8705 section 3.1: the thumbprint of the certificate of the TLS handshake."""


def confirmed(confirmation: object, proved: Mapping[str, str]) -> bool:
    """Whether a request has proved all that its token is bound to; a kind that is not known here is never proved."""
    return isinstance(confirmation, Mapping) and bool(confirmation) and confirmation.items() <= proved.items()


def token_type(confirmation: Mapping[str, object] | None) -> str:
    """RFC 9449 section 5, RFC 8705 section 3: one that is bound to a certificate alone comes as a bearer's does."""
    return SCHEME if confirmation is not None and KEY in confirmation else "Bearer"
