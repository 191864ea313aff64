"""OAuth 2.0 Multiple Response Type Encoding Practices: the response modes, one file for each; the first is the default."""

from carnet.issuer.response_modes.mode import ResponseMode
from carnet.issuer.response_modes.query import Query

RESPONSE_MODES: tuple[ResponseMode, ...] = (Query(),)
