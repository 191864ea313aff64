"""OAuth 2.0 Multiple Response Type Encoding Practices section 2.1: what a response mode is."""

from collections.abc import Mapping
from typing import Protocol

from starlette.responses import Response


class ResponseMode(Protocol):
    """One `response_mode`. A new one is one file, and one line in `RESPONSE_MODES`."""

    @property
    def name(self) -> str: ...

    @property
    def signed(self) -> bool:
        """Whether it carries one signed JWT instead of the parameters."""

    def answer(self, redirect_uri: str, fields: Mapping[str, str]) -> Response:
        """Send the browser back to the client with these parameters."""
