"""OpenID Connect Session Management 1.0: what tells a client's page, without a request, that somebody signed in or out here.

The browser keeps a state of its own for that, which scripts of ours may read: a keyed hash of the session's name, and of no use
for anything else. A client gets a hash of it for its own origin, so that two clients cannot compare theirs.
"""

import hmac
from hashlib import sha256

from starlette.requests import Request

from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.http_security import leave_cookie
from carnet.issuer.opaque import fresh_name
from carnet.issuer.storage.records import Session
from carnet.jose import base64url
from carnet.oauth import redirect_uri
from carnet.sealing import derive

STATE_COOKIE = "carnet_state"


def browser_state(session: Session | None, desk: Desk) -> str:
    """Section 3.2: it changes with whoever is signed in; empty while nobody is."""
    if session is None:
        return ""
    return base64url.text(hmac.digest(derive(desk.secret, "browser-state"), session.sid.encode(), "sha256"))


def leave_state(request: Request, desk: Desk, name: str, session: Session | None) -> None:
    """Have the browser keep the state: readable by scripts, and inside of other sites' pages where there is TLS."""
    value = browser_state(session, desk)
    lifetime = desk.config.lifetimes.session if value else 0
    everywhere = "SameSite=None; Secure" if desk.config.secure else "SameSite=Lax"
    leave_cookie(request, f"{name}={value}; Path=/; Max-Age={lifetime}; {everywhere}")


def session_state(client_id: str, uri: str, session: Session, desk: Desk) -> str | None:
    """Section 2: for the origin that the answer goes to; None: it is no origin that pages have."""
    origin = redirect_uri.origin(uri)
    if origin is None:
        return None
    salt = fresh_name(desk.ambient)
    return f"{_digest(client_id, origin, browser_state(session, desk), salt)}.{salt}"


def offered(config: Config) -> bool:
    return config.session_management


def _digest(*parts: str) -> str:
    """Section 3.2; the script in `endpoints/check_session.py` makes the same."""
    return base64url.text(sha256(" ".join(parts).encode()).digest())
