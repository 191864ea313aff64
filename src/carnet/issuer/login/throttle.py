"""NIST SP 800-63B-4 section 3.2.2, rules O12 and O13: guessing is slowed down per account, per address and in all."""

from dataclasses import dataclass
from hashlib import sha256

from starlette.requests import Request

from carnet.issuer.desk import Desk
from carnet.issuer.http_security import asking_block
from carnet.issuer.login import NotProvedError
from carnet.issuer.login.device import device
from carnet.issuer.storage.records import Account


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries in a window of so many seconds."""

    tries: int
    window: int


KNOWN_BROWSER = Limit(10, 900)
"""For one account, from one browser on which it has been signed in to before: nothing that others do counts."""
EVERYWHERE = Limit(3_000, 60)
ADDRESS = Limit(100, 600)
ACCOUNT = Limit(10, 900)
ACCOUNT_DAILY = Limit(100, 86_400)
"""For one account, from all browsers that it does not know together."""


async def admit(request: Request, desk: Desk, email: str, account: Account | None) -> tuple[str, ...]:
    """Count one try, before the password is looked at; the answer is what `forgive` takes back if it was right.

    `email` is what was typed, and is counted whether or not there is such an account.

    Raises:
        NotProvedError: there were too many.
    """
    browser = device(request, desk)  # also for nobody's address: to open the cookie takes time that can be measured
    known = account is not None and browser.knows(account.subject)
    if account is not None and known and await _within(desk, KNOWN_BROWSER, _browser_key(account, browser.name)):
        return ()
    name = sha256((account.email if account else email).casefold().encode()).hexdigest()
    address = f"sign_in/address/{asking_block(request, desk.config)}"
    by_account, daily = f"sign_in/account/{name}", f"sign_in/account_daily/{name}"
    for limit, key in (  # what is refused for its address counts neither for everybody nor for the account
        (ADDRESS, address),
        (EVERYWHERE, "sign_in/everywhere"),
        (ACCOUNT, by_account),
        (ACCOUNT_DAILY, daily),
    ):
        if not await _within(desk, limit, key):
            raise NotProvedError("throttled", retry_after=limit.window)
    return address, by_account, daily


CODES = Limit(5, 900)
"""Second proofs for one account, from all browsers that it does not know together: a code is one of a million, three are good."""
CODES_DAILY = Limit(30, 86_400)
CODES_KNOWN_BROWSER = Limit(10, 900)
CODES_KNOWN_BROWSER_DAILY = Limit(60, 86_400)


async def admit_code(request: Request, desk: Desk, account: Account) -> tuple[str, ...]:
    """As `admit`, for a second proof. Whoever comes so far has given the first.

    Raises:
        NotProvedError: there were too many.
    """
    browser = device(request, desk)
    key, limits = f"second/account/{account.subject}", (CODES, CODES_DAILY)
    if browser.knows(account.subject):
        key, limits = _code_key(account, browser.name), (CODES_KNOWN_BROWSER, CODES_KNOWN_BROWSER_DAILY)
    counted = tuple(f"{key}/{limit.window}" for limit in limits)
    for limit, each in zip(limits, counted, strict=True):
        if not await _within(desk, limit, each):
            raise NotProvedError("throttled", retry_after=limit.window)
    return counted


async def forgive_codes(request: Request, desk: Desk, account: Account, counted: tuple[str, ...]) -> None:
    """As `forgive`."""
    await desk.store.throttle.take_back(counted)
    key = _code_key(account, device(request, desk).name)
    for limit in (CODES_KNOWN_BROWSER, CODES_KNOWN_BROWSER_DAILY):
        await desk.store.throttle.clear(f"{key}/{limit.window}")


def _code_key(account: Account, browser: str) -> str:
    return f"second/browser/{account.subject}/{browser}"


async def forgive(request: Request, desk: Desk, account: Account, counted: tuple[str, ...]) -> None:
    """The one try that was right counts for nothing: many people sign in from one address, and tests to one account.

    A known browser's other tries are forgotten with it; those of strangers stay.
    """
    if counted:
        await desk.store.throttle.take_back(counted)
    await desk.store.throttle.clear(_browser_key(account, device(request, desk).name))


def _browser_key(account: Account, browser: str) -> str:
    return f"sign_in/browser/{account.subject}/{browser}"


async def _within(desk: Desk, limit: Limit, key: str) -> bool:
    return await desk.store.throttle.hit(key, at=desk.ambient.now(), window=limit.window) <= limit.tries
