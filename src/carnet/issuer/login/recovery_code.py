"""RFC 8176 section 2 (`otp`), NIST SP 800-63B-4 section 3.1.2: a code from the list that was shown when the factor was set up."""

from dataclasses import dataclass

from carnet.issuer.accounts import factors
from carnet.issuer.accounts.people import Actor
from carnet.issuer.desk import Desk
from carnet.issuer.storage.records import Account


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """The field `recovery_code`."""

    amr: tuple[str, ...] = ("otp",)
    field: str = "recovery_code"

    async def spend(self, desk: Desk, account: Account, typed: str, *, by: Actor) -> Account:
        return await factors.spend_recovery_code(desk, account.subject, typed, by=by)
