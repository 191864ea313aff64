"""OAuth 2.0 Multiple Response Type Encoding Practices section 2.1: the response's parameters in the redirect URI's fragment."""

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.responses import Response


class Fragment:
    name = "fragment"
    signed = False

    def answer(self, redirect_uri: str, fields: Mapping[str, str]) -> Response:
        """What browsers send to no server: for apps whose scripts read it. A redirect URI has no fragment of its own."""
        return Response(status_code=303, headers={"Location": f"{redirect_uri}#{urlencode(fields)}"})
