"""OAuth 2.0 Form Post Response Mode: the response's parameters in a form, which the browser sends on by itself."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import urlsplit

from markupsafe import escape
from starlette.responses import HTMLResponse, Response

from carnet.issuer.pages import reach

_SCRIPT = "document.forms[0].submit()"
_SCRIPT_HASH = b64encode(sha256(_SCRIPT.encode()).digest()).decode()
"""CSP Level 3 section 6.7.2.5: this one script may run on the page, and nothing else."""


class FormPost:
    name = "form_post"
    signed = False

    def answer(self, redirect_uri: str, fields: Mapping[str, str]) -> Response:
        """Section 2: nothing of the response is in a URL. Whoever runs no scripts has a button."""
        hidden = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
        )
        host = escape(urlsplit(redirect_uri).netloc or redirect_uri)  # says it in every language
        document = (
            f'<!doctype html><html lang="zxx"><meta charset="utf-8"><title>{host}</title>'
            f'<body><form method="post" action="{escape(redirect_uri)}">{hidden}'
            f"<noscript><button>{host} →</button></noscript></form><script>{_SCRIPT}</script>"
        )
        policy = (
            f"default-src 'none'; script-src 'sha256-{_SCRIPT_HASH}'; form-action {reach(redirect_uri)}; "
            "frame-ancestors 'none'; base-uri 'none'"
        )
        return HTMLResponse(document, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})
