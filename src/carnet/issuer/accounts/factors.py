"""Rules O9, O10 and R3: the second factor of an account: enrolled, used once for each code, and removed.

All of it is in the account's own record and changes by compare-and-swap, so that of two uses of one code one wins.
"""

import hmac
from base64 import b32encode
from dataclasses import dataclass, field

from msgspec.structs import replace

from carnet.issuer import totp
from carnet.issuer.accounts.errors import AlreadyEnrolledError, ContentionError, NotEnrolledError, WrongCodeError
from carnet.issuer.accounts.people import Actor, change, note
from carnet.issuer.desk import Desk
from carnet.issuer.storage.records import Account, Totp
from carnet.sealing import Sealer, derive

RECOVERY_CODES = 10
_RECOVERY_BYTES = 10


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An account with new recovery codes, which are shown this once."""

    account: Account
    recovery_codes: tuple[str, ...] = field(repr=False)


def new_key(desk: Desk) -> bytes:
    """RFC 6238 section 5.1: a key for one account."""
    return desk.ambient.entropy(totp.KEY_LENGTH)


async def enrol(desk: Desk, proved: Account, key: bytes, code: str, *, by: Actor) -> Enrolled:
    """Give an account a second factor, whose first code shows that the app has the key. The code is spent.

    `proved` is the account as it was when its person was asked for a proof: a sign-out everywhere since then ends that.

    Raises:
        PersonError: the code is not the key's, or there is a factor already.
    """
    subject = proved.subject
    now = desk.ambient.now()
    codes = _new_codes(desk)

    def alter(account: Account) -> Account:
        if account.totp is not None:
            raise AlreadyEnrolledError
        if account.epoch != proved.epoch:
            raise ContentionError
        step = totp.matching_step(key, code, at=now, after=0)
        if step is None:
            raise WrongCodeError
        sealed = _sealer(desk).seal(key, context=subject.encode())
        return replace(
            account,
            totp=Totp(sealed=sealed, enrolled_at=now, last_step=step),
            recovery_codes=_digests(desk, subject, codes),
        )

    _, account = await change(desk, subject, alter, informing=False)
    await note(desk, "second_factor.enrolled", account, by)
    return Enrolled(account, codes)


async def spend_code(desk: Desk, subject: str, typed: str) -> Account:
    """Accept the app's code, and no code up to it ever again.

    Raises:
        PersonError: it is not right, or was used before.
    """
    now = desk.ambient.now()

    def alter(account: Account) -> Account:
        if account.totp is None:
            raise NotEnrolledError
        key = _sealer(desk).open(account.totp.sealed, context=subject.encode())
        step = totp.matching_step(key, typed, at=now, after=account.totp.last_step)
        if step is None:
            raise WrongCodeError
        return replace(account, totp=replace(account.totp, last_step=step))

    _, account = await change(desk, subject, alter, informing=False)
    return account


async def spend_recovery_code(desk: Desk, subject: str, typed: str, *, by: Actor) -> Account:
    """Accept a recovery code, once.

    Raises:
        PersonError: it is not right, or was used before.
    """
    [digest] = _digests(desk, subject, (typed,))

    def alter(account: Account) -> Account:
        if account.totp is None:
            raise NotEnrolledError
        left = tuple(kept for kept in account.recovery_codes if not hmac.compare_digest(kept, digest))
        if len(left) == len(account.recovery_codes):
            raise WrongCodeError
        return replace(account, recovery_codes=left)

    _, account = await change(desk, subject, alter, informing=False)
    await note(desk, "recovery_code.used", account, by, left=len(account.recovery_codes))
    return account


async def renew_recovery_codes(desk: Desk, subject: str, *, by: Actor) -> Enrolled:
    """Make new recovery codes; the old ones are good for nothing any more. Raises PersonError."""
    codes = _new_codes(desk)

    def alter(account: Account) -> Account:
        if account.totp is None:
            raise NotEnrolledError
        return replace(account, recovery_codes=_digests(desk, subject, codes))

    _, account = await change(desk, subject, alter, informing=False)
    await note(desk, "recovery_codes.renewed", account, by)
    return Enrolled(account, codes)


async def remove(desk: Desk, subject: str, *, by: Actor, event: str = "second_factor.removed") -> Account:
    """Take the second factor away, with its recovery codes. Raises PersonError."""
    before, account = await change(
        desk, subject, lambda account: replace(account, totp=None, recovery_codes=()), informing=False
    )
    if before.totp is not None:
        await note(desk, event, account, by)
    return account


async def reset(desk: Desk, subject: str, *, by: Actor) -> Account:
    """The same for somebody who has lost their app and their recovery codes: an administrator does it. Raises PersonError."""
    return await remove(desk, subject, by=by, event="second_factor.reset")


def _sealer(desk: Desk) -> Sealer:
    return Sealer(desk.secret, "totp", ambient=desk.ambient)


def _new_codes(desk: Desk) -> tuple[str, ...]:
    """80 random bits each, in four groups that can be typed."""
    letters = (b32encode(desk.ambient.entropy(_RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES))
    return tuple("-".join(code[place : place + 4] for place in range(0, len(code), 4)) for code in letters)


def _digests(desk: Desk, subject: str, codes: tuple[str, ...]) -> tuple[bytes, ...]:
    """Under a key that the database does not hold, and for one account: so that 80 bits are more than enough."""
    key = derive(desk.secret, "recovery-code")
    plain = ("".join(letter for letter in code.lower() if letter.isalnum()) for code in codes)
    return tuple(hmac.digest(key, f"{subject}\0{code}".encode("utf-8", "surrogatepass"), "sha256") for code in plain)
