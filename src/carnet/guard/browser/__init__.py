"""Browser-based apps BCP section 6.1: the back end of a browser front end, so that no token is within a script's reach."""

from carnet.guard.browser.backend import BrowserBackend
from carnet.guard.browser.cookies import CookieTooLargeError
from carnet.guard.browser.forgery import ForgedError
from carnet.guard.browser.session import SealedSessions, Session, SessionStore
from carnet.guard.issuer_client import IssuerUnavailableError

__all__ = [
    "BrowserBackend",
    "CookieTooLargeError",
    "ForgedError",
    "IssuerUnavailableError",
    "SealedSessions",
    "Session",
    "SessionStore",
]
