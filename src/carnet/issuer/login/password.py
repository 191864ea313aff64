"""RFC 8176 section 2 (`pwd`), RFC 9106: an email address and a password."""

from dataclasses import dataclass
from unicodedata import normalize

from msgspec.structs import replace
from starlette.requests import Request

from carnet.issuer.browser import Visit
from carnet.issuer.desk import Desk
from carnet.issuer.http_security import written_address
from carnet.issuer.login import NotProvedError, throttle
from carnet.issuer.storage.ports import StaleError
from carnet.issuer.storage.records import Account, Event
from carnet.oauth.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Password:
    """The fields `email` and `password`."""

    amr: tuple[str, ...] = ("pwd",)

    async def prove(self, request: Request, desk: Desk, visit: Visit, form: Parameters) -> Account:
        email, password = normalize("NFC", (form.get("email") or "").strip()), form.get("password")
        if not email:
            raise NotProvedError("email_missing", field="email")
        if password is None:
            raise NotProvedError("password_missing", field="password")
        return await check_password(request, desk, email, password)


async def check_password(request: Request, desk: Desk, email: str, password: str) -> Account:
    """The account that has this email address and this password.

    Rule O11: that it does not exist, is disabled, or has another password costs the same and looks the same.

    Raises:
        NotProvedError: it is not so, or too many were tried; PasswordsBusyError: not now.
    """
    account = await desk.store.accounts.by_email(email)
    counted = await throttle.admit(request, desk, email, account)
    matches = await desk.passwords.verify(password, account.password if account else None)
    if account is None or not matches or account.disabled_at is not None:
        await _note_failure(request, desk, account)
        raise NotProvedError("not_right", field="password")
    await throttle.forgive(request, desk, account, counted)
    return await _rehashed(desk, account, password)


async def _note_failure(request: Request, desk: Desk, account: Account | None) -> None:
    """What was typed is not written down: some type their password into the wrong field."""
    await desk.store.events.add(
        Event(
            at=desk.ambient.now(),
            name="sign_in.failed",
            subject=account.subject if account else None,
            address=written_address(request, desk.config),
        )
    )


async def _rehashed(desk: Desk, account: Account, password: str) -> Account:
    """Keep the password at today's cost."""
    if account.password is None or not desk.passwords.outdated(account.password):
        return account
    anew = replace(account, password=await desk.passwords.hash(password))
    try:
        await desk.store.accounts.replace(account, anew)
    except StaleError:  # somebody changed the account meanwhile: the next sign-in does it
        return account
    return anew
