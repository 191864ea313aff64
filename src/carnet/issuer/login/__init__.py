"""RFC 8176: the ways to prove who one is, one file for each; the visible tuple is in `endpoints/login.py`."""

from typing import Protocol

from starlette.requests import Request

from carnet.issuer.browser import Visit
from carnet.issuer.desk import Desk
from carnet.issuer.storage.records import Account
from carnet.oauth.parameters import Parameters


class NotProvedError(Exception):
    """The proof failed; `key` is the sentence `login.<key>` of the catalogue, the same whatever the cause (rule O11)."""

    def __init__(self, key: str, *, field: str | None = None, retry_after: int | None = None) -> None:
        """`field` is the one to be mended; `retry_after`, in seconds, is set where trying again is of no use before."""
        super().__init__(key)
        self.key = key
        self.field = field
        self.retry_after = retry_after


class LoginMethod(Protocol):
    """One way to prove who one is, complete in itself: a session is started when it has succeeded (rule O9)."""

    @property
    def amr(self) -> tuple[str, ...]:
        """What the session says of it."""

    async def prove(self, request: Request, desk: Desk, visit: Visit, form: Parameters) -> Account:
        """Find the account whose person has proved to be there.

        Raises:
            NotProvedError: nobody has; PasswordsBusyError: not now.
        """
