"""Rule O17, RFC 6750, RFC 9470: a token for the admin API opens it, with the scope value, to somebody who administers now."""

from starlette.requests import Request

from carnet.issuer.accounts.people import ADMIN, Actor
from carnet.issuer.admin_api.resource import PATH, Caller
from carnet.issuer.config import Config
from carnet.issuer.desk import Desk
from carnet.issuer.freshness import FRESH, strong_and_recent
from carnet.issuer.http_security import written_address
from carnet.issuer.presented_tokens import Claims, holder_of
from carnet.issuer.storage.records import Account
from carnet.oauth import acr, scope
from carnet.oauth.errors import InsufficientScopeError, InsufficientUserAuthenticationError


def resource_of(config: Config) -> str:
    """RFC 8707: the audience that admin tokens have."""
    return config.issuer + PATH


async def admitted(request: Request, claims: Claims, desk: Desk, *, needs: str, changes: bool) -> Caller:
    """Let a token through that has the scope value `needs`; a person who changes something has just proved who they are.

    The role is that of the account or the client at this moment, whatever the token says.

    Raises:
        InsufficientScopeError: the scope value or the role is missing.
        InsufficientUserAuthenticationError: the person's proof is too old, or not by both factors of somebody who has two.
    """
    granted = scope.parse(claims.get("scope"))
    if needs not in granted:
        raise InsufficientScopeError(f"This needs the scope value {needs}.", scope=needs)
    holder = await holder_of(claims, desk)
    if holder is None or ADMIN not in holder.roles:
        raise InsufficientScopeError(f"This needs the role {ADMIN}.", scope=needs)
    if isinstance(holder, Account) and changes:
        _check_proof(holder, claims, desk)
    subject = holder.subject if isinstance(holder, Account) else holder.client_id
    return Caller(Actor(subject, written_address(request, desk.config)), str(claims["client_id"]), granted)


def _check_proof(account: Account, claims: Claims, desk: Desk) -> None:
    if strong_and_recent(account, claims.get("acr"), claims.get("auth_time", 0), at=desk.ambient.now()):
        return
    wanted = acr.TWO_FACTORS if account.totp is not None else None
    raise InsufficientUserAuthenticationError(
        "A change needs a proof that was just given.", max_age=FRESH, acr_values=wanted
    )
