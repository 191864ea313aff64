"""RFC 8176: the ways to prove who one is, one file for each.

The visible tuples are in `endpoints/login.py` (the first proof) and `endpoints/second_proof.py` (the second).
"""

from typing import Protocol

from starlette.requests import Request

from carnet.issuer.accounts.people import Actor
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
    """One way to prove who one is. Where the account has a second factor, a session is started only after that (rule O9)."""

    @property
    def amr(self) -> tuple[str, ...]:
        """What the session says of it."""

    async def prove(self, request: Request, desk: Desk, visit: Visit, form: Parameters) -> Account:
        """Find the account whose person has proved to be there.

        Raises:
            NotProvedError: nobody has; PasswordsBusyError: not now.
        """


class SecondFactor(Protocol):
    """One way to give the second proof; `second_factor.py` has what all of them keep to."""

    @property
    def amr(self) -> tuple[str, ...]:
        """What the session says of it."""

    @property
    def field(self) -> str:
        """The form's field."""

    async def spend(self, desk: Desk, account: Account, typed: str, *, by: Actor) -> Account:
        """Accept what was typed, once; the answer is the account after that.

        Raises:
            PersonError: it is not right, or was used before.
        """
