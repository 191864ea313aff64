"""RFC 6749 section 4.1.2: the response's parameters in the query of the redirect URI."""

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.responses import Response


class Query:
    name = "query"
    signed = False

    def answer(self, redirect_uri: str, fields: Mapping[str, str]) -> Response:
        """Section 3.1.2: the URI's own query stays; RFC 9700 section 4.12: by 303, so that no form is sent on."""
        joint = "&" if "?" in redirect_uri else "?"
        return Response(status_code=303, headers={"Location": f"{redirect_uri}{joint}{urlencode(fields)}"})
