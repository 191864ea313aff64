"""JWT Secured Authorization Response Mode: the response's parameters in one signed JWT, the parameter `response`."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from carnet.ambient import Instant
from carnet.issuer.envelope import Envelope
from carnet.issuer.response_modes.mode import ResponseMode

LIFETIME = 300
"""Seconds (section 2.1 recommends at most ten minutes)."""


@dataclass(frozen=True, slots=True)
class Signed:
    """Sections 2.3.1 to 2.3.4: a mode that carries what `sign_response` makes."""

    name: str
    carrier: ResponseMode
    signed: bool = True

    def answer(self, redirect_uri: str, fields: Mapping[str, str]) -> Response:
        """Send it as the mode that it builds on does."""
        return self.carrier.answer(redirect_uri, fields)


def sign_response(fields: Mapping[str, str], *, client_id: str, envelope: Envelope, at: Instant) -> dict[str, str]:
    """Section 2.1: the parameters, `iss` among them, for this client and for some minutes; encrypted if it wants that."""
    return {"response": envelope.close({**fields, "aud": client_id, "exp": at + LIFETIME}, typ="JWT")}
