"""Rules O9, O10 and O12: what every second factor keeps to: tries are counted, failures noted, codes good once."""

from starlette.requests import Request

from carnet.issuer.accounts.errors import PersonError
from carnet.issuer.accounts.people import Actor, note
from carnet.issuer.desk import Desk
from carnet.issuer.http_security import written_address
from carnet.issuer.login import NotProvedError, SecondFactor, throttle
from carnet.issuer.refusals import RefusalError
from carnet.issuer.storage.records import Account
from carnet.oauth.parameters import Parameters


async def check_second(
    request: Request, desk: Desk, account: Account, method: SecondFactor, form: Parameters
) -> Account:
    """Accept the second proof for an account whose first proof stands; the answer is the account after that.

    Raises:
        NotProvedError: it is not right, or too many were tried.
        RefusalError: the first proof does not stand any more.
    """
    typed = form.get(method.field)
    if not typed:
        raise NotProvedError(f"{method.field}_missing", field=method.field)
    by = Actor(account.subject, written_address(request, desk.config))
    counted = await throttle.admit_code(request, desk, account)
    try:
        after = await method.spend(desk, account, typed, by=by)
    except PersonError as error:
        await note(desk, "second_factor.failed", account, by, reason=error.key)
        raise NotProvedError(f"{method.field}_not_right", field=method.field) from None
    if after.epoch != account.epoch or after.disabled_at is not None:
        raise RefusalError(403, "stale_form", why="signed out everywhere since the first proof")
    await throttle.forgive_codes(request, desk, account, counted)
    return after
