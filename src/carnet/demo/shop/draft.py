"""RFC 6265bis: what somebody typed into a form, kept in their browser while they are away to prove who they are."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from carnet.ambient import Ambient
from carnet.jose import JoseError, base64url
from carnet.sealing import SealBrokenError, Sealer

COOKIE = "windrose_draft"
LIFETIME = 1_800
"""Seconds."""


class Drafts:
    """Seals a form's fields into a cookie: the shop keeps nothing, and nothing of it stands in a URL."""

    def __init__(self, secret: bytes, *, path: str, ambient: Ambient) -> None:
        """`path` is where the form is: the cookie goes nowhere else."""
        self._sealer = Sealer(secret, "shop/draft", ambient=ambient)
        self._path = path

    def keep(self, response: Response, fields: dict[str, str], *, owner: str) -> None:
        sealed = base64url.text(self._sealer.seal(msgspec.json.encode(fields), context=owner.encode()))
        response.set_cookie(COOKIE, sealed, max_age=LIFETIME, path=self._path, httponly=True, samesite="lax")

    def read(self, request: Request, *, owner: str) -> dict[str, str] | None:
        """What the same person has typed; None: nothing that is waiting."""
        try:
            raw = self._sealer.open(base64url.decode_text(request.cookies.get(COOKIE, "")), context=owner.encode())
        except (JoseError, SealBrokenError):
            return None
        return msgspec.json.decode(raw, type=dict[str, str])

    def forget(self, response: Response) -> None:
        response.delete_cookie(COOKIE, path=self._path, httponly=True, samesite="lax")
