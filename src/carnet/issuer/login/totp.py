"""RFC 8176 section 2 (`otp`), RFC 6238: the code of an authenticator app."""

from dataclasses import dataclass

from carnet.issuer.accounts import factors
from carnet.issuer.accounts.people import Actor
from carnet.issuer.desk import Desk
from carnet.issuer.storage.records import Account


@dataclass(frozen=True, slots=True)
class TimedCode:
    """The field `code`."""

    amr: tuple[str, ...] = ("otp",)
    field: str = "code"

    async def spend(self, desk: Desk, account: Account, typed: str, *, by: Actor) -> Account:
        return await factors.spend_code(desk, account.subject, typed)
